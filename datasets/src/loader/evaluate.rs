//! Given samples once, in order, unchanged.

use std::sync::Arc;

use super::fetch::Fetcher;
use super::workers::OrderedWorkers;
use super::{BadSample, LoaderConfig, LoaderError, audio_batch, image_batch, text_batch};
use crate::audio::AudioTransform;
use crate::batch::HostBatch;
use crate::shard::Corpus;
use crate::text::Tokenizer;

/// Some samples of a corpus in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalBatch {
    /// The numbers of the samples in the corpus, one a row.
    pub entries: Vec<usize>,
    /// The samples; a row's text is the sample's first.
    pub batch: HostBatch,
}

/// Batches of given samples, without augmentation. The last may be smaller. The batch size changes nothing but the
/// padding.
pub struct EvalLoader {
    workers: OrderedWorkers<EvalBatch>,
}

impl EvalLoader {
    /// Starts the threads. Of the configuration it takes the batch size, the modalities without their augmentation,
    /// and the number of threads; a bad sample always stops it, or the figures would be of something else.
    ///
    /// # Errors
    /// A value out of its range, or a number that no sample has.
    pub fn start(
        corpus: Arc<Corpus>,
        tokenizer: Arc<Tokenizer>,
        config: &LoaderConfig,
        indices: Vec<usize>,
    ) -> Result<Self, LoaderError> {
        config.check().map_err(|problem| LoaderError::Config { problem })?;
        if let Some(idx) = indices.iter().find(|idx| **idx >= corpus.len()) {
            let problem = format!("samples: expected numbers below {}, got {idx}", corpus.len());
            return Err(LoaderError::Config { problem });
        }
        // every sample is read once, so nothing is worth keeping; and a model is measured where its noise may not lie
        let plain = LoaderConfig {
            cache_bytes: 0,
            audio: config.audio.as_ref().map(AudioTransform::plain),
            ..config.clone()
        };
        let fetcher = Fetcher::new(corpus, tokenizer, &plain)?;
        let batch_size = config.batch_size;
        let n_batches = indices.len().div_ceil(batch_size) as u64;
        let make = move |batch_idx: u64| {
            let first = batch_idx as usize * batch_size;
            let entries = indices[first..indices.len().min(first + batch_size)].to_vec();
            Ok(plain_batch(&fetcher, entries)?)
        };
        Ok(Self { workers: OrderedWorkers::start(config.workers, config.queue, 0, n_batches, make)? })
    }
}

impl Iterator for EvalLoader {
    type Item = Result<EvalBatch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.workers.next()
    }
}

fn plain_batch(fetcher: &Fetcher, entries: Vec<usize>) -> Result<EvalBatch, BadSample> {
    let all = fetcher.corpus.entries();
    let texts: Vec<_> = entries.iter().map(|idx| fetcher.tokens(all[*idx].texts.first())).collect();
    let images = entries.iter().map(|idx| fetcher.plain_image(*idx)).collect::<Result<Vec<_>, _>>()?;
    let sounds = entries.iter().map(|idx| fetcher.frames(*idx, None)).collect::<Result<Vec<_>, _>>()?;
    let batch = HostBatch {
        ids: entries.iter().map(|idx| all[*idx].group.clone()).collect(),
        text: text_batch(&texts),
        image: image_batch(&images, fetcher.image_side()),
        audio: audio_batch(&sounds),
        // how a model answers is measured question by question
        image_questions: None,
        audio_questions: None,
        mixup: None,
    };
    Ok(EvalBatch { entries, batch })
}
