//! Sampling: texts drawn at random, the likelier ones more often.

use triptych_datasets::draw::Draw;

use super::logits::{best, min_p, repetition_penalty, temperature, top_k, top_p};
use super::next_token::{NextToken, Rules, advance, begin};
use super::{DecodeError, Text};

/// How to draw. What leaves candidates out is applied in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Above 1, tokens that a text has are less likely to come again.
    pub repetition_penalty: f32,
    /// 1 draws by the model's probabilities, less prefers the likely; 0 takes the likeliest.
    pub temperature: f32,
    /// Draws from so many of the likeliest; 0 is from all.
    pub top_k: usize,
    /// Draws from the likeliest that have this probability together; 1 is from all.
    pub top_p: f32,
    /// Draws from what is at least so many times as likely as the likeliest; 0 is from all.
    pub min_p: f32,
    /// Decides all draws, with the row's id, the number of the sample, and the place in the text.
    pub seed: u64,
    /// Texts drawn for each row.
    pub n_samples: usize,
}

impl Sampling {
    /// Draws one text by the model's probabilities.
    pub fn new(seed: u64) -> Self {
        Self {
            repetition_penalty: 1.0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed,
            n_samples: 1,
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        let check = DecodeError::check;
        let penalty = self.repetition_penalty;
        check(
            "repetition_penalty",
            "a finite number above 0",
            penalty.is_finite() && penalty > 0.0,
            penalty,
        )?;
        let heat = self.temperature;
        check("temperature", "a finite number of at least 0", heat.is_finite() && heat >= 0.0, heat)?;
        check("top_p", "more than 0 and at most 1", self.top_p > 0.0 && self.top_p <= 1.0, self.top_p)?;
        check("min_p", "0 to 1", (0.0..=1.0).contains(&self.min_p), self.min_p)?;
        DecodeError::check("n_samples", "at least 1", self.n_samples > 0, self.n_samples)
    }

    /// The texts of every row, the likeliest first. A row's texts are a function of the seed and the row's id: neither its neighbours
    /// nor its place in the batch change them. Every text begins with `prompt`, which is not given back, and has at most `n_steps`
    /// more tokens, its end mark included; what has not ended by then is cut.
    ///
    /// # Errors
    /// Scores that are NaN, marks outside the vocabulary, and settings that make no sense.
    #[expect(clippy::too_many_arguments, reason = "the model, what it reads, and what may be written")]
    pub fn run<M: NextToken>(
        &self,
        model: &M,
        state: M::State,
        row_ids: &[impl AsRef<str>],
        prompt: &[u32],
        rules: &impl Rules,
        end: u32,
        n_steps: usize,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        self.check()?;
        let (n_vocab, n_rows) = (model.n_vocab(), row_ids.len());
        if end as usize >= n_vocab {
            return Err(DecodeError::Vocabulary { what: "the end mark", id: end, n_vocab });
        }
        if n_rows == 0 {
            return Ok(Vec::new());
        }
        let mut state = state;
        let logits = begin(model, prompt, n_rows, &mut state)?;
        self.resume(model, state, logits, row_ids, rules, end, n_steps)
    }

    /// Goes on behind a prompt that has been read, and gave `logits`.
    #[expect(clippy::too_many_arguments, reason = "the model, what it has read, and what may be written")]
    pub(super) fn resume<M: NextToken>(
        &self,
        model: &M,
        state: M::State,
        logits: Vec<f32>,
        row_ids: &[impl AsRef<str>],
        rules: &impl Rules,
        end: u32,
        n_steps: usize,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        let (mut state, n_vocab, n_rows) = (state, model.n_vocab(), row_ids.len());
        let mut logits =
            logits.chunks_exact(n_vocab).flat_map(|row| row.repeat(self.n_samples)).collect::<Vec<_>>();
        let empty = Text { ids: Vec::new(), log_probability: 0.0, score: 0.0 };
        let mut texts = vec![empty; n_rows * self.n_samples];
        // of the state's rows, and of the texts that they write
        let mut parents = (0..texts.len()).map(|text| text / self.n_samples).collect::<Vec<_>>();
        let mut open = (0..texts.len()).collect::<Vec<_>>();
        for step in 0..n_steps {
            let (mut kept, mut ids) = (Vec::new(), Vec::new());
            for (place, scores) in logits.chunks_exact_mut(n_vocab).enumerate() {
                let text = &mut texts[open[place]];
                let (row, sample) = (open[place] / self.n_samples, open[place] % self.n_samples);
                repetition_penalty(scores, &text.ids, self.repetition_penalty);
                rules.score(&text.ids, n_steps - 1 - step, scores);
                let plain = scores.to_vec();
                let id = self.draw(scores, step, &format!("{sample} {}", row_ids[row].as_ref()));
                let n_tokens = n_steps.saturating_sub(1);
                let id = id.ok_or(DecodeError::NoText { row, n_tokens })?;
                text.log_probability += f64::from(plain[id as usize]);
                if id != end {
                    text.ids.push(id);
                    ids.push(id);
                    kept.push(place);
                }
            }
            if kept.is_empty() || step + 1 == n_steps {
                break;
            }
            let chosen = kept.iter().map(|place| parents[*place]).collect::<Vec<_>>();
            let n_before = parents.iter().max().map_or(0, |last| last + 1);
            if chosen.len() != n_before || chosen.iter().enumerate().any(|(place, parent)| place != *parent) {
                state = model.select(&state, &chosen);
            }
            open = kept.iter().map(|place| open[*place]).collect();
            parents = (0..open.len()).collect();
            let rows = open.iter().map(|text| text / self.n_samples).collect::<Vec<_>>();
            logits = advance(model, &ids, &mut state, &rows, step + 1)?;
        }
        for text in &mut texts {
            text.score = text.log_probability;
        }
        Ok(texts
            .chunks(self.n_samples)
            .map(|texts| {
                let mut texts = texts.to_vec();
                texts.sort_by(|a, b| b.score.total_cmp(&a.score));
                texts
            })
            .collect())
    }

    /// A token, unless nothing is possible.
    fn draw(&self, logits: &mut [f32], step: usize, key: &str) -> Option<u32> {
        if self.temperature == 0.0 {
            return best(logits);
        }
        temperature(logits, self.temperature);
        top_k(logits, self.top_k);
        if self.top_p < 1.0 {
            top_p(logits, self.top_p);
        }
        if self.min_p > 0.0 {
            min_p(logits, self.min_p);
        }
        let likeliest = best(logits)?;
        let highest = logits[likeliest as usize];
        let weight = |logit: f32| f64::from(logit - highest).exp();
        let total = logits.iter().map(|logit| weight(*logit)).sum::<f64>();
        // 53 bits make a fraction below 1
        let bits = Draw::new(self.seed, step as u64, key, "next token").next_u64() >> 11;
        let mut left = bits as f64 / (1u64 << 53) as f64 * total;
        for (id, logit) in logits.iter().enumerate() {
            left -= weight(*logit);
            if left < 0.0 {
                return Some(id as u32);
            }
        }
        // rounding may leave a trace of nothing at the end
        Some(likeliest)
    }
}
