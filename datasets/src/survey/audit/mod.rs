//! Reads every byte of a corpus again and says what is wrong where.
//!
//! Each file is blamed for itself alone: an index that changed is not believed about the shards, and entries that changed
//! are not held against them.

mod listing;
mod shard;
mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::shard::{CorpusError, Entry};
use listing::{EntryGroups, Listing};
use shard::ShardAudit;

/// How thoroughly to look, and how much to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Decode every picture and every sound as well.
    pub decode: bool,
    /// As many problems of a file are told; all are counted.
    pub n_shown_a_file: usize,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { decode: false, n_shown_a_file: 20 }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, inside the corpus's folder.
    pub file: String,
    /// The sample, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// The first byte concerned, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// What was expected and what was found.
    pub problem: String,
}

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Files read.
    pub n_files: u64,
    /// Bytes read.
    pub n_bytes: u64,
    /// Samples found in the shards.
    pub n_samples: u64,
    /// Pictures and sounds whose bytes match their hash.
    pub n_media: u64,
    /// Of these, how many were decoded.
    pub n_decoded: u64,
    /// Problems found.
    pub n_problems: u64,
    /// The first of each file.
    pub problems: Vec<Problem>,
}

/// What was found in one file.
#[derive(Debug, Default)]
struct Findings {
    file: String,
    n_shown: usize,
    n_problems: u64,
    problems: Vec<Problem>,
}

impl Findings {
    fn of(file: &str, options: AuditOptions) -> Self {
        Self { file: file.to_owned(), n_shown: options.n_shown_a_file, ..Self::default() }
    }

    fn add(&mut self, sample: Option<&str>, byte: Option<u64>, problem: impl Into<String>) {
        self.n_problems += 1;
        if self.problems.len() < self.n_shown {
            let (file, sample) = (self.file.clone(), sample.map(str::to_owned));
            self.problems.push(Problem { file, sample, byte, problem: problem.into() });
        }
    }

    fn whole(&mut self, problem: impl Into<String>) {
        self.add(None, None, problem);
    }
}

impl Audit {
    fn take(&mut self, findings: Findings) {
        self.n_problems += findings.n_problems;
        self.problems.extend(findings.problems);
    }

    fn take_shard(&mut self, shard: ShardAudit) {
        self.n_files += u64::from(shard.is_there);
        self.n_bytes += shard.n_bytes;
        self.n_samples += shard.n_samples;
        self.n_media += shard.n_media;
        self.n_decoded += shard.n_decoded;
        self.take(shard.findings);
    }
}

/// Checks a corpus: the index against its own hash, every file against the index, every member against its hash and
/// its entry, and, if so wanted, every picture and sound by decoding it. Shards are checked in parallel, with the entries
/// of those at hand in memory. `progress` is called with the bytes done and the bytes there are, from any thread.
///
/// # Errors
/// A folder without an index. Everything else that is wrong is in the [`Audit`].
pub fn audit(
    dir: &Path,
    options: AuditOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Audit, CorpusError> {
    let mut audit = Audit::default();
    let (listing, findings) = Listing::read(dir, options)?;
    let is_trusted = findings.n_problems == 0;
    audit.n_files += 1;
    audit.n_bytes += listing.index_bytes;
    audit.take(findings);

    let entries_hold = match &listing.index {
        Some(index) => {
            let (n_bytes, findings) = listing::check_file(dir, &index.licences, options);
            audit.n_files += 1;
            audit.n_bytes += n_bytes;
            audit.take(findings);
            let (n_bytes, findings) = listing::check_file(dir, &index.entries, options);
            audit.n_files += 1;
            audit.n_bytes += n_bytes;
            let hold = findings.n_problems == 0;
            audit.take(findings);
            hold
        }
        None => true,
    };
    let n_total = listing.shards.iter().map(|shard| size(dir, &shard.name)).sum();
    let done = std::sync::atomic::AtomicU64::new(0);
    let tick = |n_bytes: u64| {
        let before = done.fetch_add(n_bytes, std::sync::atomic::Ordering::Relaxed);
        progress(before + n_bytes, n_total);
    };
    let check = |shard_idx: usize, entries: Option<&[Entry]>| {
        shard::check(dir, &listing.shards[shard_idx], entries, options, &tick)
    };

    let mut seen = BTreeSet::new();
    let mut shards: Vec<(usize, ShardAudit)> = Vec::new();
    if entries_hold {
        let n_samples = listing.index.as_ref().map(|index| index.n_samples);
        let mut groups = EntryGroups::open(dir, listing.shards.len(), n_samples, options);
        shards = groups
            .by_ref()
            .par_bridge()
            .map(|(shard_idx, entries)| (shard_idx, check(shard_idx, Some(&entries))))
            .collect();
        seen.extend(shards.iter().map(|(shard_idx, _)| *shard_idx));
        let findings = groups.finish();
        // without an index that holds, nothing says how many there should be
        if is_trusted || findings.n_problems > 0 {
            audit.take(findings);
        }
    }
    let unseen: Vec<usize> =
        (0..listing.shards.len()).filter(|shard_idx| !seen.contains(shard_idx)).collect();
    let known = if entries_hold && is_trusted { Some(&[][..]) } else { None };
    shards.extend(
        unseen.into_par_iter().map(|shard_idx| (shard_idx, check(shard_idx, known))).collect::<Vec<_>>(),
    );
    shards.sort_by_key(|(shard_idx, _)| *shard_idx);
    shards.into_iter().for_each(|(_, shard)| audit.take_shard(shard));
    Ok(audit)
}

fn size(dir: &Path, name: &str) -> u64 {
    fs::metadata(dir.join(name)).map_or(0, |metadata| metadata.len())
}
