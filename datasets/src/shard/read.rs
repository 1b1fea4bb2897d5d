//! Reading a corpus straight out of its memory-mapped shards.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::index::{FileRecord, Index, short_hash};
use super::stream::sized_path;
use super::{CorpusError, CorpusStream, ENTRIES_FILE, Entry, Licence, Member};
use crate::sample::{Media, Sample};

/// A prepared corpus, opened for reading. It may be shared between threads.
///
/// The shards are memory-mapped: they must not be cut or written to while the corpus is open.
#[derive(Debug)]
pub struct Corpus {
    pub(super) dir: PathBuf,
    pub(super) index: Index,
    pub(super) entries: Vec<Entry>,
    pub(super) licences: Vec<Licence>,
    pub(super) shards: Vec<Mmap>,
}

impl Corpus {
    /// Opens a folder that [`super::ShardWriter`] made. The index, the entries and the ledger are checked
    /// byte by byte, the shards by their size; [`Corpus::verify`] checks the shards too.
    ///
    /// # Errors
    /// A folder without an index, an index of a newer format, a file that is absent, cut or changed.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, CorpusError> {
        let dir = dir.as_ref();
        let stream = CorpusStream::open(dir)?;
        let entries = stream.entries()?.collect::<Result<Vec<_>, _>>()?;
        let licences = stream.licences()?;
        let index = stream.index;
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
        release(&self.shards);
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
            questions: entry.questions.clone(),
            tags: entry.tags.clone(),
        })
    }

    /// Hashes every byte again, and compares what the archives hold with the index; [`CorpusStream::verify`] does the
    /// same without the entries in memory.
    ///
    /// # Errors
    /// The first difference.
    pub fn verify(&self) -> Result<(), CorpusError> {
        CorpusStream::open(&self.dir)?.verify()
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

pub(super) fn release(shards: &[Mmap]) {
    #[cfg(unix)]
    for map in shards {
        // SAFETY: the map is of a file and is only read, so that what is dropped is read again, unchanged. It is advice:
        // where the system does not take it, the pages stay.
        let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    }
    #[cfg(not(unix))]
    let _ = shards;
}

pub(super) fn map_shard(dir: &Path, record: &FileRecord) -> Result<Mmap, CorpusError> {
    let path = sized_path(dir, record)?;
    let file = File::open(&path).map_err(|e| CorpusError::io("open", &path, e))?;
    // SAFETY: the map is only read; that nobody cuts the file meanwhile is asked for in the type's documentation.
    unsafe { Mmap::map(&file) }.map_err(|e| CorpusError::io("map", &path, e))
}
