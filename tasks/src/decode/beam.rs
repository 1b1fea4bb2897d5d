//! Beam search: the best few texts of every row at each step. One beam is greedy decoding.

use super::logits::{best_ids, repetition_penalty};
use super::next_token::{NextToken, Rules, advance, begin};
use super::{DecodeError, Text};

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamSearch {
    /// Texts kept at each step.
    pub n_beams: usize,
    /// Texts given back a row.
    pub n_best: usize,
    /// Exponent α of the length n, end mark included, in the score `log p / ((5 + n) / 6)^α` (Wu et al. 2016); 0 ranks by
    /// probability, and more prefers longer texts.
    pub length_penalty: f32,
    /// Above 1, tokens that a text has are less likely to come again.
    pub repetition_penalty: f32,
}

impl BeamSearch {
    /// The likeliest of the texts that `n_beams` find.
    pub fn new(n_beams: usize) -> Self {
        Self { n_beams, n_best: 1, length_penalty: 0.0, repetition_penalty: 1.0 }
    }

    /// What a text of so many tokens is ranked by, its end mark included.
    fn score(&self, log_probability: f64, n_tokens: usize) -> f64 {
        let penalty = ((5.0 + n_tokens as f64) / 6.0).powf(f64::from(self.length_penalty));
        log_probability / penalty
    }

    fn check(&self) -> Result<(), DecodeError> {
        DecodeError::check("n_beams", "at least 1", self.n_beams > 0, self.n_beams)?;
        DecodeError::check("n_best", "at least 1", self.n_best > 0, self.n_best)?;
        let (length, repetition) = (self.length_penalty, self.repetition_penalty);
        DecodeError::check("length_penalty", "a finite number", length.is_finite(), length)?;
        let is_good = repetition.is_finite() && repetition > 0.0;
        DecodeError::check("repetition_penalty", "a finite number above 0", is_good, repetition)
    }

    /// The best texts of each of `n_rows` rows, best first: at most `n_best` and at least one. Every text begins with `prompt`, which
    /// is not given back, and has at most `n_steps` more tokens, its end mark included; what has not ended by then is cut.
    ///
    /// A row's result depends neither on its neighbours in the batch nor on their number, and a row that is finished is computed no
    /// further.
    ///
    /// # Errors
    /// Scores that are NaN, marks outside the vocabulary, and settings that make no sense.
    #[expect(clippy::too_many_arguments, reason = "the model, what it reads, and what may be written")]
    pub fn run<M: NextToken>(
        &self,
        model: &M,
        state: M::State,
        n_rows: usize,
        prompt: &[u32],
        rules: &impl Rules,
        end: u32,
        n_steps: usize,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        self.check()?;
        let (mut state, n_vocab) = (state, model.n_vocab());
        if end as usize >= n_vocab {
            return Err(DecodeError::Vocabulary { what: "the end mark", id: end, n_vocab });
        }
        if n_rows == 0 {
            return Ok(Vec::new());
        }
        let logits = begin(model, prompt, n_rows, &mut state)?;
        self.resume(model, state, logits, n_rows, rules, end, n_steps)
    }

    /// Goes on behind a prompt that has been read, and gave `logits`.
    #[expect(clippy::too_many_arguments, reason = "the model, what it has read, and what may be written")]
    pub(super) fn resume<M: NextToken>(
        &self,
        model: &M,
        state: M::State,
        logits: Vec<f32>,
        n_rows: usize,
        rules: &impl Rules,
        end: u32,
        n_steps: usize,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        let (mut state, mut logits, n_vocab) = (state, logits, model.n_vocab());
        let mut rows = (0..n_rows).map(|_| Row::new()).collect::<Vec<_>>();
        // rows that are not finished
        let mut open = (0..n_rows).collect::<Vec<_>>();
        for step in 0..n_steps {
            let n_left = n_steps - 1 - step;
            let (mut parents, mut ids, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
            let mut still_open = Vec::with_capacity(open.len());
            let mut first = 0;
            for &row_idx in &open {
                let row = &mut rows[row_idx];
                let n_before = row.beams.len();
                let scores = &mut logits[first * n_vocab..(first + n_before) * n_vocab];
                for (beam, scores) in row.beams.iter().zip(scores.chunks_exact_mut(n_vocab)) {
                    repetition_penalty(scores, &beam.ids, self.repetition_penalty);
                    rules.score_row(row_idx, &beam.ids, n_left, scores);
                }
                let chosen = row.extend(scores, n_vocab, end, self.n_beams);
                if row.is_open(self, n_steps, rules.stops_early()) {
                    still_open.push(row_idx);
                    parents.extend(chosen.iter().map(|beam| first + beam));
                    ids.extend(row.beams.iter().filter_map(|beam| beam.ids.last()));
                    numbers.resize(parents.len(), row_idx);
                }
                first += n_before;
            }
            open = still_open;
            if open.is_empty() || step + 1 == n_steps {
                break;
            }
            if parents.len() != first || parents.iter().enumerate().any(|(beam, parent)| beam != *parent) {
                state = model.select(&state, &parents);
            }
            logits = advance(model, &ids, &mut state, &numbers, step + 1)?;
        }
        let n_tokens = n_steps.saturating_sub(1);
        let results = rows.into_iter().enumerate().map(|(row, texts)| {
            let best = texts.best(self);
            if best.is_empty() { Err(DecodeError::NoText { row, n_tokens }) } else { Ok(best) }
        });
        results.collect()
    }
}

/// A text that is being written.
#[derive(Clone, Debug)]
struct Beam {
    ids: Vec<u32>,
    log_probability: f64,
}

/// The texts of one row of the batch.
#[derive(Debug)]
struct Row {
    /// Best first.
    beams: Vec<Beam>,
    finished: Vec<Beam>,
}

impl Row {
    fn new() -> Self {
        Self { beams: vec![Beam { ids: Vec::new(), log_probability: 0.0 }], finished: Vec::new() }
    }

    /// Replaces the beams by their best continuations and gives the beam that each came from.
    fn extend(&mut self, scores: &[f32], n_vocab: usize, end: u32, n_beams: usize) -> Vec<usize> {
        let mut candidates = Vec::with_capacity(self.beams.len() * (n_beams + 1));
        for (beam_idx, (beam, scores)) in self.beams.iter().zip(scores.chunks_exact(n_vocab)).enumerate() {
            // an end mark takes no beam on, so that one more candidate is needed
            candidates.extend(
                best_ids(scores, n_beams.saturating_add(1))
                    .into_iter()
                    .map(|id| (beam.log_probability + f64::from(scores[id as usize]), beam_idx, id)),
            );
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let (mut beams, mut parents) = (Vec::new(), Vec::new());
        for (log_probability, parent, id) in candidates {
            let ids = &self.beams[parent].ids;
            if id == end {
                self.finished.push(Beam { ids: ids.clone(), log_probability });
                continue;
            }
            beams.push(Beam { ids: ids.iter().copied().chain([id]).collect(), log_probability });
            parents.push(parent);
            if beams.len() == n_beams {
                break;
            }
        }
        self.beams = beams;
        parents
    }

    /// Whether what is being written can still change what is given back of at most `n_steps` tokens.
    fn is_open(&mut self, search: &BeamSearch, n_steps: usize, stops_early: bool) -> bool {
        if stops_early {
            self.finished.truncate(search.n_beams);
            return self.finished.len() < search.n_beams && !self.beams.is_empty();
        }
        let Some(best) = self.beams.first() else { return false };
        let score = |beam: &Beam| search.score(beam.log_probability, beam.ids.len() + 1);
        self.finished.sort_by(|a, b| score(b).total_cmp(&score(a)));
        self.finished.truncate(search.n_beams.max(search.n_best));
        // a text only gets less likely, and a penalty of its length is largest at one end or the other
        let lengths = [best.ids.len() + 1, n_steps];
        let most = lengths.map(|n_tokens| search.score(best.log_probability, n_tokens));
        let most = most.into_iter().fold(f64::NEG_INFINITY, f64::max);
        self.finished.get(search.n_best - 1).is_none_or(|last| score(last) < most)
    }

    /// The best texts; where fewer have ended than there are beams, the best of the others are cut.
    fn best(self, search: &BeamSearch) -> Vec<Text> {
        let n_missing = search.n_beams.saturating_sub(self.finished.len());
        let cut = self.beams.into_iter().take(n_missing);
        let mut texts = self
            .finished
            .into_iter()
            .chain(cut)
            .map(|beam| Text {
                score: search.score(beam.log_probability, beam.ids.len() + 1),
                log_probability: beam.log_probability,
                ids: beam.ids,
            })
            .collect::<Vec<_>>();
        // the earliest of equals first
        texts.sort_by(|a, b| b.score.total_cmp(&a.score));
        texts.truncate(search.n_best);
        texts
    }
}
