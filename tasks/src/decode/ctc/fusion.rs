//! What a text scores besides its sound: a language model's opinion of its words, their number, and hot words.

use std::f64::consts::LN_10;

use super::hot_words::{HotWords, Place};
use super::{CtcError, Vocabulary};
use crate::decode::ngram::{Context, NGram, Range};

/// A language model of words, and how much it counts.
#[derive(Clone, Copy, Debug)]
pub struct LanguageModel<'a> {
    /// The model.
    pub model: &'a NGram,
    /// Factor of its log-probabilities.
    pub weight: f64,
    /// Added to the base-10 log-probability of every word that it does not know.
    pub unknown_log10: f64,
}

impl<'a> LanguageModel<'a> {
    /// With the weight 0.5 and the 10 decades for an unknown word that pyctcdecode starts with.
    pub fn new(model: &'a NGram) -> Self {
        Self { model, weight: 0.5, unknown_log10: -10.0 }
    }
}

/// What is added to the score of the sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fusion<'a> {
    /// Scores words and the end of the text.
    pub language_model: Option<LanguageModel<'a>>,
    /// Added for every word, in nats; a language model alone prefers short texts.
    pub word_bonus: f64,
    /// Scores phrases.
    pub hot_words: Option<&'a HotWords>,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    context: Context,
    /// The language model's words that begin like the word being spelled.
    candidates: Range,
    /// Length of the word being spelled.
    n_bytes: usize,
    place: Option<Place>,
    /// Of all whole words and phrases.
    settled: f64,
}

impl Fusion<'_> {
    /// Checks that it fits the vocabulary.
    pub(super) fn check(&self, vocabulary: &Vocabulary) -> Result<(), CtcError> {
        let finite = |setting, value: f64| {
            let got = value.to_string();
            let error = CtcError::Setting { setting, expected: "a finite number", got };
            value.is_finite().then_some(()).ok_or(error)
        };
        finite("word_bonus", self.word_bonus)?;
        if let Some(language_model) = &self.language_model {
            finite("weight", language_model.weight)?;
            finite("unknown_log10", language_model.unknown_log10)?;
            vocabulary.fits(language_model.model)?;
        }
        Ok(())
    }

    /// The most that a label can add to [`Fusion::score`], if words are not likelier than certain; where it begins with a space, behind
    /// the end of the word before.
    pub(super) fn max_gain(&self, vocabulary: &Vocabulary, label: u32) -> f64 {
        let is_unusual = |model: &LanguageModel<'_>| model.weight < 0.0 || model.unknown_log10 > 0.0;
        if self.language_model.as_ref().is_some_and(is_unusual) {
            return f64::INFINITY;
        }
        let text = vocabulary.text(label).unwrap_or_default();
        let (boost, partial) = self.hot_words.map_or((0.0, 0.0), HotWords::largest);
        text.strip_prefix(' ').unwrap_or(text).matches(' ').count() as f64
            * (self.word_bonus.max(0.0) + boost)
            + partial
    }

    pub(super) fn begin(&self) -> State {
        let model = self.language_model.map(|language_model| language_model.model);
        State {
            context: model.map_or(Context::NONE, NGram::begin),
            candidates: model.map_or(Range::EMPTY, |model| model.words().all()),
            n_bytes: 0,
            place: self.hot_words.map(HotWords::begin),
            settled: 0.0,
        }
    }

    /// Behind what a label writes.
    pub(super) fn extend(&self, state: State, text: &str) -> State {
        let mut state = state;
        let mut parts = text.split(' ');
        self.spell(&mut state, parts.next().unwrap_or_default());
        for part in parts {
            self.end_word(&mut state);
            self.spell(&mut state, part);
        }
        state
    }

    /// For the choice among texts that are not at their end: an unknown word is known as such before it ends.
    pub(super) fn score(&self, state: &State) -> f64 {
        let mut score = state.settled;
        if let Some(language_model) = &self.language_model
            && state.n_bytes > 0
            && state.candidates.is_empty()
        {
            score += language_model.weight * LN_10 * language_model.unknown_log10;
        }
        if let (Some(hot_words), Some(place)) = (self.hot_words, state.place) {
            score += hot_words.partial(place);
        }
        score
    }

    /// Of the whole text, that ends here.
    pub(super) fn finish(&self, state: State) -> f64 {
        let mut state = state;
        self.end_word(&mut state);
        let Some(language_model) = &self.language_model else { return state.settled };
        let log10 = f64::from(language_model.model.score_end(state.context));
        state.settled + language_model.weight * LN_10 * log10
    }

    fn spell(&self, state: &mut State, letters: &str) {
        if letters.is_empty() {
            return;
        }
        if let Some(language_model) = &self.language_model {
            let words = language_model.model.words();
            state.candidates = words.narrow(state.candidates, state.n_bytes, letters);
        }
        state.n_bytes += letters.len();
        if let Some(hot_words) = self.hot_words {
            state.place = state.place.map(|place| letters.chars().fold(place, |at, c| hot_words.step(at, c)));
        }
    }

    /// Spaces that end no word change nothing.
    pub(super) fn end_word(&self, state: &mut State) {
        if state.n_bytes == 0 {
            return;
        }
        state.settled += self.word_bonus;
        if let Some(language_model) = &self.language_model {
            let model = language_model.model;
            let known = model.known(state.candidates, state.n_bytes);
            let (log10, context) = model.score(state.context, known.unwrap_or(model.unknown()));
            let penalty = if known.is_none() { language_model.unknown_log10 } else { 0.0 };
            state.settled += language_model.weight * LN_10 * (f64::from(log10) + penalty);
            state.context = context;
            state.candidates = model.words().all();
        }
        state.n_bytes = 0;
        if let (Some(hot_words), Some(place)) = (self.hot_words, &mut state.place) {
            state.settled += hot_words.completed(*place);
            *place = hot_words.step(*place, ' ');
        }
    }
}
