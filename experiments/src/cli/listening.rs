//! How `triptych transcribe` searches the frames of CTC: a language model, hot words, and when words are said.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use miette::Diagnostic;
use triptych_datasets::text::{N_SPECIALS, PAD, Tokenizer};
use triptych_tasks::decode::ctc::{
    CtcError, Frames, Fusion, HotWords, Hypothesis, LanguageModel, PrefixSearch, TimedWord, Vocabulary,
    align, words,
};
use triptych_tasks::decode::ngram::NGram;

use super::phrases::{self, PhrasesError};
use crate::diagnostic::UsageError;

/// Marks the start of a word in the tokenizer's pieces; it stands in no text.
const WORD_START: char = '\u{2581}';

/// What helps a search through CTC's frames.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListeningOptions {
    /// Transcribe by CTC instead of token by token; --lm and --hot-words do so too
    #[arg(long, conflicts_with = "model")]
    ctc: bool,
    /// An n-gram language model of words, an ARPA file
    #[arg(long, value_name = "FILE.arpa", conflicts_with = "model")]
    lm: Option<PathBuf>,
    /// How much the language model counts beside the sound
    #[arg(long, value_name = "X", default_value_t = 0.5, requires = "lm")]
    lm_weight: f64,
    /// Added to the score for every word, in nats: above 0, more and shorter words; 1.5 with --lm, else 0
    #[arg(long, value_name = "X", allow_negative_numbers = true, conflicts_with = "model")]
    word_bonus: Option<f64>,
    /// Phrases to be heard more readily, one a line; a tab and a number behind one is its own boost
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    hot_words: Option<PathBuf>,
    /// Added to the score for every hot phrase, in nats
    #[arg(
        long,
        value_name = "X",
        default_value_t = 5.0,
        requires = "hot_words",
        allow_negative_numbers = true
    )]
    hot_boost: f64,
}

/// A language model or hot words that cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{}: {problem}", path.display())]
struct UnusableFile {
    path: PathBuf,
    problem: String,
}

impl ListeningOptions {
    /// Whether transcripts are CTC's.
    pub(super) fn is_by_ctc(&self) -> bool {
        self.ctc || self.lm.is_some() || self.hot_words.is_some()
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Files that cannot be read, are damaged, or do not fit the vocabulary.
    pub(super) fn open(&self, tokenizer: &Tokenizer) -> miette::Result<Listener> {
        let token = |id| if (id as usize) < N_SPECIALS { None } else { tokenizer.token(id) };
        let tokens = (0..tokenizer.n_tokens() as u32).map(token);
        let vocabulary = Vocabulary::of_pieces(tokens, WORD_START, PAD)
            .map_err(|error| UsageError { message: error.to_string(), hint: None })?;
        let model = self.lm.as_ref().map(|path| {
            let fault = |problem: String| UnusableFile { path: path.clone(), problem };
            let file = File::open(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
            let model = NGram::read_arpa(BufReader::new(file)).map_err(|error| fault(error.to_string()))?;
            vocabulary.coverage(&model).map_err(|error| fault(error.to_string()))?;
            Ok::<_, UnusableFile>(model)
        });
        let model = model.transpose()?;
        let hot_words = self.hot_words(&vocabulary)?;
        let word_bonus = self.word_bonus.unwrap_or(if model.is_some() { 1.5 } else { 0.0 });
        Ok(Listener { vocabulary, model, weight: self.lm_weight, word_bonus, hot_words })
    }

    fn hot_words(&self, vocabulary: &Vocabulary) -> Result<Option<HotWords>, PhrasesError> {
        let Some(path) = &self.hot_words else { return Ok(None) };
        let fault = |problem: String| PhrasesError { path: path.clone(), problem };
        let mut boosts = Vec::new();
        for line in phrases::read(path)? {
            let boost = match line.value {
                None => self.hot_boost,
                Some(value) => value.parse().map_err(|_| {
                    fault(format!("line {}: expected a number behind the tab, got {value:?}", line.number))
                })?,
            };
            boosts.push((line.phrase, boost));
        }
        let boosts = boosts.iter().map(|(phrase, boost)| (phrase.as_str(), *boost));
        HotWords::new(boosts, vocabulary).map(Some).map_err(|error| fault(error.to_string()))
    }
}

/// What is needed to search the frames of CTC.
pub(super) struct Listener {
    vocabulary: Vocabulary,
    model: Option<NGram>,
    weight: f64,
    word_bonus: f64,
    hot_words: Option<HotWords>,
}

impl Listener {
    /// The best texts that differ in how they read, best first, by their label scores `[n_frames, n_labels]`.
    pub(super) fn search(
        &self,
        labels: &[f32],
        n_beams: usize,
        n_best: usize,
    ) -> Result<Vec<Hypothesis>, CtcError> {
        let frames = Frames::new(labels, self.vocabulary.len())?;
        let language_model = self
            .model
            .as_ref()
            .map(|model| LanguageModel { weight: self.weight, ..LanguageModel::new(model) });
        let fusion =
            Fusion { language_model, word_bonus: self.word_bonus, hot_words: self.hot_words.as_ref() };
        // more than are wanted: some are spelled alike
        let search = PrefixSearch { n_beams, n_best: n_beams, ..PrefixSearch::default() };
        let mut texts = std::collections::HashSet::new();
        let mut found = search.run(&frames, &self.vocabulary, &fusion)?;
        found.retain(|hypothesis| texts.insert(self.vocabulary.spell(&hypothesis.ids)));
        found.truncate(n_best);
        Ok(found)
    }

    /// When each word of a text is said.
    pub(super) fn time(&self, labels: &[f32], ids: &[u32], frame_s: f64) -> Result<Vec<TimedWord>, CtcError> {
        let frames = Frames::new(labels, self.vocabulary.len())?;
        let spans = align(&frames, ids, self.vocabulary.blank())?;
        Ok(words(&self.vocabulary, ids, &spans, frame_s))
    }
}
