//! *shard*: the files of the corpus. Each shard is written as a corpus of its own first, so that a stopped preparation
//! goes on with the next one, and all are joined at the end.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::{Item, Store};
use super::recipe::Objection;
use crate::shard::{Corpus, Licence, ShardWriter};

/// How large shards are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardSettings {
    /// A shard is closed once it holds this many MiB.
    pub mib: f64,
}

impl Default for ShardSettings {
    fn default() -> Self {
        Self { mib: 64.0 }
    }
}

impl ShardSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        if self.mib > 0.0 && self.mib <= 1024.0 * 1024.0 {
            return Vec::new();
        }
        vec![(vec!["shard", "mib"], format!("expected MiB above 0, at most 1048576, got {}", self.mib))]
    }

    fn max_bytes(&self) -> u64 {
        ((self.mib * 1024.0 * 1024.0) as u64).max(1)
    }

    /// How many samples each shard holds.
    pub(crate) fn cut(
        &self,
        items: impl Iterator<Item = Result<Item, PipelineError>>,
    ) -> Result<Vec<usize>, PipelineError> {
        /// Headers and padding of a sample's members, about.
        const OVERHEAD_BYTES: u64 = 2048;
        let mut shards = vec![0];
        let mut n_bytes = 0;
        for item in items {
            if n_bytes >= self.max_bytes() {
                shards.push(0);
                n_bytes = 0;
            }
            n_bytes += item?.n_bytes() + OVERHEAD_BYTES;
            if let Some(last) = shards.last_mut() {
                *last += 1;
            }
        }
        Ok(shards)
    }
}

/// The folder of a shard.
pub(crate) fn part_dir(dir: &Path, shard_idx: usize) -> PathBuf {
    dir.join(format!("part-{shard_idx:06}"))
}

/// Whether a shard is done; a part of one does not count.
pub(crate) fn is_done(dir: &Path) -> bool {
    Corpus::open(dir).is_ok()
}

/// Writes one shard as a corpus of its own.
pub(crate) fn write_part(
    dir: &Path,
    items: impl Iterator<Item = Result<Item, PipelineError>>,
    store: &Store,
    licences: &[Licence],
) -> Result<(), PipelineError> {
    let mut writer = ShardWriter::create(dir, "part")?.with_shard_bytes(u64::MAX);
    for item in items {
        writer.push(item?.into_sample(store)?)?;
    }
    writer.finish(licences)?;
    store.release();
    Ok(())
}
