//! Decoding on the backbone's causal segment, with cached keys and values.

use burn::prelude::*;
use triptych_encoders::TokenSequence;
use triptych_fusion::backbone::{Backbone, DecodingState};

use super::ctc::Frames;
use super::joint::JointRules;
use super::logits::log_softmax;
use super::next_token::{NextToken, Rules};
use crate::objectives::PAD_ID;

use super::{BeamSearch, Constraint, DecodeError, Decoded, Sampling, Text};

/// Begin and end marks, and what must not be written.
#[derive(Clone, Debug)]
pub struct Marks {
    /// First token of every text.
    pub begin: u32,
    /// Last token of every text.
    pub end: u32,
    /// Token ids that are never written: padding, masks, unknowns.
    pub forbidden: Vec<u32>,
}

/// Keeps the `n_beams` best texts of every row at each step, and gives the one of the highest probability,
/// end mark included; one beam is greedy decoding. A text that fills the causal segment is ended.
///
/// A row's result depends neither on its neighbours in the batch nor on their number. Without inputs it is one row, written from
/// the begin mark alone.
///
/// # Errors
/// Scores that are NaN, marks outside the vocabulary, no beam.
pub fn search(
    backbone: &Backbone,
    inputs: &[TokenSequence],
    marks: &Marks,
    n_beams: usize,
) -> Result<Vec<Decoded>, DecodeError> {
    let texts = Writer::new(backbone, marks, None)?.search(inputs, &BeamSearch::new(n_beams))?;
    Ok(texts.into_iter().filter_map(|row| row.into_iter().next()).map(Decoded::from).collect())
}

/// Writes texts on the causal segment.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    backbone: &'a Backbone,
    marks: &'a Marks,
    constraint: Option<&'a Constraint>,
}

impl<'a> Writer<'a> {
    /// # Errors
    /// Marks or allowed words outside the backbone's vocabulary.
    pub fn new(
        backbone: &'a Backbone,
        marks: &'a Marks,
        constraint: Option<&'a Constraint>,
    ) -> Result<Self, DecodeError> {
        let n_vocab = backbone.n_vocab();
        let named = [("the begin mark", marks.begin), ("the end mark", marks.end)];
        let forbidden = marks.forbidden.iter().map(|id| ("a forbidden token", *id));
        for (what, id) in named.into_iter().chain(forbidden) {
            if id as usize >= n_vocab {
                return Err(DecodeError::Vocabulary { what, id, n_vocab });
            }
        }
        if let Some(constraint) = constraint {
            constraint.check(n_vocab)?;
        }
        Ok(Self { backbone, marks, constraint })
    }

    /// The best texts of every row, best first. Without inputs it is one row, written from the begin mark alone.
    ///
    /// # Errors
    /// Scores that are NaN, settings that make no sense, and a constraint that no text fulfils in the length of the causal segment.
    pub fn search(
        &self,
        inputs: &[TokenSequence],
        search: &BeamSearch,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        let (n_rows, state) = self.start(inputs, 1);
        let (prompt, n_steps) = ([self.marks.begin], self.backbone.max_causal_tokens());
        search.run(self.backbone, state, n_rows, &prompt, self, self.marks.end, n_steps)
    }

    /// The same with CTC's opinion of every row: texts are ranked by `(1 - ctc_weight) · log p` of the attention and
    /// `ctc_weight · log p` of CTC. `frames` are the log-probabilities of CTC's labels in the row's frames, and labels are the
    /// token ids, the padding's standing for the blank.
    ///
    /// # Reference
    /// Watanabe et al. 2017, "Hybrid CTC/attention architecture for end-to-end speech recognition", section III-C.
    ///
    /// # Errors
    /// As [`Writer::search`]; another number of rows or labels than there are, and a weight that is none.
    pub fn search_jointly(
        &self,
        inputs: &[TokenSequence],
        frames: &[Frames<'_>],
        ctc_weight: f64,
        search: &BeamSearch,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        let (n_rows, state) = self.start(inputs, frames.len().max(1));
        let n_vocab = self.backbone.n_vocab();
        let rules = JointRules::new(self, frames, self.marks.end, PAD_ID, ctc_weight)?;
        rules.check(n_rows, n_vocab)?;
        let (prompt, n_steps) = ([self.marks.begin], self.backbone.max_causal_tokens());
        search.run(self.backbone, state, n_rows, &prompt, &rules, self.marks.end, n_steps)
    }

    /// Texts of every row drawn at random, the likeliest first. `row_ids` name the rows: equal ids draw equally. Without
    /// inputs there are as many rows as ids, written from the begin mark alone.
    ///
    /// # Errors
    /// As [`Writer::search`].
    ///
    /// # Panics
    /// When there is not one id for every row.
    pub fn sample(
        &self,
        inputs: &[TokenSequence],
        row_ids: &[impl AsRef<str>],
        sampling: &Sampling,
    ) -> Result<Vec<Vec<Text>>, DecodeError> {
        if row_ids.is_empty() && inputs.is_empty() {
            return Ok(Vec::new());
        }
        let (n_rows, state) = self.start(inputs, row_ids.len());
        assert_eq!(row_ids.len(), n_rows, "one id for every row");
        let (prompt, n_steps) = ([self.marks.begin], self.backbone.max_causal_tokens());
        sampling.run(self.backbone, state, row_ids, &prompt, self, self.marks.end, n_steps)
    }

    /// How many rows there are, `n_alone` without inputs, and where their decoding begins.
    fn start(&self, inputs: &[TokenSequence], n_alone: usize) -> (usize, DecodingState) {
        match inputs.first() {
            Some(first) => {
                let [n_rows, _, _] = first.tokens.dims();
                (n_rows, self.backbone.start_decoding(inputs).1)
            }
            None => (n_alone, self.backbone.start_decoding_alone(n_alone)),
        }
    }
}

impl Rules for Writer<'_> {
    /// The probabilities are the model's own: what may not be written keeps its share.
    fn score(&self, written: &[u32], n_left: usize, logits: &mut [f32]) {
        log_softmax(logits);
        let end = self.marks.end as usize;
        let end_score = logits[end];
        for id in &self.marks.forbidden {
            logits[*id as usize] = f32::NEG_INFINITY;
        }
        if let Some(constraint) = self.constraint {
            let next = constraint.next(written, n_left);
            let allowed = next.ids.iter().map(|id| (*id as usize, logits[*id as usize])).collect::<Vec<_>>();
            logits.fill(f32::NEG_INFINITY);
            allowed.into_iter().for_each(|(id, score)| logits[id] = score);
            logits[end] = if next.may_end { end_score } else { f32::NEG_INFINITY };
        }
        if n_left == 0 {
            let end_score = logits[end];
            logits.fill(f32::NEG_INFINITY);
            logits[end] = end_score;
        }
    }
}

impl NextToken for Backbone {
    type State = DecodingState;

    fn n_vocab(&self) -> usize {
        Backbone::n_vocab(self)
    }

    fn max_tokens(&self) -> usize {
        self.max_causal_tokens()
    }

    fn step(&self, ids: &[u32], state: &mut DecodingState) -> Vec<f32> {
        let ids = ids.iter().map(|id| i64::from(*id)).collect::<Vec<_>>();
        let logits = self.decode_next(indices(ids, &state.device()), state);
        logits.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to float32")
    }

    fn select(&self, state: &DecodingState, rows: &[usize]) -> DecodingState {
        let rows = rows.iter().map(|row| *row as i64).collect::<Vec<_>>();
        state.select(&indices(rows, &state.device()))
    }
}

fn indices(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}
