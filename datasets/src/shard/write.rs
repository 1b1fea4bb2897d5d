//! Writing a corpus.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::archive::{SampleRecord, check_key};
use super::atomic::write_atomic;
use super::index::{FileRecord, Index, short_hash};
use super::listed::ListedFile;
use super::seen::SeenKeys;
use super::stream::read_index;
use super::{CorpusError, ENTRIES_FILE, Entry, FORMAT_VERSION, INDEX_FILE, LICENCES_FILE, Licence, Member};
use crate::audio;
use crate::sample::{Media, Sample};

/// A shard is closed once it is this long; large enough to read in one sweep, small enough to copy again.
const SHARD_BYTES: u64 = 64 << 20;
const BLOCK: u64 = 512;
const ZSTD_LEVEL: i32 = 3;

/// Writes samples into tar shards. Until [`ShardWriter::finish`] has returned, the folder is not a corpus.
///
/// Its memory does not grow with the number of samples: entries go to disk as they come, packed.
pub struct ShardWriter {
    dir: PathBuf,
    index: Index,
    entries: zstd::stream::write::Encoder<'static, ListedFile>,
    seen: SeenKeys,
    shard_bytes: u64,
    open: Option<OpenShard>,
}

struct OpenShard {
    archive: tar::Builder<ListedFile>,
    n_samples: usize,
}

impl ShardWriter {
    /// Starts a corpus in a folder, which is made if need be. A corpus that lay there is removed, and what an
    /// interrupted making of the same name left.
    ///
    /// # Errors
    /// A folder that cannot be made or written to.
    pub fn create(dir: impl AsRef<Path>, name: &str) -> Result<Self, CorpusError> {
        let dir = dir.as_ref();
        check_name(name)?;
        fs::create_dir_all(dir).map_err(|e| CorpusError::io("create", dir, e))?;
        remove_corpus(dir, name)?;
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
        let entries_path = dir.join(ENTRIES_FILE);
        let entries =
            zstd::stream::write::Encoder::new(ListedFile::create(entries_path.clone())?, ZSTD_LEVEL)
                .map_err(|e| CorpusError::io("write", &entries_path, e))?;
        let seen = SeenKeys::in_dir(dir);
        Ok(Self { dir: dir.to_owned(), index, entries, seen, shard_bytes: SHARD_BYTES, open: None })
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
        let duration_s =
            sample.audio.as_ref().and_then(|media| audio::header_duration_s(&media.bytes, &media.extension));
        self.push_measured(sample, duration_s)
    }

    /// Appends a sample whose sound was measured already, see [`Entry::duration_s`].
    ///
    /// # Errors
    /// As [`ShardWriter::push`].
    pub fn push_measured(&mut self, sample: Sample, duration_s: Option<f64>) -> Result<(), CorpusError> {
        check_key(&sample.id).map_err(|problem| CorpusError::BadSample { id: sample.id.clone(), problem })?;
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
        if !self.seen.insert(&sample.id).map_err(|e| CorpusError::io("write", &self.dir, e))? {
            return Err(CorpusError::duplicate(&sample.id));
        }

        let shard_idx = self.index.shards.len();
        let shard = match &mut self.open {
            Some(shard) => shard,
            none => none.insert(OpenShard::create(&self.dir, &self.index.name, shard_idx)?),
        };
        let record = serde_json::to_vec(&SampleRecord::of(&sample))
            .map_err(|e| CorpusError::malformed(shard.path(), &sample.id, e.to_string()))?;
        shard.append(&sample.id, "json", &record)?;
        let image = sample.image.as_ref().map(|media| shard.append_media(&sample.id, media)).transpose()?;
        let audio = sample.audio.as_ref().map(|media| shard.append_media(&sample.id, media)).transpose()?;
        shard.n_samples += 1;
        let is_full = shard.n_bytes() >= self.shard_bytes;

        self.write_entry(&Entry {
            id: sample.id,
            source: sample.source,
            group: sample.group,
            split: sample.split,
            texts: sample.texts,
            questions: sample.questions,
            tags: sample.tags,
            shard_idx,
            image,
            audio,
            duration_s,
        })?;
        if is_full { self.close_shard() } else { Ok(()) }
    }

    /// Writes the licence ledger and, last, the index, and opens the corpus, which holds every entry in memory.
    ///
    /// # Errors
    /// A disk that does not take it; the folder is then not a corpus.
    pub fn finish(self, licences: &[Licence]) -> Result<super::Corpus, CorpusError> {
        let dir = self.dir.clone();
        self.seal(licences)?;
        super::Corpus::open(dir)
    }

    /// The same without opening it: no memory that grows with the number of samples.
    ///
    /// # Errors
    /// A disk that does not take it; the folder is then not a corpus.
    pub fn seal(mut self, licences: &[Licence]) -> Result<super::CorpusStream, CorpusError> {
        self.close_shard()?;
        let Self { dir, mut index, entries, .. } = self;
        let entries_path = dir.join(ENTRIES_FILE);
        let entries = entries.finish().map_err(|e| CorpusError::io("write", &entries_path, e))?;
        index.entries = entries.publish(index.n_samples)?;
        let ledger = ListedFile::create(dir.join(LICENCES_FILE))?;
        index.licences = write_json(ledger, &licences)?.publish(0)?;
        index.content_hash = index.compute_content_hash();
        let index_path = dir.join(INDEX_FILE);
        let mut text = serde_json::to_vec_pretty(&index)
            .map_err(|e| CorpusError::malformed(&index_path, "whole file", e.to_string()))?;
        text.push(b'\n');
        write_atomic(&index_path, &text).map_err(|e| CorpusError::io("write", &index_path, e))?;
        super::CorpusStream::open(dir)
    }

    fn write_entry(&mut self, entry: &Entry) -> Result<(), CorpusError> {
        let path = || self.dir.join(ENTRIES_FILE);
        let mut line = serde_json::to_vec(entry)
            .map_err(|e| CorpusError::malformed(&path(), &entry.id, e.to_string()))?;
        line.push(b'\n');
        self.entries.write_all(&line).map_err(|e| CorpusError::io("write", &path(), e))?;
        self.index.n_samples += 1;
        Ok(())
    }

    fn close_shard(&mut self) -> Result<(), CorpusError> {
        let Some(shard) = self.open.take() else { return Ok(()) };
        self.index.shards.push(shard.close()?);
        Ok(())
    }
}

impl OpenShard {
    fn create(dir: &Path, name: &str, shard_idx: usize) -> Result<Self, CorpusError> {
        let file = ListedFile::create(dir.join(format!("{name}-{shard_idx:06}.tar")))?;
        Ok(Self { archive: tar::Builder::new(file), n_samples: 0 })
    }

    fn path(&self) -> &Path {
        self.archive.get_ref().path()
    }

    fn n_bytes(&self) -> u64 {
        self.archive.get_ref().n_bytes()
    }

    /// Returns where the content begins.
    fn append(&mut self, key: &str, extension: &str, bytes: &[u8]) -> Result<u64, CorpusError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.archive
            .append_data(&mut header, format!("{key}.{extension}"), bytes)
            .map_err(|e| CorpusError::io("write", self.path(), e))?;
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
        let path = self.path().to_owned();
        let file = self.archive.into_inner().map_err(|e| CorpusError::io("write", &path, e))?;
        file.publish(self.n_samples)
    }
}

fn write_json(mut file: ListedFile, value: &impl serde::Serialize) -> Result<ListedFile, CorpusError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| CorpusError::malformed(file.path(), "whole file", e.to_string()))?;
    text.push(b'\n');
    match file.write_all(&text) {
        Ok(()) => Ok(file),
        Err(e) => Err(CorpusError::io("write", file.path(), e)),
    }
}

/// The index goes first, so that a removal that is interrupted leaves no corpus that looks complete. Archives that are
/// neither listed in it nor called after the new corpus are somebody else's and stay.
fn remove_corpus(dir: &Path, name: &str) -> Result<(), CorpusError> {
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(CorpusError::io("remove", path, e)),
        _ => Ok(()),
    };
    // an index that cannot be read lists nothing
    let old_name = read_index(dir, &dir.join(INDEX_FILE)).map(|index| index.name).ok();
    for name in [INDEX_FILE, ENTRIES_FILE, LICENCES_FILE] {
        remove(&dir.join(name))?;
    }
    let listing = fs::read_dir(dir).map_err(|e| CorpusError::io("read", dir, e))?;
    for item in listing {
        let item = item.map_err(|e| CorpusError::io("read", dir, e))?;
        let file = item.file_name();
        let file = file.to_string_lossy();
        let is_ours = |name: &str| is_shard_name(&file, name);
        if file.starts_with(".part-") || is_ours(name) || old_name.as_deref().is_some_and(is_ours) {
            remove(&item.path())?;
        }
    }
    Ok(())
}

fn is_shard_name(file: &str, name: &str) -> bool {
    let number = file.strip_suffix(".tar").and_then(|stem| stem.strip_prefix(name)?.strip_prefix('-'));
    number.is_some_and(|number| number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()))
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
