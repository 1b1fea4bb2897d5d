//! The samples that a preparation begins with, cut into chunks.

use std::collections::HashMap;
use std::path::Path;

use super::error::PipelineError;
use super::item::Item;
use super::key::Key;
use super::ledger::Dropped;
use super::slice::Slice;
use crate::shard::Corpus;

/// A chunk's files take no more memory than this, but for a sample that alone is larger.
const MAX_CHUNK_BYTES: u64 = 64 << 20;

/// Which samples of which sources make which chunk.
pub(crate) struct Plan {
    /// Place of the source and of the sample in it.
    samples: Vec<(u32, u32)>,
    /// Where chunks begin in `samples`, and its end.
    starts: Vec<usize>,
    /// Samples whose identifier came before.
    pub repeated: Vec<Dropped>,
}

impl Plan {
    pub(crate) fn new(
        corpora: &[Corpus],
        slice_by: &Key,
        slice: Option<Slice>,
        chunk_samples: usize,
    ) -> Result<Self, PipelineError> {
        let mut plan = Self { samples: Vec::new(), starts: vec![0], repeated: Vec::new() };
        let mut seen: HashMap<&str, u32> = HashMap::new();
        let mut n_bytes = 0;
        for (corpus_idx, corpus) in corpora.iter().enumerate() {
            for (sample_idx, entry) in corpus.entries().iter().enumerate() {
                if slice.is_some_and(|slice| !slice.holds(&slice_by.single(entry))) {
                    continue;
                }
                // one corpus has no identifier twice
                if corpora.len() > 1 {
                    if let Some(first) = seen.get(entry.id.as_str()) {
                        plan.repeated.push(repeated(corpora, corpus, *first as usize, entry));
                        continue;
                    }
                    seen.insert(&entry.id, corpus_idx as u32);
                }
                let size: u64 = entry.image.iter().chain(&entry.audio).map(|member| member.n_bytes).sum();
                let start = plan.starts.last().copied().unwrap_or(0);
                let n_samples = plan.samples.len() - start;
                if n_samples > 0 && (n_samples >= chunk_samples || n_bytes + size > MAX_CHUNK_BYTES) {
                    plan.starts.push(plan.samples.len());
                    n_bytes = 0;
                }
                n_bytes += size;
                let sample_idx = u32::try_from(sample_idx).map_err(|_| {
                    PipelineError::usage(
                        format!(
                            "{}: expected at most {} samples in a source",
                            corpus.dir().display(),
                            u32::MAX
                        ),
                        "cut it into several",
                    )
                })?;
                plan.samples.push((corpus_idx as u32, sample_idx));
            }
        }
        if plan.starts.last() != Some(&plan.samples.len()) {
            plan.starts.push(plan.samples.len());
        }
        Ok(plan)
    }

    pub(crate) fn n_samples(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn n_chunks(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn items(&self, corpora: &[Corpus], chunk_idx: usize) -> Vec<Item> {
        self.samples[self.starts[chunk_idx]..self.starts[chunk_idx + 1]]
            .iter()
            .map(|&(corpus_idx, sample_idx)| {
                let (corpus_idx, sample_idx) = (corpus_idx as usize, sample_idx as usize);
                Item::of_entry(&corpora[corpus_idx].entries()[sample_idx], corpus_idx, sample_idx)
            })
            .collect()
    }
}

fn repeated(corpora: &[Corpus], corpus: &Corpus, first_idx: usize, entry: &crate::shard::Entry) -> Dropped {
    let shown = |dir: &Path| dir.display().to_string();
    Dropped {
        id: entry.id.clone(),
        source: format!("{}, {}", shown(corpus.dir()), entry.source),
        stage: "sources".to_owned(),
        kind: "repeated_id".to_owned(),
        reason: format!(
            "expected an identifier of its own, got that of a sample of {}",
            shown(corpora[first_idx].dir())
        ),
        is_bad: true,
    }
}
