//! What an import did, or would do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::ledger::Failure;
use crate::sample::{Question, Sample, Split};
use crate::shard::Entry;

/// So many samples are shown by a dry run, and so many failures by every run; the ledger has all.
const N_SHOWN: usize = 5;
const N_FAILURES_SHOWN: usize = 20;

/// What an import did, or, in a dry run, would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The format.
    pub format: String,
    /// The corpus's folder; `None` in a dry run.
    pub out: Option<PathBuf>,
    /// False where the same corpus lay there already.
    pub is_new: bool,
    /// Number of samples.
    pub n_samples: usize,
    /// Samples with a picture.
    pub n_images: usize,
    /// Samples with a sound.
    pub n_sounds: usize,
    /// Seconds of sound, as far as lengths are known.
    pub sound_s: f64,
    /// Captions and transcripts.
    pub n_texts: usize,
    /// Bytes of pictures, sounds and texts.
    pub n_bytes: u64,
    /// Samples of each split.
    pub splits: BTreeMap<Split, usize>,
    /// Items that were not imported.
    pub n_failed: usize,
    /// The first failures.
    pub failures: Vec<Failure>,
    /// The first samples, in a dry run.
    pub previews: Vec<Preview>,
    /// Where every failure is named, if there were any.
    pub ledger: Option<PathBuf>,
    /// Whether neither the format nor the user said whose work it is.
    pub has_unknown_licence: bool,
    /// BLAKE3 over the corpus; `None` in a dry run.
    pub content_hash: Option<String>,
}

/// A sample as a dry run shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// Its key.
    pub id: String,
    /// Where it comes from.
    pub source: String,
    /// Its group.
    pub group: String,
    /// Where it would be used.
    pub split: Split,
    /// Kind and bytes of its picture.
    pub image: Option<(String, usize)>,
    /// Kind and bytes of its sound.
    pub audio: Option<(String, usize)>,
    /// Seconds of its sound.
    pub duration_s: Option<f64>,
    /// Its texts.
    pub texts: Vec<String>,
    /// What may be asked about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What one sample adds to a summary.
pub(crate) struct Tally {
    split: Split,
    has_image: bool,
    has_sound: bool,
    sound_s: f64,
    n_texts: usize,
    n_bytes: u64,
}

impl Tally {
    pub(crate) fn of(sample: &Sample, duration_s: Option<f64>) -> Self {
        let media = sample.image.iter().chain(&sample.audio).map(|media| media.bytes.len());
        let n_bytes: usize = media.chain(sample.texts.iter().map(String::len)).sum();
        Self {
            split: sample.split,
            has_image: sample.image.is_some(),
            has_sound: sample.audio.is_some(),
            sound_s: duration_s.unwrap_or(0.0),
            n_texts: sample.texts.len(),
            n_bytes: n_bytes as u64,
        }
    }

    pub(crate) fn of_entry(entry: &Entry) -> Self {
        let media = entry.image.iter().chain(&entry.audio).map(|member| member.n_bytes);
        Self {
            split: entry.split,
            has_image: entry.image.is_some(),
            has_sound: entry.audio.is_some(),
            sound_s: entry.duration_s.unwrap_or(0.0),
            n_texts: entry.texts.len(),
            n_bytes: media.chain(entry.texts.iter().map(|text| text.len() as u64)).sum(),
        }
    }
}

impl Summary {
    pub(crate) fn add(&mut self, tally: &Tally) {
        self.n_samples += 1;
        self.n_images += usize::from(tally.has_image);
        self.n_sounds += usize::from(tally.has_sound);
        self.sound_s += tally.sound_s;
        self.n_texts += tally.n_texts;
        self.n_bytes += tally.n_bytes;
        *self.splits.entry(tally.split).or_default() += 1;
    }

    pub(crate) fn show(&mut self, sample: &Sample, duration_s: Option<f64>) {
        if self.previews.len() >= N_SHOWN {
            return;
        }
        let size = |media: &crate::sample::Media| (media.extension.clone(), media.bytes.len());
        self.previews.push(Preview {
            id: sample.id.clone(),
            source: sample.source.clone(),
            group: sample.group.clone(),
            split: sample.split,
            image: sample.image.as_ref().map(size),
            audio: sample.audio.as_ref().map(size),
            duration_s,
            texts: sample.texts.clone(),
            questions: sample.questions.clone(),
            tags: sample.tags.clone(),
        });
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.n_failed += 1;
        if self.failures.len() < N_FAILURES_SHOWN {
            self.failures.push(failure);
        }
    }
}
