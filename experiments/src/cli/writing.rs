//! How texts are written about pictures and sounds: options that several subcommands have, and what they print.

use std::path::{Path, PathBuf};

use serde_json::json;
use triptych_datasets::text::Tokenizer;
use triptych_tasks::decode::{BeamSearch, Constraint, Sampling, Text};

use super::outcomes::Outcomes;
use super::phrases::{self, PhrasesError};
use crate::evaluate::Manner;

/// Options of a search among texts, or of draws.
#[derive(Debug, clap::Args)]
pub(super) struct Writing {
    /// Texts kept at each step; the config's `evaluate.n_beams` if not given
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    /// Prefer longer texts: the exponent of the length in the score
    #[arg(
        long,
        value_name = "ALPHA",
        default_value_t = 0.0,
        conflicts_with = "sample",
        allow_negative_numbers = true
    )]
    length_penalty: f32,
    /// Draw texts at random instead of searching the likeliest
    #[arg(long, conflicts_with = "beam")]
    sample: bool,
    /// Below 1 draw the likely more often, above 1 less; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "sample")]
    temperature: f32,
    /// Draw from so many of the likeliest tokens; 0 is from all
    #[arg(long, value_name = "K", default_value_t = 0, requires = "sample")]
    top_k: usize,
    /// Draw from the likeliest tokens that have this probability together
    #[arg(long, value_name = "P", default_value_t = 1.0, requires = "sample")]
    top_p: f32,
    /// Draw from tokens at least so many times as likely as the likeliest
    #[arg(long, value_name = "P", default_value_t = 0.0, requires = "sample")]
    min_p: f32,
    /// Decides the draws, with a file's path
    #[arg(long, default_value_t = 1, requires = "sample")]
    seed: u64,
    /// Above 1, words that a text has are less likely to come again
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// Texts to give for each file
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_best: usize,
    /// Write nothing but words and phrases of this file, one a line
    #[arg(long, value_name = "FILE")]
    only_words: Option<PathBuf>,
}

impl Writing {
    /// `n_beams` are those of the config.
    pub(super) fn manner(&self, n_beams: usize) -> Manner {
        if self.sample {
            return Manner::Sample(Sampling {
                repetition_penalty: self.repetition_penalty,
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                seed: self.seed,
                n_samples: self.n_best,
            });
        }
        Manner::Search(BeamSearch {
            // no fewer than are to be given
            n_beams: self.beam.unwrap_or(n_beams.max(self.n_best)),
            n_best: self.n_best,
            length_penalty: self.length_penalty,
            repetition_penalty: self.repetition_penalty,
        })
    }

    /// The only words that may be written, if there are such.
    ///
    /// # Errors
    /// When their file cannot be read, or holds what the vocabulary cannot write.
    pub(super) fn constraint(&self, tokenizer: &Tokenizer) -> Result<Option<Constraint>, PhrasesError> {
        self.only_words.as_deref().map(|path| phrases::only(path, tokenizer)).transpose()
    }

    /// Says what was written about a file.
    pub(super) fn tell(
        &self,
        path: &Path,
        texts: &[Text],
        tokenizer: &Tokenizer,
        outcomes: &mut Outcomes,
    ) -> miette::Result<()> {
        let alternatives = texts.iter().map(|text| {
            json!({"text": tokenizer.decode(&text.ids), "confidence": text.confidence(), "score": text.score})
        });
        let alternatives = alternatives.collect::<Vec<_>>();
        let n_told = if outcomes.is_json() { 1 } else { self.n_best };
        for (text, alternative) in texts.iter().zip(&alternatives).take(n_told) {
            let mut details = json!({"confidence": text.confidence()});
            if self.n_best > 1 {
                details["n_best"] = json!(alternatives);
            }
            outcomes.done(path, alternative["text"].as_str().unwrap_or_default(), details)?;
        }
        Ok(())
    }
}
