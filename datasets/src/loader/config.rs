//! What a loader is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audio::AudioTransform;
use crate::image::ImageTransform;
use crate::sample::Split;
use crate::shard::{Corpus, Entry};

/// Which samples, in which sizes, how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// A sample is used if any of these takes it; by default those for training.
    #[serde(default = "training_samples")]
    pub select: Vec<Selection>,
    /// Rows in a batch, each of another group.
    pub batch_size: usize,
    /// Decides the order, the pairing and every random change.
    #[serde(default)]
    pub seed: u64,
    /// How texts are cut; `None` leaves them out.
    #[serde(default)]
    pub text: Option<TextOptions>,
    /// How pictures are made ready; `None` leaves them out.
    #[serde(default)]
    pub image: Option<ImageTransform>,
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

/// How texts become rows of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextOptions {
    /// Longer texts are cut.
    pub max_tokens: usize,
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
            batch_size,
            seed: 0,
            text: None,
            image: None,
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
        if let Some(audio) = &self.audio {
            audio.check().map_err(|problem| format!("audio.{problem}"))?;
        }
        Ok(())
    }

    pub(super) fn selects(&self, entry: &Entry) -> bool {
        self.select.iter().any(|selection| selection.matches(entry))
    }
}
