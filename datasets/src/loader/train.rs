//! The endless stream of training batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::collate::sounds_batch;
use super::fetch::Fetcher;
use super::plan::{Group, Plan, Row};
use super::workers::OrderedWorkers;
use super::{
    BadSample, LoaderConfig, LoaderError, LoaderPosition, OnBad, TextChoice, image_batch, question_batch,
    text_batch,
};
use crate::audio::Frames;
use crate::batch::{HostBatch, ImageBatch};
use crate::mixup::Mixup;
use crate::shard::Corpus;
use crate::text::Tokenizer;

/// Batches for training, without end.
///
/// An epoch is a permutation of the groups, cut into full batches; what is left over at its end waits for the next
/// permutation. Streams that are mixed by weight have epochs of their own. For each group of a batch one of its pictures and some of its sounds are drawn, each changed at
/// random. Of the questions about these and of the answers to each, one is drawn too. Batch `k` is a pure function of the corpus, the configuration and `k`: neither the number of threads nor
/// where the stream was entered changes it.
pub struct TrainLoader {
    workers: OrderedWorkers<(HostBatch, Vec<BadSample>)>,
    next: u64,
    batches_per_epoch: u64,
    n_groups: usize,
    bad_samples: BTreeMap<String, (BadSample, usize)>,
}

impl TrainLoader {
    /// Starts the threads; the first batch will be number `from_batch`.
    ///
    /// # Errors
    /// A value out of its range, fewer groups than a batch has rows, or recordings of noise that cannot be read.
    pub fn start(
        corpus: Arc<Corpus>,
        tokenizer: Arc<Tokenizer>,
        config: &LoaderConfig,
        from_batch: u64,
    ) -> Result<Self, LoaderError> {
        config.check().map_err(|problem| LoaderError::Config { problem })?;
        let plan = Plan::new(&corpus, &tokenizer, config)?;
        let (batches_per_epoch, n_groups) = (plan.batches_per_epoch(), plan.n_groups());
        let assembler = Assembler {
            fetcher: Fetcher::new(corpus, tokenizer, config)?,
            plan,
            chooses_texts: config.text.as_ref().is_some_and(|text| text.choose == TextChoice::Any),
            sounds_per_row: config.sounds_per_row,
            image_mixup: config.image_mixup,
            on_bad: config.on_bad,
        };
        let make = move |batch_idx| assembler.batch(batch_idx);
        let workers = OrderedWorkers::start(config.workers, config.queue, from_batch, u64::MAX, make)?;
        Ok(Self { workers, next: from_batch, batches_per_epoch, n_groups, bad_samples: BTreeMap::new() })
    }

    /// The next batch.
    ///
    /// # Errors
    /// A bad sample if those are to stop the run, or a thread that panicked. The stream then ends.
    pub fn next_batch(&mut self) -> Result<HostBatch, LoaderError> {
        let (batch, bad) = self.workers.next().unwrap_or(Err(LoaderError::Stopped))?;
        self.next += 1;
        for sample in bad {
            self.bad_samples.entry(sample.id.clone()).or_insert((sample, 0)).1 += 1;
        }
        Ok(batch)
    }

    /// Where the next batch stands. With the same corpus and configuration a loader that starts at its number goes on
    /// with the same batches.
    pub fn position(&self) -> LoaderPosition {
        LoaderPosition::of(self.next, self.batches_per_epoch)
    }

    /// Full batches in an epoch. Where streams are mixed, each has epochs of its own; this is in how many batches as
    /// much passes as all of them hold.
    pub fn batches_per_epoch(&self) -> u64 {
        self.batches_per_epoch
    }

    /// Groups that have a selected sample.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// The samples that were left out so far, each with how often it was drawn.
    pub fn bad_samples(&self) -> impl Iterator<Item = (&BadSample, usize)> {
        self.bad_samples.values().map(|(sample, n_times)| (sample, *n_times))
    }
}

struct Assembler {
    fetcher: Fetcher,
    plan: Plan,
    chooses_texts: bool,
    sounds_per_row: usize,
    image_mixup: f64,
    on_bad: OnBad,
}

impl Assembler {
    fn batch(&self, batch_idx: u64) -> Result<(HostBatch, Vec<BadSample>), LoaderError> {
        let rows = self.plan.batch(batch_idx);
        if batch_idx.is_multiple_of(self.plan.batches_per_epoch()) {
            // or the whole corpus would be held after some epochs
            self.fetcher.corpus.release_pages();
        }
        let entries = self.fetcher.corpus.entries();
        let mut bad = Vec::new();
        let (mut texts, mut images, mut sounds) = (Vec::new(), Vec::new(), Vec::new());
        let (mut of_images, mut of_sounds) = (Vec::new(), Vec::new());
        for (row, Row { group, epoch }) in rows.iter().copied().enumerate() {
            texts.push(self.fetcher.tokens(self.text(epoch, group)));
            let pictures = self.plan.candidates(epoch, group, &group.images, "which image");
            let picture = self.first_good(&pictures, &mut bad, |idx| {
                self.fetcher.changed_image(idx, self.plan.draw(epoch, &entries[idx].id, "image"))
            })?;
            of_images.push(picture.as_ref().and_then(|(idx, _)| self.question(epoch, *idx)));
            images.push(picture.map(|(_, pixels)| pixels));
            let clips = self.sounds(epoch, group, &mut bad)?;
            of_sounds.push(clips.first().and_then(|(idx, _)| self.question(epoch, *idx)));
            sounds.extend(clips.into_iter().map(|(_, clip)| (row, clip)));
        }
        let sounds = sounds.iter().map(|(row, clip)| (*row, clip)).collect::<Vec<_>>();
        let mut image = image_batch(&images, self.fetcher.image_side());
        let batch = HostBatch {
            ids: rows.iter().map(|row| row.group.name.clone()).collect(),
            text: text_batch(&texts),
            mixup: self.blend(batch_idx, image.as_mut()),
            image,
            audio: sounds_batch(&sounds),
            image_questions: question_batch(of_images),
            audio_questions: question_batch(of_sounds),
        };
        Ok((batch, bad))
    }

    /// Blends the pictures of a batch, those of this rank with one another.
    fn blend(&self, batch_idx: u64, image: Option<&mut ImageBatch>) -> Option<Mixup> {
        let image = image.filter(|image| self.image_mixup > 0.0 && image.rows.len() > 1)?;
        let mut draw = self.plan.draw_of_batch(batch_idx, "mixup");
        let mixup = Mixup::new(image.rows.len(), self.image_mixup, &mut draw);
        image.pixels = mixup.apply(&image.pixels);
        Some(mixup)
    }

    /// The text that stands for the group.
    fn text(&self, epoch: u64, group: &Group) -> Option<&String> {
        let texts = &self.fetcher.corpus.entries()[group.text?].texts;
        let chosen = if self.chooses_texts && texts.len() > 1 {
            self.plan.draw(epoch, &group.name, "which text").below(texts.len())
        } else {
            0
        };
        texts.get(chosen)
    }

    /// One of the questions about a sample and one of the answers to it, in tokens. The more people gave an answer, the
    /// likelier it is drawn.
    fn question(&self, epoch: u64, idx: usize) -> Option<[Vec<u32>; 2]> {
        let entry = &self.fetcher.corpus.entries()[idx];
        if entry.questions.is_empty() {
            return None;
        }
        let mut draw = self.plan.draw(epoch, &entry.id, "which question");
        let asked = &entry.questions[draw.below(entry.questions.len())];
        if asked.answers.is_empty() {
            return None;
        }
        let answer = &asked.answers[draw.below(asked.answers.len())];
        Some([self.fetcher.tokens(Some(&asked.question))?, self.fetcher.tokens(Some(answer))?])
    }

    /// As many sounds of the group as a row has with their samples, each another one as long as there are.
    fn sounds(
        &self,
        epoch: u64,
        group: &Group,
        bad: &mut Vec<BadSample>,
    ) -> Result<Vec<(usize, Frames)>, LoaderError> {
        let mut candidates = self.plan.candidates(epoch, group, &group.audios, "which audio");
        let mut sounds = Vec::with_capacity(self.sounds_per_row);
        for sound_idx in 0..self.sounds_per_row {
            let purpose = format!("audio {sound_idx}");
            sounds.extend(self.first_good(&candidates, bad, |idx| {
                let draw = self.plan.draw(epoch, &self.fetcher.corpus.entries()[idx].id, &purpose);
                self.fetcher.frames(idx, Some(draw))
            })?);
            let n_used = 1.min(candidates.len());
            candidates.rotate_left(n_used);
        }
        Ok(sounds)
    }

    /// The first candidate that can be used, with its number; the bad ones before it are noted, or stop the run.
    fn first_good<T>(
        &self,
        candidates: &[usize],
        bad: &mut Vec<BadSample>,
        fetch: impl Fn(usize) -> Result<Option<T>, BadSample>,
    ) -> Result<Option<(usize, T)>, LoaderError> {
        for idx in candidates {
            match fetch(*idx) {
                Ok(value) => return Ok(value.map(|value| (*idx, value))),
                Err(sample) if self.on_bad == OnBad::Skip => bad.push(sample),
                Err(sample) => return Err(sample.into()),
            }
        }
        Ok(None)
    }
}
