//! Reading a corpus straight out of its memory-mapped shards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::archive::{SampleRecord, open_archive, walk};
use super::index::{FileRecord, Index, short_hash};
use super::{CorpusError, ENTRIES_FILE, Entry, FORMAT_VERSION, INDEX_FILE, LICENCES_FILE, Licence, Member};
use crate::sample::{Media, Sample};

/// A prepared corpus, opened for reading. It may be shared between threads.
///
/// The shards are memory-mapped: they must not be cut or written to while the corpus is open.
#[derive(Debug)]
pub struct Corpus {
    dir: PathBuf,
    index: Index,
    entries: Vec<Entry>,
    licences: Vec<Licence>,
    shards: Vec<Mmap>,
}

impl Corpus {
    /// Opens a folder that [`super::ShardWriter`] made. The index, the entries and the ledger are checked
    /// byte by byte, the shards by their size; [`Corpus::verify`] checks the shards too.
    ///
    /// # Errors
    /// A folder without an index, an index of a newer format, a file that is absent, cut or changed.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, CorpusError> {
        let dir = dir.as_ref();
        let index_path = dir.join(INDEX_FILE);
        let index = read_index(dir, &index_path)?;
        let entries = read_entries(dir, &index)?;
        let ledger_path = dir.join(LICENCES_FILE);
        let licences = serde_json::from_slice(&read_listed(dir, &index.licences)?)
            .map_err(|e| CorpusError::malformed(&ledger_path, json_place(&e), e.to_string()))?;
        let shards = index.shards.iter().map(|shard| map_shard(dir, shard)).collect::<Result<Vec<_>, _>>()?;
        for (entry_idx, entry) in entries.iter().enumerate() {
            let n_bytes = shards.get(entry.shard_idx).map_or(0, |shard| shard.len() as u64);
            for member in entry.image.iter().chain(&entry.audio) {
                if member.offset.checked_add(member.n_bytes).is_none_or(|end| end > n_bytes) {
                    let place = format!("line {} (sample {:?})", entry_idx + 1, entry.id);
                    let problem = format!(
                        "expected a member inside shard {} of {n_bytes} bytes, got {} bytes from {}",
                        entry.shard_idx, member.n_bytes, member.offset
                    );
                    return Err(CorpusError::malformed(&dir.join(ENTRIES_FILE), place, problem));
                }
            }
        }
        Ok(Self { dir: dir.to_owned(), index, entries, licences, shards })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name that it was made under.
    pub fn name(&self) -> &str {
        &self.index.name
    }

    /// Hash of whatever it was made from, empty where the maker gave none.
    pub fn recipe(&self) -> &str {
        &self.index.recipe
    }

    /// BLAKE3 over everything in it, in hexadecimal.
    pub fn content_hash(&self) -> &str {
        &self.index.content_hash
    }

    /// The licence ledger.
    pub fn licences(&self) -> &[Licence] {
        &self.licences
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no sample.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The samples without their pictures and sounds, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The encoded picture of a sample, if it has one, straight from the memory map.
    ///
    /// # Errors
    /// No such sample, or bytes that changed since they were written.
    pub fn image_bytes(&self, idx: usize) -> Result<Option<(&[u8], &str)>, CorpusError> {
        let entry = self.entry(idx)?;
        entry.image.as_ref().map(|member| self.member(entry, member)).transpose()
    }

    /// The encoded sound of a sample, if it has one, straight from the memory map.
    ///
    /// # Errors
    /// No such sample, or bytes that changed since they were written.
    pub fn audio_bytes(&self, idx: usize) -> Result<Option<(&[u8], &str)>, CorpusError> {
        let entry = self.entry(idx)?;
        entry.audio.as_ref().map(|member| self.member(entry, member)).transpose()
    }

    /// Gives the pages of the shards that were read back to the system. They count as the program's memory as long as it
    /// has them; the next read of a sample maps its pages again, from the system's cache.
    pub fn release_pages(&self) {
        #[cfg(unix)]
        for map in &self.shards {
            // SAFETY: the map is of a file and is only read, so that what is dropped is read again, unchanged. It is advice:
            // where the system does not take it, the pages stay.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// A whole sample.
    ///
    /// # Errors
    /// No such sample, or bytes that changed since they were written.
    pub fn read(&self, idx: usize) -> Result<Sample, CorpusError> {
        let entry = self.entry(idx)?;
        let media = |found: Option<(&[u8], &str)>| {
            found.map(|(bytes, extension)| Media { bytes: bytes.to_vec(), extension: extension.to_owned() })
        };
        Ok(Sample {
            id: entry.id.clone(),
            source: entry.source.clone(),
            group: entry.group.clone(),
            split: entry.split,
            image: media(self.image_bytes(idx)?),
            audio: media(self.audio_bytes(idx)?),
            texts: entry.texts.clone(),
            tags: entry.tags.clone(),
        })
    }

    /// Hashes every byte of every shard again, and compares what the archives hold with the index.
    ///
    /// # Errors
    /// The first difference.
    pub fn verify(&self) -> Result<(), CorpusError> {
        for (shard, map) in self.index.shards.iter().zip(&self.shards) {
            let path = self.dir.join(&shard.name);
            check_hash(&path, &blake3::hash(map).to_hex(), &shard.blake3)?;
        }
        let mut entries = self.entries.iter();
        for shard in &self.index.shards {
            let path = self.dir.join(&shard.name);
            let mut problem = None;
            walk(&path, &mut open_archive(&path)?, |sample| {
                problem = describe_difference(&sample, entries.next());
                problem.is_none()
            })?;
            if let Some((place, problem)) = problem {
                return Err(CorpusError::malformed(&path, place, problem));
            }
        }
        match entries.next() {
            Some(entry) => Err(CorpusError::malformed(
                &self.dir.join(ENTRIES_FILE),
                format!("sample {:?}", entry.id),
                "expected it in a shard, got none",
            )),
            None => Ok(()),
        }
    }

    fn entry(&self, idx: usize) -> Result<&Entry, CorpusError> {
        self.entries.get(idx).ok_or(CorpusError::NoSuchSample { idx, n_samples: self.entries.len() })
    }

    fn member<'a>(&'a self, entry: &Entry, member: &'a Member) -> Result<(&'a [u8], &'a str), CorpusError> {
        let range = member.offset as usize..(member.offset + member.n_bytes) as usize;
        let bytes = &self.shards[entry.shard_idx][range];
        let got = short_hash(bytes);
        if got != member.hash {
            return Err(CorpusError::Hash {
                path: self.dir.join(&self.index.shards[entry.shard_idx].name),
                place: format!("sample {:?}, .{} at byte {}", entry.id, member.extension, member.offset),
                expected: member.hash.clone(),
                got,
            });
        }
        Ok((bytes, &member.extension))
    }
}

fn read_index(dir: &Path, path: &Path) -> Result<Index, CorpusError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(CorpusError::NotACorpus { dir: dir.to_owned() });
        }
        Err(e) => return Err(CorpusError::io("read", path, e)),
    };
    let malformed = |e: serde_json::Error| CorpusError::malformed(path, json_place(&e), e.to_string());
    // the version first: a newer index may have other fields
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    match version {
        Some(got) if got > u64::from(FORMAT_VERSION) => {
            return Err(CorpusError::Newer { path: path.to_owned(), expected: FORMAT_VERSION, got });
        }
        Some(_) => {}
        None => return Err(CorpusError::malformed(path, "whole file", "expected the field format_version")),
    }
    let index: Index = serde_json::from_value(value).map_err(malformed)?;
    check_hash(path, &index.compute_content_hash(), &index.content_hash)?;
    Ok(index)
}

fn read_entries(dir: &Path, index: &Index) -> Result<Vec<Entry>, CorpusError> {
    let path = dir.join(ENTRIES_FILE);
    let packed = read_listed(dir, &index.entries)?;
    let lines = zstd::stream::decode_all(packed.as_slice())
        .map_err(|e| CorpusError::malformed(&path, "compressed data", e.to_string()))?;
    let mut entries = Vec::with_capacity(index.n_samples);
    for (line_idx, line) in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let entry = serde_json::from_slice(line)
            .map_err(|e| CorpusError::malformed(&path, format!("line {}", line_idx + 1), e.to_string()))?;
        entries.push(entry);
    }
    if entries.len() != index.n_samples {
        let problem = format!("expected {} samples, got {}", index.n_samples, entries.len());
        return Err(CorpusError::malformed(&path, "whole file", problem));
    }
    Ok(entries)
}

fn read_listed(dir: &Path, record: &FileRecord) -> Result<Vec<u8>, CorpusError> {
    let path = listed_path(dir, record)?;
    check_size(&path, record)?;
    let bytes = fs::read(&path).map_err(|e| CorpusError::io("read", &path, e))?;
    check_hash(&path, &blake3::hash(&bytes).to_hex(), &record.blake3)?;
    Ok(bytes)
}

fn map_shard(dir: &Path, record: &FileRecord) -> Result<Mmap, CorpusError> {
    let path = listed_path(dir, record)?;
    check_size(&path, record)?;
    let file = File::open(&path).map_err(|e| CorpusError::io("open", &path, e))?;
    // SAFETY: the map is only read; that nobody cuts the file meanwhile is asked for in the type's documentation.
    unsafe { Mmap::map(&file) }.map_err(|e| CorpusError::io("map", &path, e))
}

/// An index must not lead out of its folder.
fn listed_path(dir: &Path, record: &FileRecord) -> Result<PathBuf, CorpusError> {
    if Path::new(&record.name).components().count() != 1 || record.name.contains("..") {
        let problem = format!("expected plain file names, got {:?}", record.name);
        return Err(CorpusError::malformed(&dir.join(INDEX_FILE), "file list", problem));
    }
    Ok(dir.join(&record.name))
}

fn check_size(path: &Path, record: &FileRecord) -> Result<(), CorpusError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == record.n_bytes => Ok(()),
        Ok(metadata) => {
            Err(CorpusError::Size { path: path.to_owned(), expected: record.n_bytes, got: metadata.len() })
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(CorpusError::Missing { path: path.to_owned(), expected: record.n_bytes })
        }
        Err(e) => Err(CorpusError::io("read", path, e)),
    }
}

fn check_hash(path: &Path, got: &str, expected: &str) -> Result<(), CorpusError> {
    if got == expected {
        return Ok(());
    }
    Err(CorpusError::Hash {
        path: path.to_owned(),
        place: "whole file".to_owned(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    })
}

fn describe_difference(sample: &super::ArchiveSample, entry: Option<&Entry>) -> Option<(String, String)> {
    let place = format!("sample {:?}", sample.key);
    let Some(entry) = entry else { return Some((place, "expected it in the index, got none".into())) };
    if entry.id != sample.key {
        return Some((place, format!("expected sample {:?}", entry.id)));
    }
    let record = sample.members.iter().find(|member| member.extension == "json");
    let record = record.and_then(|member| serde_json::from_slice::<SampleRecord>(&member.bytes).ok());
    let Some(record) = record else {
        return Some((place, "expected a member .json that describes it".into()));
    };
    let is_same = record.group == entry.group
        && record.split == entry.split
        && record.texts == entry.texts
        && record.tags == entry.tags;
    (!is_same).then(|| (place, "its .json member and the index differ".into()))
}

fn json_place(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}
