//! What a loader is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audio::AudioTransform;
use crate::image::ImageTransform;
use crate::mixup::MAX_ALPHA;
use crate::sample::Split;
use crate::shard::{Corpus, Entry};

/// Which samples, in which sizes, how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// A sample is used if any of these takes it; by default those for training.
    #[serde(default = "training_samples")]
    pub select: Vec<Selection>,
    /// What is mixed, and in which proportions; none means everything selected, once an epoch.
    #[serde(default)]
    pub streams: Vec<Stream>,
    /// Rows in a batch, each of another group; the most that it may have where `fill` sets another limit.
    pub batch_size: usize,
    /// When a batch is full.
    #[serde(default)]
    pub fill: Fill,
    /// Puts rows of like length into a batch; implied where `fill` counts lengths.
    #[serde(default)]
    pub bucket: Option<LengthOf>,
    /// Which of `n_ranks` loaders this is, from 0.
    #[serde(default)]
    pub rank: usize,
    /// How many loaders share every step. Their batches together are those of one loader whose batches are so many times
    /// as large.
    #[serde(default = "one")]
    pub n_ranks: usize,
    /// Decides the order, the pairing and every random change.
    #[serde(default)]
    pub seed: u64,
    /// How texts are cut; `None` leaves them out.
    #[serde(default)]
    pub text: Option<TextOptions>,
    /// How pictures are made ready; `None` leaves them out.
    #[serde(default)]
    pub image: Option<ImageTransform>,
    /// Blends each picture with another of its batch: the alpha of [`Mixup`](crate::mixup::Mixup). 0 blends nothing.
    #[serde(default)]
    pub image_mixup: f64,
    /// How sounds are made ready; `None` leaves them out.
    #[serde(default)]
    pub audio: Option<AudioTransform>,
    /// Sounds that stand for each row, different ones where the group has as many.
    #[serde(default = "one")]
    pub sounds_per_row: usize,
    /// Threads that make batches; 0 makes them in the caller's. The number changes no batch.
    #[serde(default = "one")]
    pub workers: usize,
    /// Finished batches that wait, a thread.
    #[serde(default = "two")]
    pub queue: usize,
    /// What happens to samples that cannot be decoded.
    #[serde(default)]
    pub on_bad: OnBad,
    /// Memory for decoded pictures, in bytes. It changes no batch.
    #[serde(default = "cache_bytes")]
    pub cache_bytes: usize,
}

fn training_samples() -> Vec<Selection> {
    vec![Selection { split: Some(Split::Train), tags: BTreeMap::new() }]
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

/// Room for some 9,000 pictures of 96 pixels.
fn cache_bytes() -> usize {
    256 << 20
}

/// Samples that are mixed with others by weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Which of the selected samples.
    pub select: Selection,
    /// Its share, relative to the other streams': of the rows, or of the batches where rows of like length are put
    /// together.
    pub weight: f64,
}

/// When a batch is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// It has `batch_size` rows.
    #[default]
    Rows,
    /// Its sounds, padded to the longest, are so many seconds together.
    Seconds(f64),
    /// Its texts, padded to the longest, are so many tokens together.
    Tokens(u64),
}

/// What makes a row long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthOf {
    /// The longest sound of its group.
    Audio,
    /// Its text.
    Text,
}

/// How texts become rows of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextOptions {
    /// Longer texts are cut.
    pub max_tokens: usize,
    /// Which of a sample's texts stands for it in training.
    #[serde(default)]
    pub choose: TextChoice,
}

/// Which of several texts stands for a sample in training. Evaluations use the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextChoice {
    /// The first.
    #[default]
    First,
    /// Another one every epoch, drawn at random.
    Any,
}

impl TextChoice {
    /// Whether it is the default.
    pub fn is_first(&self) -> bool {
        *self == Self::First
    }
}

impl TextOptions {
    /// The first text of a sample, cut to so many tokens.
    pub fn new(max_tokens: usize) -> Self {
        Self { max_tokens, choose: TextChoice::First }
    }
}

impl Fill {
    /// Whether a batch is full by its rows.
    pub fn is_rows(&self) -> bool {
        *self == Self::Rows
    }
}

/// What happens to a sample that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// The run stops with its name.
    #[default]
    Stop,
    /// Another member of its group takes its place, and it is counted.
    Skip,
}

/// A condition on samples. An empty one takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Only this split.
    pub split: Option<Split>,
    /// For each key here, the sample must have the tag, with one of the values.
    pub tags: BTreeMap<String, Vec<String>>,
}

impl Selection {
    /// Everything of a split.
    pub fn of_split(split: Split) -> Self {
        Self { split: Some(split), tags: BTreeMap::new() }
    }

    /// The same, and the tag must have one of the values.
    pub fn with_tag<S: Into<String>>(mut self, key: &str, values: impl IntoIterator<Item = S>) -> Self {
        self.tags.insert(key.to_owned(), values.into_iter().map(Into::into).collect());
        self
    }

    /// Whether a sample fulfils it.
    pub fn matches(&self, entry: &Entry) -> bool {
        self.split.is_none_or(|split| split == entry.split)
            && self
                .tags
                .iter()
                .all(|(key, values)| entry.tags.get(key).is_some_and(|tag| values.contains(tag)))
    }
}

impl Corpus {
    /// The numbers of the samples that fulfil a condition, in their order.
    pub fn select(&self, selection: &Selection) -> Vec<usize> {
        (0..self.len()).filter(|idx| selection.matches(&self.entries()[*idx])).collect()
    }
}

impl LoaderConfig {
    /// The defaults with every modality left out.
    pub fn new(batch_size: usize) -> Self {
        Self {
            select: training_samples(),
            streams: Vec::new(),
            batch_size,
            fill: Fill::default(),
            bucket: None,
            rank: 0,
            n_ranks: one(),
            seed: 0,
            text: None,
            image: None,
            image_mixup: 0.0,
            audio: None,
            sounds_per_row: one(),
            workers: one(),
            queue: two(),
            on_bad: OnBad::default(),
            cache_bytes: cache_bytes(),
        }
    }

    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.batch_size == 0 {
            return Err("batch_size: expected at least 1, got 0".to_owned());
        }
        if self.rank >= self.n_ranks {
            return Err(format!("rank: expected below n_ranks = {}, got {}", self.n_ranks, self.rank));
        }
        for stream in &self.streams {
            if !(stream.weight.is_finite() && stream.weight > 0.0) {
                return Err(format!("streams.weight: expected a number above 0, got {}", stream.weight));
            }
        }
        self.check_lengths()?;
        if !(1..=16).contains(&self.sounds_per_row) {
            return Err(format!("sounds_per_row: expected 1 to 16, got {}", self.sounds_per_row));
        }
        if self.workers > 256 {
            return Err(format!("workers: expected 0 to 256 threads, got {}", self.workers));
        }
        if self.queue == 0 {
            return Err("queue: expected at least 1, got 0".to_owned());
        }
        if self.select.is_empty() {
            return Err("select: expected at least one condition, got none".to_owned());
        }
        if self.text.is_none() && self.image.is_none() && self.audio.is_none() {
            return Err("text, image, audio: expected at least one of them, got none".to_owned());
        }
        if self.text.as_ref().is_some_and(|text| text.max_tokens == 0) {
            return Err("text.max_tokens: expected at least 1, got 0".to_owned());
        }
        if let Some(image) = &self.image {
            image.check().map_err(|problem| format!("image.{problem}"))?;
        }
        if !(0.0..=MAX_ALPHA).contains(&self.image_mixup) {
            return Err(format!("image_mixup: expected 0 to {MAX_ALPHA}, got {}", self.image_mixup));
        }
        if let Some(audio) = &self.audio {
            audio.check().map_err(|problem| format!("audio.{problem}"))?;
        }
        Ok(())
    }

    /// What makes a row long, where rows of like length are put together.
    pub(super) fn length_of(&self) -> Option<LengthOf> {
        match self.fill {
            Fill::Rows => self.bucket,
            Fill::Seconds(_) => Some(LengthOf::Audio),
            Fill::Tokens(_) => Some(LengthOf::Text),
        }
    }

    fn check_lengths(&self) -> Result<(), String> {
        match self.fill {
            Fill::Seconds(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
                return Err(format!("fill.seconds: expected a number above 0, got {seconds}"));
            }
            Fill::Tokens(0) => return Err("fill.tokens: expected at least 1, got 0".to_owned()),
            _ => {}
        }
        if let (Some(bucket), Some(length_of)) = (self.bucket, self.length_of())
            && bucket != length_of
        {
            return Err("bucket: expected what `fill` counts, or nothing, got the other".to_owned());
        }
        match self.length_of() {
            Some(LengthOf::Audio) if self.audio.is_none() => {
                Err("fill, bucket: expected sounds to measure, got none".to_owned())
            }
            Some(LengthOf::Text) if self.text.is_none() => {
                Err("fill, bucket: expected texts to measure, got none".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn selects(&self, entry: &Entry) -> bool {
        self.select.iter().any(|selection| selection.matches(entry))
    }
}
