//! Decoding on the backbone's causal segment, with cached keys and values: greedy and beam search.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use triptych_encoders::TokenSequence;
use triptych_fusion::backbone::Backbone;

use super::Decoded;

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
/// A row's result depends neither on its neighbours in the batch nor on their number.
///
/// # Panics
/// When `n_beams` is 0 or there is no input.
pub fn search(backbone: &Backbone, inputs: &[TokenSequence], marks: &Marks, n_beams: usize) -> Vec<Decoded> {
    assert!(n_beams > 0, "beam search needs at least one beam");
    let device = inputs[0].tokens.device();
    let [batch, _, _] = inputs[0].tokens.dims();
    let (_, state) = backbone.start_decoding(inputs);
    let beams_of = (0..batch).flat_map(|row| std::iter::repeat_n(row as i64, n_beams)).collect::<Vec<_>>();
    let mut state = state.select(&indices(beams_of, &device));
    let mut rows = (0..batch).map(|_| Row::new(marks.begin, n_beams)).collect::<Vec<_>>();
    let n_steps = backbone.max_causal_tokens();
    for step in 0..n_steps {
        let may_write =
            |id: u32| if step + 1 < n_steps { !marks.forbidden.contains(&id) } else { id == marks.end };
        let last = rows.iter().flat_map(|row| row.beams.iter().map(|beam| i64::from(beam.last))).collect();
        let logits = backbone.decode_next(indices(last, &device), &mut state);
        let [_, n_vocab] = logits.dims();
        let scores = log_softmax(logits, 1).into_data().convert::<f32>();
        let scores = scores.as_slice::<f32>().expect("converted to float32");
        let mut parents = Vec::with_capacity(batch * n_beams);
        for (idx, row) in rows.iter_mut().enumerate() {
            let first = idx * n_beams;
            let scores = &scores[first * n_vocab..(first + n_beams) * n_vocab];
            let chosen = row.extend(scores, may_write, marks.end, n_beams);
            parents.extend(chosen.iter().map(|beam| (first + beam) as i64));
        }
        if rows.iter().all(|row| row.is_finished(n_beams)) {
            break;
        }
        if parents.iter().enumerate().any(|(beam, &parent)| parent != beam as i64) {
            state = state.select(&indices(parents, &device));
        }
    }
    rows.into_iter().map(Row::best).collect()
}

fn indices(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// A text that is being written.
#[derive(Clone, Debug)]
struct Beam {
    ids: Vec<u32>,
    last: u32,
    log_probability: f32,
}

/// The beams of one row of the batch.
#[derive(Debug)]
struct Row {
    beams: Vec<Beam>,
    finished: Vec<Decoded>,
}

impl Row {
    fn new(begin: u32, n_beams: usize) -> Self {
        let beam = |log_probability| Beam { ids: Vec::new(), last: begin, log_probability };
        // all beams start alike, so that all but the first wait until the first has split
        let waiting = std::iter::repeat_n(beam(f32::NEG_INFINITY), n_beams - 1);
        Self { beams: std::iter::once(beam(0.0)).chain(waiting).collect(), finished: Vec::new() }
    }

    /// Replaces the beams by their best continuations and gives the beam that each came from.
    fn extend(
        &mut self,
        scores: &[f32],
        may_write: impl Fn(u32) -> bool,
        end: u32,
        n_beams: usize,
    ) -> Vec<usize> {
        let n_vocab = scores.len() / n_beams;
        // what its neighbours still write must not add to a row that is finished
        let is_open = !self.is_finished(n_beams);
        let mut candidates = Vec::with_capacity(n_beams * (n_beams + 1));
        for (beam_idx, beam) in self.beams.iter().enumerate() {
            if beam.log_probability == f32::NEG_INFINITY {
                continue;
            }
            let scores = &scores[beam_idx * n_vocab..(beam_idx + 1) * n_vocab];
            // an end mark takes no beam on, so that one more candidate is needed
            let best = best_ids(scores, n_beams + 1, &may_write);
            candidates.extend(best.map(|id| (beam.log_probability + scores[id as usize], beam_idx, id)));
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let (mut beams, mut parents) = (Vec::with_capacity(n_beams), Vec::with_capacity(n_beams));
        for (rank, &(log_probability, parent, id)) in candidates.iter().enumerate() {
            if id == end {
                if is_open && rank < n_beams {
                    let ids = self.beams[parent].ids.clone();
                    let confidence = log_probability / (ids.len() + 1) as f32;
                    self.finished.push(Decoded { ids, confidence });
                }
            } else if beams.len() < n_beams {
                let ids = self.beams[parent].ids.iter().copied().chain([id]).collect();
                beams.push(Beam { ids, last: id, log_probability });
                parents.push(parent);
            }
        }
        while beams.len() < n_beams {
            beams.push(Beam { ids: Vec::new(), last: end, log_probability: f32::NEG_INFINITY });
            parents.push(0);
        }
        self.beams = beams;
        parents
    }

    fn is_finished(&self, n_beams: usize) -> bool {
        self.finished.len() >= n_beams
    }

    /// The finished text of the highest probability, the earliest of equals.
    fn best(self) -> Decoded {
        let log_probability = |text: &Decoded| text.confidence * (text.ids.len() + 1) as f32;
        self.finished
            .into_iter()
            .reduce(|best, other| if log_probability(&other) > log_probability(&best) { other } else { best })
            .expect("the last step ends a text")
    }
}

/// The `n` ids of the highest scores among those that may be written, best first, the lower id first of equals.
fn best_ids(scores: &[f32], n: usize, may_write: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
    let order = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    let mut ids = (0..scores.len() as u32).filter(|&id| may_write(id)).collect::<Vec<_>>();
    if ids.len() > n {
        ids.select_nth_unstable_by(n - 1, order);
        ids.truncate(n);
    }
    ids.sort_unstable_by(order);
    ids.into_iter()
}
