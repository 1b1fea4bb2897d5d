//! The samples that a preparation begins with, cut into chunks.

use std::collections::HashMap;
use std::path::Path;

use super::error::PipelineError;
use super::item::Item;
use super::key::Key;
use super::ledger::Dropped;
use super::slice::Slice;
use crate::shard::CorpusWalk;

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
        corpora: &[CorpusWalk],
        slice_by: &Key,
        slice: Option<Slice>,
        chunk_samples: usize,
    ) -> Result<Self, PipelineError> {
        let mut plan = Self { samples: Vec::new(), starts: vec![0], repeated: Vec::new() };
        let mut seen: HashMap<[u8; 16], u32> = HashMap::new();
        let mut n_bytes = 0;
        for (corpus_idx, corpus) in corpora.iter().enumerate() {
            for (sample_idx, entry) in corpus.stream().entries()?.enumerate() {
                let entry = &entry?;
                if slice.is_some_and(|slice| !slice.holds(&slice_by.single(entry))) {
                    continue;
                }
                // one corpus has no identifier twice
                if corpora.len() > 1 {
                    let mut key = [0; 16];
                    key.copy_from_slice(&blake3::hash(entry.id.as_bytes()).as_bytes()[..16]);
                    if let Some(first) = seen.get(&key) {
                        plan.repeated.push(repeated(corpora, corpus, *first as usize, entry));
                        continue;
                    }
                    seen.insert(key, corpus_idx as u32);
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
                            corpus.stream().dir().display(),
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

    pub(crate) fn items(&self, corpora: &[CorpusWalk], chunk_idx: usize) -> Result<Vec<Item>, PipelineError> {
        let samples = &self.samples[self.starts[chunk_idx]..self.starts[chunk_idx + 1]];
        let mut items = Vec::with_capacity(samples.len());
        // those of one source follow each other
        for samples in samples.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((corpus_idx, _)) = samples.first() else { continue };
            let corpus_idx = *corpus_idx as usize;
            let entries = corpora[corpus_idx].entries(samples.iter().map(|(_, idx)| *idx as usize))?;
            items.extend(entries.into_iter().map(|entry| Item::of_entry(entry, corpus_idx)));
        }
        Ok(items)
    }
}

fn repeated(
    corpora: &[CorpusWalk],
    corpus: &CorpusWalk,
    first_idx: usize,
    entry: &crate::shard::Entry,
) -> Dropped {
    let shown = |dir: &Path| dir.display().to_string();
    Dropped {
        id: entry.id.clone(),
        source: format!("{}, {}", shown(corpus.stream().dir()), entry.source),
        stage: "sources".to_owned(),
        kind: "repeated_id".to_owned(),
        reason: format!(
            "expected an identifier of its own, got that of a sample of {}",
            shown(corpora[first_idx].stream().dir())
        ),
        is_bad: true,
    }
}
