//! Which identifiers came before, exactly and in memory that does not grow with their number.
//!
//! The newest keys lie in a hash set. When it is full it becomes a sorted run in a temporary file, and runs of one level
//! are merged into one of the next, as in a log-structured merge tree: a handful of runs hold any number of keys. Keys
//! are hashes and so evenly spread, which lets a search guess a key's place in a run and read one or two blocks.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const KEY_BYTES: usize = 16;
/// Keys in memory, some 9 MB of them, before they become a run.
const MAX_RECENT: usize = 1 << 18;
/// So many runs of one level become one of the next.
const RUNS_PER_LEVEL: usize = 4;
/// Keys that one read of a search brings.
const BLOCK_KEYS: u64 = 256;

/// A set of identifiers, by the first 128 bits of their BLAKE3.
pub(crate) struct SeenKeys {
    dir: PathBuf,
    recent: HashSet<u128>,
    max_recent: usize,
    runs: Vec<Run>,
}

/// Sorted keys in a file that has no name and goes with the process.
struct Run {
    file: File,
    n_keys: u64,
    level: u32,
}

impl SeenKeys {
    /// An empty set whose temporary files lie in `dir`.
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), recent: HashSet::new(), max_recent: MAX_RECENT, runs: Vec::new() }
    }

    /// Remembers an identifier; whether it is new.
    ///
    /// # Errors
    /// A disk that does not take or give a run.
    pub(crate) fn insert(&mut self, id: &str) -> io::Result<bool> {
        let key = key_of(id);
        if self.recent.contains(&key) {
            return Ok(false);
        }
        for run in &mut self.runs {
            if run.contains(key)? {
                return Ok(false);
            }
        }
        self.recent.insert(key);
        if self.recent.len() >= self.max_recent {
            self.spill()?;
        }
        Ok(true)
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut keys: Vec<u128> = self.recent.drain().collect();
        keys.sort_unstable();
        self.runs.push(Run::write(&self.dir, 0, keys.into_iter().map(Ok))?);
        while let Some(level) = self.full_level() {
            let (mut merged, kept) =
                std::mem::take(&mut self.runs).into_iter().partition::<Vec<_>, _>(|run| run.level == level);
            self.runs = kept;
            let keys = Merge::of(&mut merged)?;
            self.runs.push(Run::write(&self.dir, level + 1, keys)?);
        }
        Ok(())
    }

    fn full_level(&self) -> Option<u32> {
        let count = |level| self.runs.iter().filter(|run| run.level == level).count();
        self.runs.iter().map(|run| run.level).find(|level| count(*level) >= RUNS_PER_LEVEL)
    }
}

impl Run {
    fn write(dir: &Path, level: u32, keys: impl Iterator<Item = io::Result<u128>>) -> io::Result<Self> {
        let mut writer = BufWriter::new(tempfile::tempfile_in(dir)?);
        let mut n_keys = 0;
        for key in keys {
            writer.write_all(&key?.to_be_bytes())?;
            n_keys += 1;
        }
        Ok(Self { file: writer.into_inner().map_err(|e| e.into_error())?, n_keys, level })
    }

    fn contains(&mut self, key: u128) -> io::Result<bool> {
        // the key can only lie at a place in [low, high), between the keys low_key and high_key
        let (mut low, mut high) = (0, self.n_keys);
        let (mut low_key, mut high_key) = (0, u128::MAX);
        while low < high {
            let share = (key - low_key) as f64 / (high_key - low_key).max(1) as f64;
            let guess = low + (share * (high - low) as f64) as u64;
            let start = guess.saturating_sub(BLOCK_KEYS / 2).clamp(low, high - 1);
            let block = self.block(start, (start + BLOCK_KEYS).min(high))?;
            let (Some(first), Some(last)) = (block.first(), block.last()) else { return Ok(false) };
            if key < *first {
                (high, high_key) = (start, *first);
            } else if key > *last {
                (low, low_key) = (start + block.len() as u64, *last);
            } else {
                return Ok(block.binary_search(&key).is_ok());
            }
        }
        Ok(false)
    }

    fn block(&mut self, start: u64, end: u64) -> io::Result<Vec<u128>> {
        let mut bytes = vec![0; (end - start) as usize * KEY_BYTES];
        self.file.seek(SeekFrom::Start(start * KEY_BYTES as u64))?;
        self.file.read_exact(&mut bytes)?;
        let (keys, _) = bytes.as_chunks::<KEY_BYTES>();
        Ok(keys.iter().map(|key| u128::from_be_bytes(*key)).collect())
    }
}

/// The keys of several runs in one order.
struct Merge<'a> {
    /// The next key of a run, and where those after it are read.
    heads: Vec<(u128, BufReader<&'a mut File>)>,
}

impl<'a> Merge<'a> {
    fn of(runs: &'a mut [Run]) -> io::Result<Self> {
        let mut heads = Vec::new();
        for run in runs {
            run.file.rewind()?;
            let mut reader = BufReader::new(&mut run.file);
            if let Some(key) = next_key(&mut reader)? {
                heads.push((key, reader));
            }
        }
        Ok(Self { heads })
    }
}

impl Iterator for Merge<'_> {
    type Item = io::Result<u128>;

    fn next(&mut self) -> Option<Self::Item> {
        let (idx, _) = self.heads.iter().enumerate().min_by_key(|(_, (key, _))| *key)?;
        let (key, reader) = &mut self.heads[idx];
        let smallest = *key;
        match next_key(reader) {
            Ok(Some(next)) => *key = next,
            Ok(None) => drop(self.heads.swap_remove(idx)),
            Err(e) => return Some(Err(e)),
        }
        Some(Ok(smallest))
    }
}

fn next_key(reader: &mut impl Read) -> io::Result<Option<u128>> {
    let mut bytes = [0; KEY_BYTES];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u128::from_be_bytes(bytes))),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

fn key_of(id: &str) -> u128 {
    let hash = blake3::hash(id.as_bytes());
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(&hash.as_bytes()[..KEY_BYTES]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small(max_recent: usize) -> SeenKeys {
        SeenKeys { max_recent, ..SeenKeys::in_dir(&std::env::temp_dir()) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_agrees_with_a_set_in_memory(
            ids in prop::collection::vec(0u32..500, 0..2000),
            max_recent in 1usize..40,
        ) {
            let (mut seen, mut expected) = (small(max_recent), HashSet::new());
            for id in ids {
                prop_assert_eq!(seen.insert(&id.to_string()).expect("the disk takes it"), expected.insert(id));
            }
        }
    }

    #[test]
    fn runs_stay_few_and_every_key_is_found_again() {
        let mut seen = small(500);
        for id in 0..60_000 {
            assert!(seen.insert(&id.to_string()).expect("the disk takes it"), "{id}");
        }
        assert!(seen.runs.len() <= 12, "{} runs", seen.runs.len());
        assert!(seen.recent.len() < 500);
        for id in (0..60_000).step_by(7) {
            assert!(!seen.insert(&id.to_string()).expect("the disk takes it"), "{id}");
        }
    }
}
