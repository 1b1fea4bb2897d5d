//! Writing a corpus.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::archive::{SampleRecord, check_key};
use super::atomic::{publish, temporary_beside, write_atomic};
use super::index::{FileRecord, Index, short_hash};
use super::{CorpusError, ENTRIES_FILE, Entry, FORMAT_VERSION, INDEX_FILE, LICENCES_FILE, Licence, Member};
use crate::audio;
use crate::sample::{Media, Sample};

/// A shard is closed once it is this long; large enough to read in one sweep, small enough to copy again.
const SHARD_BYTES: u64 = 64 << 20;
const BLOCK: u64 = 512;
const ZSTD_LEVEL: i32 = 3;

/// Writes samples into tar shards. Until [`ShardWriter::finish`] has returned, the folder is not a corpus.
pub struct ShardWriter {
    dir: PathBuf,
    index: Index,
    entries: Vec<Entry>,
    ids: HashSet<String>,
    shard_bytes: u64,
    open: Option<OpenShard>,
}

struct OpenShard {
    path: PathBuf,
    archive: tar::Builder<HashingFile>,
    n_samples: usize,
}

impl ShardWriter {
    /// Starts a corpus in a folder, which is made if need be. A corpus that lay there is removed.
    ///
    /// # Errors
    /// A folder that cannot be made or written to.
    pub fn create(dir: impl AsRef<Path>, name: &str) -> Result<Self, CorpusError> {
        let dir = dir.as_ref();
        check_name(name)?;
        fs::create_dir_all(dir).map_err(|e| CorpusError::io("create", dir, e))?;
        remove_corpus(dir)?;
        let empty = FileRecord { name: String::new(), n_bytes: 0, blake3: String::new(), n_samples: 0 };
        let index = Index {
            format_version: FORMAT_VERSION,
            name: name.to_owned(),
            recipe: String::new(),
            n_samples: 0,
            shards: Vec::new(),
            entries: empty.clone(),
            licences: empty,
            content_hash: String::new(),
        };
        Ok(Self {
            dir: dir.to_owned(),
            index,
            entries: Vec::new(),
            ids: HashSet::new(),
            shard_bytes: SHARD_BYTES,
            open: None,
        })
    }

    /// Remembers a hash of whatever the corpus is made from, see [`super::Corpus::recipe`].
    pub fn with_recipe(mut self, recipe: &str) -> Self {
        self.index.recipe = recipe.to_owned();
        self
    }

    /// Closes a shard once it holds this many bytes; 64 MiB unless told.
    pub fn with_shard_bytes(mut self, n_bytes: u64) -> Self {
        self.shard_bytes = n_bytes.max(1);
        self
    }

    /// Appends a sample.
    ///
    /// # Errors
    /// An identifier that came before or cannot be a file name in an archive, a file ending that is not plain
    /// letters and digits, a disk that does not take it.
    pub fn push(&mut self, sample: Sample) -> Result<(), CorpusError> {
        check_key(&sample.id).map_err(|problem| CorpusError::BadSample { id: sample.id.clone(), problem })?;
        if self.ids.contains(&sample.id) {
            let problem = "expected an identifier that no earlier sample has".to_owned();
            return Err(CorpusError::BadSample { id: sample.id, problem });
        }
        for media in sample.image.iter().chain(&sample.audio) {
            check_extension(&media.extension)
                .map_err(|problem| CorpusError::BadSample { id: sample.id.clone(), problem })?;
        }
        if let (Some(image), Some(audio)) = (&sample.image, &sample.audio)
            && image.extension == audio.extension
        {
            let problem = format!("picture and sound both end in .{}", image.extension);
            return Err(CorpusError::BadSample { id: sample.id, problem });
        }

        let shard_idx = self.index.shards.len();
        let shard = match &mut self.open {
            Some(shard) => shard,
            none => none.insert(OpenShard::create(&self.dir, &self.index.name, shard_idx)?),
        };
        let record = serde_json::to_vec(&SampleRecord::of(&sample))
            .map_err(|e| CorpusError::malformed(&shard.path, &sample.id, e.to_string()))?;
        let duration_s =
            sample.audio.as_ref().and_then(|media| audio::header_duration_s(&media.bytes, &media.extension));
        shard.append(&sample.id, "json", &record)?;
        let image = sample.image.as_ref().map(|media| shard.append_media(&sample.id, media)).transpose()?;
        let audio = sample.audio.as_ref().map(|media| shard.append_media(&sample.id, media)).transpose()?;
        shard.n_samples += 1;
        let is_full = shard.n_bytes() >= self.shard_bytes;

        self.ids.insert(sample.id.clone());
        self.entries.push(Entry {
            id: sample.id,
            source: sample.source,
            group: sample.group,
            split: sample.split,
            texts: sample.texts,
            tags: sample.tags,
            shard_idx,
            image,
            audio,
            duration_s,
        });
        if is_full { self.close_shard() } else { Ok(()) }
    }

    /// Writes the entries, the licence ledger and, last, the index.
    ///
    /// # Errors
    /// A disk that does not take it; the folder is then not a corpus.
    pub fn finish(mut self, licences: &[Licence]) -> Result<super::Corpus, CorpusError> {
        self.close_shard()?;
        let mut lines = Vec::new();
        let entries_path = self.dir.join(ENTRIES_FILE);
        for entry in &self.entries {
            serde_json::to_writer(&mut lines, entry)
                .map_err(|e| CorpusError::malformed(&entries_path, &entry.id, e.to_string()))?;
            lines.push(b'\n');
        }
        let packed = zstd::bulk::compress(&lines, ZSTD_LEVEL)
            .map_err(|e| CorpusError::io("write", &entries_path, e))?;
        let mut ledger = to_json(&self.dir.join(LICENCES_FILE), &licences)?;
        ledger.push(b'\n');
        self.index.n_samples = self.entries.len();
        self.index.entries = self.write_listed(ENTRIES_FILE, &packed, self.entries.len())?;
        self.index.licences = self.write_listed(LICENCES_FILE, &ledger, 0)?;
        self.index.content_hash = self.index.compute_content_hash();
        let index_path = self.dir.join(INDEX_FILE);
        let mut index = to_json(&index_path, &self.index)?;
        index.push(b'\n');
        write_atomic(&index_path, &index).map_err(|e| CorpusError::io("write", &index_path, e))?;
        super::Corpus::open(&self.dir)
    }

    fn write_listed(&self, name: &str, bytes: &[u8], n_samples: usize) -> Result<FileRecord, CorpusError> {
        let path = self.dir.join(name);
        write_atomic(&path, bytes).map_err(|e| CorpusError::io("write", &path, e))?;
        Ok(FileRecord {
            name: name.to_owned(),
            n_bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
            n_samples,
        })
    }

    fn close_shard(&mut self) -> Result<(), CorpusError> {
        let Some(shard) = self.open.take() else { return Ok(()) };
        self.index.shards.push(shard.close()?);
        Ok(())
    }
}

impl OpenShard {
    fn create(dir: &Path, name: &str, shard_idx: usize) -> Result<Self, CorpusError> {
        let path = dir.join(format!("{name}-{shard_idx:06}.tar"));
        let file = temporary_beside(&path).map_err(|e| CorpusError::io("create", &path, e))?;
        let file = HashingFile { inner: BufWriter::new(file), hasher: blake3::Hasher::new(), n_bytes: 0 };
        Ok(Self { path, archive: tar::Builder::new(file), n_samples: 0 })
    }

    fn n_bytes(&self) -> u64 {
        self.archive.get_ref().n_bytes
    }

    /// Returns where the content begins.
    fn append(&mut self, key: &str, extension: &str, bytes: &[u8]) -> Result<u64, CorpusError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.archive
            .append_data(&mut header, format!("{key}.{extension}"), bytes)
            .map_err(|e| CorpusError::io("write", &self.path, e))?;
        Ok(self.n_bytes() - (bytes.len() as u64).next_multiple_of(BLOCK))
    }

    fn append_media(&mut self, key: &str, media: &Media) -> Result<Member, CorpusError> {
        let offset = self.append(key, &media.extension, &media.bytes)?;
        Ok(Member {
            extension: media.extension.clone(),
            offset,
            n_bytes: media.bytes.len() as u64,
            hash: short_hash(&media.bytes),
        })
    }

    fn close(self) -> Result<FileRecord, CorpusError> {
        let Self { path, archive, n_samples } = self;
        let write = |e| CorpusError::io("write", &path, e);
        let mut file = archive.into_inner().map_err(write)?;
        file.flush().map_err(write)?;
        let HashingFile { inner, hasher, n_bytes } = file;
        let inner = inner.into_inner().map_err(|e| write(e.into_error()))?;
        publish(inner, &path).map_err(write)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(FileRecord { name, n_bytes, blake3: hasher.finalize().to_hex().to_string(), n_samples })
    }
}

/// Hashes and counts what passes into a temporary file.
struct HashingFile {
    inner: BufWriter<NamedTempFile>,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n_bytes = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..n_bytes]);
        self.n_bytes += n_bytes as u64;
        Ok(n_bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn to_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, CorpusError> {
    serde_json::to_vec_pretty(value).map_err(|e| CorpusError::malformed(path, "whole file", e.to_string()))
}

/// The index goes first, so that a removal that is interrupted leaves no corpus that looks complete.
fn remove_corpus(dir: &Path) -> Result<(), CorpusError> {
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(CorpusError::io("remove", path, e)),
        _ => Ok(()),
    };
    for name in [INDEX_FILE, ENTRIES_FILE, LICENCES_FILE] {
        remove(&dir.join(name))?;
    }
    let listing = fs::read_dir(dir).map_err(|e| CorpusError::io("read", dir, e))?;
    for item in listing {
        let item = item.map_err(|e| CorpusError::io("read", dir, e))?;
        let name = item.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(".part-") || is_shard_name(&name) {
            remove(&item.path())?;
        }
    }
    Ok(())
}

fn is_shard_name(name: &str) -> bool {
    let Some((_, number)) = name.strip_suffix(".tar").and_then(|stem| stem.rsplit_once('-')) else {
        return false;
    };
    number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit())
}

fn check_name(name: &str) -> Result<(), CorpusError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || !name.bytes().all(is_plain) {
        let problem = "expected a corpus name of letters, digits, '-' and '_'".to_owned();
        return Err(CorpusError::BadSample { id: name.to_owned(), problem });
    }
    Ok(())
}

fn check_extension(extension: &str) -> Result<(), String> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if extension.is_empty() || extension == "json" || !extension.bytes().all(is_plain) {
        return Err(format!("expected a file ending of lower-case letters and digits, got {extension:?}"));
    }
    Ok(())
}
