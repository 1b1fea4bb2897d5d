//! One window of 30 s: the tokens of one try, and tries at higher temperatures where the text looks wrong.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::WhisperRules;
use crate::decode::logits::log_softmax;
use crate::decode::next_token::begin;
use crate::decode::{BeamSearch, DecodeError, NextToken, Sampling, Text};

/// How a window is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSearch {
    /// Tried in their order until a text looks right; at 0 the likeliest is searched, above it is drawn.
    pub temperatures: Vec<f32>,
    /// Beams at temperature 0; 1 is greedy.
    pub n_beams: usize,
    /// Texts drawn at a temperature above 0, of which the likeliest is taken.
    pub best_of: usize,
    /// Exponent of the length when texts are ranked; `None` ranks by the mean over tokens, without the end mark.
    pub length_penalty: Option<f32>,
    /// Texts that zlib makes so many times smaller repeat themselves.
    pub max_compression_ratio: Option<f64>,
    /// Texts of a lower mean natural log-probability are guesses.
    pub min_mean_log_probability: Option<f64>,
    /// More is silence, unless the text is no guess.
    pub max_no_speech: Option<f64>,
    /// Decides the draws.
    pub seed: u64,
}

impl Default for WindowSearch {
    /// As in `transcribe.py`.
    fn default() -> Self {
        Self {
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            n_beams: 1,
            best_of: 1,
            length_penalty: None,
            max_compression_ratio: Some(2.4),
            min_mean_log_probability: Some(-1.0),
            max_no_speech: Some(0.6),
            seed: 0,
        }
    }
}

/// What was written about a window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowResult {
    /// With timestamps, without marks.
    pub tokens: Vec<u32>,
    /// The text without timestamps.
    pub text: String,
    /// Mean natural log-probability of the tokens, end mark included.
    pub mean_log_probability: f64,
    /// Probability that nobody speaks; `None` where the model cannot say so.
    pub no_speech: Option<f64>,
    /// By how much zlib makes the text smaller.
    pub compression_ratio: f64,
    /// Of the try that was taken.
    pub temperature: f32,
}

impl WindowSearch {
    /// # Errors
    /// No temperature, or numbers that make no sense.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        let is_good = |heat: &f32| heat.is_finite() && *heat >= 0.0;
        let is_good = !self.temperatures.is_empty() && self.temperatures.iter().all(is_good);
        DecodeError::check(
            "temperatures",
            "at least one, all of at least 0",
            is_good,
            format!("{:?}", self.temperatures),
        )?;
        DecodeError::check("n_beams", "at least 1", self.n_beams > 0, self.n_beams)?;
        DecodeError::check("best_of", "at least 1", self.best_of > 0, self.best_of)
    }

    /// Tries the temperatures in their order, until a text does not look wrong; the last is taken if all do.
    ///
    /// # Errors
    /// Those of the tries, and settings that make no sense.
    pub fn fall_back<E: From<DecodeError>>(
        &self,
        mut attempt: impl FnMut(f32) -> Result<WindowResult, E>,
    ) -> Result<WindowResult, E> {
        self.check()?;
        let mut result = attempt(self.temperatures[0])?;
        for &temperature in &self.temperatures[1..] {
            if !self.looks_wrong(&result) {
                break;
            }
            result = attempt(temperature)?;
        }
        Ok(result)
    }

    /// Whether a higher temperature is to be tried.
    pub(super) fn looks_wrong(&self, result: &WindowResult) -> bool {
        let repeats = self.max_compression_ratio.is_some_and(|most| result.compression_ratio > most);
        let is_guess = self.min_mean_log_probability.is_some_and(|least| result.mean_log_probability < least);
        let is_silent =
            self.max_no_speech.zip(result.no_speech).is_some_and(|(most, silence)| silence > most);
        (repeats || is_guess) && !(is_silent && is_guess)
    }

    /// Whether the window is passed over.
    pub(super) fn is_silence(&self, result: &WindowResult) -> bool {
        let is_sure = self.min_mean_log_probability.is_some_and(|least| result.mean_log_probability > least);
        let is_silent =
            self.max_no_speech.zip(result.no_speech).is_some_and(|(most, silence)| silence > most);
        is_silent && !is_sure
    }

    /// Writes about a window once. `state` is of one row that has read nothing yet, `prompt` is the text so far, and `decode` makes
    /// text of tokens below the end mark. `key` names the window for the draws.
    ///
    /// # Errors
    /// Scores that are NaN, and tokens outside the vocabulary.
    #[expect(clippy::too_many_arguments, reason = "the model, what it reads, and what may be written")]
    pub fn attempt<M: NextToken>(
        &self,
        model: &M,
        state: M::State,
        prompt: &[u32],
        rules: &WhisperRules<'_>,
        decode: impl Fn(&[u32]) -> String,
        key: &str,
        temperature: f32,
    ) -> Result<WindowResult, DecodeError> {
        self.check()?;
        let (mut state, tokens) = (state, rules.tokens);
        tokens.check(model.n_vocab())?;
        let (before, rest, n_steps) = prompts(model.max_tokens(), prompt, rules);
        // whether anybody speaks stands behind the start mark
        let mut logits = begin(model, &before, 1, &mut state)?;
        let no_speech = tokens.no_speech.map(|id| {
            let mut scores = logits.clone();
            log_softmax(&mut scores);
            f64::from(scores[id as usize]).exp()
        });
        if !rest.is_empty() {
            logits = begin(model, &rest, 1, &mut state)?;
        }
        let rows = if temperature == 0.0 {
            let search = BeamSearch { n_best: self.n_beams, ..BeamSearch::new(self.n_beams) };
            search.resume(model, state, logits, 1, rules, tokens.end, n_steps)?
        } else {
            let sampling = Sampling { temperature, n_samples: self.best_of, ..Sampling::new(self.seed) };
            let row_ids = [format!("{key} {temperature}")];
            sampling.resume(model, state, logits, &row_ids, rules, tokens.end, n_steps)?
        };
        let texts = rows.into_iter().flatten();
        let best = texts.reduce(|best, text| if self.rank(&text) > self.rank(&best) { text } else { best });
        let best = best.ok_or(DecodeError::NoText { row: 0, n_tokens: n_steps })?;
        let written = best.ids.iter().copied().filter(|id| *id < tokens.end).collect::<Vec<_>>();
        let text = decode(&written).trim().to_owned();
        Ok(WindowResult {
            mean_log_probability: best.log_probability / (best.ids.len() + 1) as f64,
            no_speech,
            compression_ratio: compression_ratio(&text),
            temperature,
            tokens: best.ids,
            text,
        })
    }

    fn rank(&self, text: &Text) -> f64 {
        let n_tokens = text.ids.len() as f64;
        let penalty = match self.length_penalty {
            None => n_tokens.max(1.0),
            Some(alpha) => ((5.0 + n_tokens) / 6.0).powf(f64::from(alpha)),
        };
        text.log_probability / penalty
    }
}

/// What is read up to the start mark and behind it, and how many tokens may follow.
fn prompts(max_tokens: usize, prompt: &[u32], rules: &WhisperRules<'_>) -> (Vec<u32>, Vec<u32>, usize) {
    let tokens = rules.tokens;
    let mut before = Vec::new();
    if !prompt.is_empty() {
        before.push(tokens.previous);
        let n_kept = (max_tokens / 2).saturating_sub(1).min(prompt.len());
        before.extend(&prompt[prompt.len() - n_kept..]);
    }
    before.push(tokens.start);
    let mut rest = tokens.start_sequence[1..].to_vec();
    if !rules.has_timestamps {
        rest.push(tokens.no_timestamps);
    }
    let n_read = before.len() + rest.len();
    let n_steps = (max_tokens / 2).min((max_tokens + 1).saturating_sub(n_read));
    (before, rest, n_steps)
}

/// By how much zlib makes a text smaller: 1 and less for short texts, more for those that repeat themselves.
///
/// # Differences from the reference
/// The compressor is another one than zlib, of the same level: its results may differ by a few bytes.
pub fn compression_ratio(text: &str) -> f64 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    let compressed = compressed.expect("a vector takes all bytes");
    text.len() as f64 / compressed.len() as f64
}
