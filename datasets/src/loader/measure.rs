//! How long the rows of a batch will be, before anything is decoded.

use rayon::prelude::*;

use super::collate::FRAMES_MULTIPLE;
use super::plan::Group;
use super::{Fill, LengthOf, LoaderConfig, LoaderError, TextChoice};
use crate::shard::{Corpus, Entry};
use crate::text::Tokenizer;

/// Log-mel frames are 10 ms apart.
const FRAMES_PER_SECOND: f64 = 100.0;

/// Measures groups: in log-mel frames of all sounds of a row, or in tokens.
pub(super) struct Lengths<'a> {
    corpus: &'a Corpus,
    tokenizer: &'a Tokenizer,
    config: &'a LoaderConfig,
    length_of: LengthOf,
}

impl<'a> Lengths<'a> {
    pub(super) fn new(
        corpus: &'a Corpus,
        tokenizer: &'a Tokenizer,
        config: &'a LoaderConfig,
        length_of: LengthOf,
    ) -> Self {
        Self { corpus, tokenizer, config, length_of }
    }

    /// The length of each group: of the longest that may stand for it.
    pub(super) fn of_groups(&self, groups: &[Group]) -> Vec<u64> {
        match self.length_of {
            LengthOf::Audio => groups.iter().map(|group| self.frames(group)).collect(),
            LengthOf::Text => groups.par_iter().map(|group| self.tokens(group)).collect(),
        }
    }

    /// What a batch may hold, in the same unit.
    pub(super) fn budget(&self) -> u64 {
        match self.config.fill {
            Fill::Rows => u64::MAX,
            Fill::Seconds(seconds) => (seconds * FRAMES_PER_SECOND) as u64,
            Fill::Tokens(tokens) => tokens,
        }
    }

    /// A batch must hold each row by itself.
    pub(super) fn check(&self, groups: &[Group], lengths: &[u64]) -> Result<(), LoaderError> {
        let longest = groups.iter().zip(lengths).max_by_key(|(_, length)| **length);
        let Some((group, length)) = longest.filter(|(_, length)| **length > self.budget()) else {
            return Ok(());
        };
        let problem = match self.config.fill {
            Fill::Seconds(got) => format!(
                "fill.seconds: expected at least {}, which {:?} may take, got {got}",
                *length as f64 / FRAMES_PER_SECOND,
                group.name
            ),
            _ => format!(
                "fill.tokens: expected at least {length}, which {:?} takes, got {}",
                group.name,
                self.budget()
            ),
        };
        Err(LoaderError::Config { problem })
    }

    fn frames(&self, group: &Group) -> u64 {
        let Some(transform) = &self.config.audio else { return 0 };
        // what its changes may make of a sound
        let (slowest, silence_s) = transform.augment.as_ref().map_or((1.0, 0.0), |augment| {
            let slowest = if augment.speed > 0.0 { augment.speed_factor[0].min(1.0) } else { 1.0 };
            (f64::from(slowest), 2.0 * f64::from(augment.silence_s))
        });
        let seconds = |entry: &Entry| {
            // a header that tells nothing, or nonsense, says no less than the longest
            let known = entry.duration_s.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            known.map_or(transform.max_s, |seconds| (seconds / slowest + silence_s).min(transform.max_s))
        };
        let entries = self.corpus.entries();
        let longest_s = group.audios.iter().map(|idx| seconds(&entries[*idx])).fold(0.0, f64::max);
        let n_frames = (longest_s * FRAMES_PER_SECOND).ceil() as u64;
        n_frames.next_multiple_of(FRAMES_MULTIPLE as u64) * self.config.sounds_per_row as u64
    }

    fn tokens(&self, group: &Group) -> u64 {
        let (Some(options), Some(idx)) = (&self.config.text, group.text) else { return 0 };
        let texts = self.corpus.entries()[idx].texts.as_slice();
        let n_used = if options.choose == TextChoice::First { 1.min(texts.len()) } else { texts.len() };
        let length = |text: &String| self.tokenizer.encode(text).len().min(options.max_tokens);
        texts[..n_used].iter().map(length).max().unwrap_or(0) as u64
    }
}
