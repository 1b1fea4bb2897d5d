//! The figures of a corpus, ready to print or to write as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::distribution::Distribution;
use super::extremes::Outliers;
use super::repeats::Repeats;
use super::tally::{TagFigures, ValueCount};
use crate::sample::Split;

/// Everything that [`super::survey`] finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Survey {
    /// The name that the corpus was made under.
    pub name: String,
    /// BLAKE3 over everything in it.
    pub content_hash: String,
    /// Of everything.
    pub total: Amounts,
    /// Of each split that has a sample.
    pub splits: BTreeMap<Split, Amounts>,
    /// Nothing where there is no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageFigures>,
    /// Nothing where there is no sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sounds: Option<AudioFigures>,
    /// Nothing where there is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextFigures>,
    /// In the order of their keys.
    pub tags: Vec<TagFigures>,
    /// Pictures with the same bytes.
    pub repeated_images: Repeats,
    /// Sounds with the same bytes.
    pub repeated_sounds: Repeats,
    /// Texts that are the same once normalised (case, Unicode form, spaces), counted once a sample.
    pub repeated_texts: Repeats,
    /// Samples that share a group.
    pub groups: Repeats,
    /// Number of pictures and sounds that cannot be read.
    pub n_unreadable: u64,
    /// The first of them.
    pub unreadable: Vec<Unreadable>,
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Amounts {
    /// Samples.
    pub n_samples: u64,
    /// Groups with a sample here.
    pub n_groups: u64,
    /// Pictures.
    pub n_images: u64,
    /// Bytes of the pictures, encoded.
    pub image_bytes: u64,
    /// Sounds.
    pub n_sounds: u64,
    /// Bytes of the sounds, encoded.
    pub sound_bytes: u64,
    /// Length of the sounds whose length is known.
    pub sound_s: f64,
    /// Texts, empty ones too.
    pub n_texts: u64,
    /// Words of the texts.
    pub n_words: u64,
    /// Samples with neither picture nor sound nor a text that is not empty.
    pub n_empty: u64,
}

/// Pictures, by their headers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageFigures {
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Distribution>,
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<Distribution>,
    /// Width over height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect: Option<Distribution>,
    /// Encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_bytes: Option<Distribution>,
    /// By content.
    pub formats: Vec<ValueCount>,
    /// Smallest and largest by their number of pixels.
    pub pixels: Outliers,
    /// Narrowest and widest.
    pub aspects: Outliers,
}

/// Sounds, by their headers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AudioFigures {
    /// In seconds, of those whose length is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<Distribution>,
    /// Encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_bytes: Option<Distribution>,
    /// Characters of the first text a second: far-off values are often wrong transcripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters_per_s: Option<Distribution>,
    /// Sounds whose length neither header nor packets tell.
    pub n_without_duration: u64,
    /// Samples a second.
    pub rates_hz: Vec<ValueCount>,
    /// Channels.
    pub channels: Vec<ValueCount>,
    /// Containers, by content.
    pub formats: Vec<ValueCount>,
    /// Shortest and longest.
    pub durations: Outliers,
    /// Slowest and fastest, in characters a second.
    pub speech_rates: Outliers,
}

/// Texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextFigures {
    /// A sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_a_sample: Option<Distribution>,
    /// A text, in Unicode scalar values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_characters: Option<Distribution>,
    /// A text, by Unicode's word boundaries (UAX 29).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_words: Option<Distribution>,
    /// A text, where a tokenizer was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_tokens: Option<Distribution>,
    /// Texts with nothing but spaces.
    pub n_empty: u64,
    /// Texts that say what an earlier one of the same sample says.
    pub n_said_twice: u64,
    /// Words.
    pub vocabulary: Vocabulary,
    /// Languages.
    pub languages: LanguageFigures,
    /// Shortest and longest in characters, by sample.
    pub lengths: Outliers,
}

/// Words of all texts, in lower case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vocabulary {
    /// Words.
    pub n_words: u64,
    /// Different words.
    pub n_distinct: u64,
    /// Words that occur once.
    pub n_hapaxes: u64,
    /// The most frequent ones.
    pub most_frequent: Vec<ValueCount>,
}

/// Languages of the texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageFigures {
    /// Texts by the sample's tag `language`, `lang` or `locale`.
    pub tagged: Vec<ValueCount>,
    /// Texts without such a tag, guessed by their trigrams.
    pub guessed: Vec<ValueCount>,
    /// Texts without a tag that are too short to guess, under 20 characters.
    pub n_short: u64,
    /// Texts without a tag whose language is unsure.
    pub n_unsure: u64,
}

/// A picture or a sound that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The sample.
    pub id: String,
    /// `picture` or `sound`.
    pub medium: &'static str,
    /// What is wrong.
    pub problem: String,
}
