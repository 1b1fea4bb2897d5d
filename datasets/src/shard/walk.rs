//! A corpus of any size whose samples are taken in their order, with its shards at hand.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use memmap2::Mmap;

use super::index::short_hash;
use super::read::{map_shard, release};
use super::{CorpusError, CorpusStream, ENTRIES_FILE, Entries, Entry, Licence};

/// What the stages of a preparation read: entries in rising order, files anywhere. Its memory does not grow with the
/// number of samples.
pub(crate) struct CorpusWalk {
    stream: CorpusStream,
    licences: Vec<Licence>,
    shards: Vec<Mmap>,
    /// Where the last reader stopped; another that comes behind it goes on there.
    cursor: Mutex<Option<Cursor>>,
}

struct Cursor {
    next_idx: usize,
    entries: Entries,
}

impl CorpusWalk {
    /// # Errors
    /// As [`super::Corpus::open`], but that entries are only read when they are asked for.
    pub(crate) fn open(dir: impl AsRef<Path>) -> Result<Self, CorpusError> {
        let stream = CorpusStream::open(dir)?;
        let licences = stream.licences()?;
        let map = |record| map_shard(stream.dir(), record);
        let shards = stream.index.shards.iter().map(map).collect::<Result<_, _>>()?;
        Ok(Self { stream, licences, shards, cursor: Mutex::new(None) })
    }

    pub(crate) fn stream(&self) -> &CorpusStream {
        &self.stream
    }

    pub(crate) fn licences(&self) -> &[Licence] {
        &self.licences
    }

    /// The entries of samples in rising order.
    pub(crate) fn entries(&self, idxs: impl Iterator<Item = usize>) -> Result<Vec<Entry>, CorpusError> {
        let mut held = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for idx in idxs {
            let mut cursor = match held.take() {
                Some(cursor) if cursor.next_idx <= idx => cursor,
                _ => Cursor { next_idx: 0, entries: self.stream.entries()? },
            };
            let entry = cursor.entries.nth(idx - cursor.next_idx).transpose()?;
            let n_samples = self.stream.len();
            found.push(entry.ok_or(CorpusError::NoSuchSample { idx, n_samples })?);
            cursor.next_idx = idx + 1;
            *held = Some(cursor);
        }
        Ok(found)
    }

    /// A range of a shard, checked against its hash.
    ///
    /// # Errors
    /// No such range, or bytes that changed since they were written.
    pub(crate) fn bytes(
        &self,
        shard_idx: usize,
        offset: u64,
        n_bytes: u64,
        hash: &str,
    ) -> Result<&[u8], CorpusError> {
        let (Some(shard), Some(record)) =
            (self.shards.get(shard_idx), self.stream.index.shards.get(shard_idx))
        else {
            let problem = format!("expected one of {} shards, got number {shard_idx}", self.shards.len());
            return Err(CorpusError::malformed(&self.stream.dir().join(ENTRIES_FILE), "member", problem));
        };
        let path = self.stream.dir().join(&record.name);
        let end = offset.checked_add(n_bytes).filter(|end| *end <= shard.len() as u64);
        let Some(end) = end else {
            let problem = format!("expected {n_bytes} bytes of a member, the shard has {}", shard.len());
            return Err(CorpusError::malformed(&path, format!("byte {offset}"), problem));
        };
        let bytes = &shard[offset as usize..end as usize];
        let got = short_hash(bytes);
        if got == hash {
            return Ok(bytes);
        }
        Err(CorpusError::Hash { path, place: format!("byte {offset}"), expected: hash.to_owned(), got })
    }

    /// As [`super::Corpus::release_pages`].
    pub(crate) fn release_pages(&self) {
        release(&self.shards);
    }
}
