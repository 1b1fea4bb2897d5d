//! The sum over all alignments of one sample, with its gradient, in log space.

use std::sync::Arc;

use crate::layers::ops::simd::{self, LANES, vectorised};
use crate::layers::ops::storage::for_each_sample;

/// The batch that a loss is summed for.
#[derive(Clone, Debug)]
pub(super) struct Lattice {
    n_frames: usize,
    n_labels: usize,
    blank: usize,
    samples: Arc<[Sample]>,
}

/// One row of the batch.
#[derive(Debug)]
struct Sample {
    n_frames: usize,
    target: Vec<usize>,
}

impl Lattice {
    pub(super) fn new(dims: [usize; 3], frame_lengths: &[usize], targets: &[Vec<u32>], blank: u32) -> Self {
        let [batch, n_frames, n_labels] = dims;
        assert_eq!(frame_lengths.len(), batch, "ctc_loss: number of frame lengths and batch differ");
        assert_eq!(targets.len(), batch, "ctc_loss: number of targets and batch differ");
        assert!((blank as usize) < n_labels, "ctc_loss: blank {blank}, expected below {n_labels}");
        let samples = frame_lengths
            .iter()
            .zip(targets)
            .map(|(&length, target)| {
                assert!(length <= n_frames, "ctc_loss: frame length {length} exceeds {n_frames} frames");
                for &label in target {
                    assert!(
                        (label as usize) < n_labels && label != blank,
                        "ctc_loss: label {label}, expected below {n_labels} and not the blank {blank}"
                    );
                }
                Sample { n_frames: length, target: target.iter().map(|&label| label as usize).collect() }
            })
            .collect();
        Self { n_frames, n_labels, blank: blank as usize, samples }
    }

    /// The loss of each sample, and its gradient with respect to the sample's logits.
    pub(super) fn losses_and_grads(&self, logits: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let size = self.n_frames * self.n_labels;
        let mut grads = vec![0.0; logits.len()];
        let mut losses = vec![0.0; self.samples.len()];
        for_each_sample(self.samples.len(), &mut grads, &mut losses, true, |i, grad, loss| {
            loss[0] =
                self.samples[i].loss_and_grad(&logits[i * size..][..size], grad, self.n_labels, self.blank);
        });
        (losses, grads)
    }
}

impl Sample {
    /// Writes the gradient with respect to the logits and gives the loss; `grad` holds zeros on entry and keeps
    /// them behind the sample's frames, and everywhere if no alignment exists.
    ///
    /// The states are the target's labels with a blank before, between and behind them. `alpha[t][s]` is the
    /// log-probability of all ways to emit the frames up to `t` that end in state `s`, `beta[s]` that of the frames
    /// behind `t` from there; the gradient of a logit is its probability less the share of the alignments that emit
    /// its label at that frame.
    fn loss_and_grad(&self, logits: &[f32], grad: &mut [f32], n_labels: usize, blank: usize) -> f32 {
        let (n_frames, n_states) = (self.n_frames, 2 * self.target.len() + 1);
        if n_frames == 0 {
            return 0.0;
        }
        let label_of = |state: usize| if state.is_multiple_of(2) { blank } else { self.target[state / 2] };
        // a path may jump over the blank between two different labels
        let jumps: Vec<bool> = (0..n_states)
            .map(|state| state >= 3 && state % 2 == 1 && self.target[state / 2] != self.target[state / 2 - 1])
            .collect();
        let labels: Vec<usize> = (0..n_states).map(label_of).collect();
        let log_totals = log_totals(&logits[..n_frames * n_labels], n_labels);
        let emits = |frame: usize, state: usize| {
            f64::from(logits[frame * n_labels + labels[state]]) - log_totals[frame]
        };

        let alpha = self.alpha(n_states, &jumps, emits);
        let ends = &alpha[(n_frames - 1) * n_states..];
        let last_label = if n_states > 1 { ends[n_states - 2] } else { NEVER };
        let log_likelihood = log_sum_exp(ends[n_states - 1], last_label, NEVER);
        if !log_likelihood.is_finite() {
            return 0.0;
        }

        let mut beta = vec![NEVER; n_states];
        beta[n_states.saturating_sub(2)..].fill(0.0);
        let mut arrive = vec![NEVER; n_states + 2];
        for t in (0..n_frames).rev() {
            let row = t * n_labels..(t + 1) * n_labels;
            let grad = &mut grad[row.clone()];
            softmax(&logits[row], log_totals[t] as f32, grad);
            for s in 0..n_states {
                grad[labels[s]] -= (alpha[t * n_states + s] + beta[s] - log_likelihood).exp() as f32;
            }
            for s in 0..n_states {
                arrive[s] = beta[s] + emits(t, s);
            }
            for s in 0..n_states {
                let jump = if s + 2 < n_states && jumps[s + 2] { arrive[s + 2] } else { NEVER };
                beta[s] = log_sum_exp(arrive[s], arrive[s + 1], jump);
            }
        }
        -log_likelihood as f32
    }

    /// `[n_frames, n_states]`.
    fn alpha(&self, n_states: usize, jumps: &[bool], emits: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut alpha = vec![NEVER; self.n_frames * n_states];
        for (s, start) in alpha.iter_mut().take(n_states.min(2)).enumerate() {
            *start = emits(0, s);
        }
        for t in 1..self.n_frames {
            let (before, now) = alpha.split_at_mut(t * n_states);
            let before = &before[(t - 1) * n_states..];
            for s in 0..n_states {
                let step = if s >= 1 { before[s - 1] } else { NEVER };
                let jump = if jumps[s] { before[s - 2] } else { NEVER };
                now[s] = log_sum_exp(before[s], step, jump) + emits(t, s);
            }
        }
        alpha
    }
}

/// The logarithm of an impossible path's probability.
const NEVER: f64 = f64::NEG_INFINITY;

/// The largest term stands for 1, so that two exponentials do.
fn log_sum_exp(a: f64, b: f64, c: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    let (max, middle) = if c > high { (c, high) } else { (high, c) };
    if max == NEVER {
        return NEVER;
    }
    let share = |term: f64| if term == NEVER { 0.0 } else { (term - max).exp() };
    max + (share(middle) + share(low)).ln_1p()
}

vectorised! {
    /// Of each row, the logarithm of its sum of exponentials.
    fn log_totals(logits: &[f32], n_labels: usize) -> Vec<f64> {
        let mut log_totals = Vec::with_capacity(logits.len() / n_labels);
        for row in logits.chunks_exact(n_labels) {
            let largest = simd::max(row);
            let (chunks, rest) = row.as_chunks::<LANES>();
            let mut lanes = [0.0; LANES];
            for chunk in chunks {
                for (lane, logit) in lanes.iter_mut().zip(chunk) {
                    *lane += simd::exp(logit - largest);
                }
            }
            let mut total = simd::add_lanes(lanes);
            for logit in rest {
                total += simd::exp(logit - largest);
            }
            log_totals.push(f64::from(largest) + f64::from(total).ln());
        }
        log_totals
    }

    fn softmax(logits: &[f32], log_total: f32, p: &mut [f32]) {
        for (p, logit) in p.iter_mut().zip(logits) {
            *p = simd::exp(logit - log_total);
        }
    }
}
