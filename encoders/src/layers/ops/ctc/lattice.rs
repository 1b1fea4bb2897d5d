//! The sum over all alignments of one sample, with its gradient, in log space.

use rayon::prelude::*;

/// The batch that a loss is summed for.
#[derive(Clone, Debug)]
pub(super) struct Lattice {
    n_frames: usize,
    n_labels: usize,
    blank: usize,
    samples: Vec<Sample>,
}

/// One row of the batch.
#[derive(Clone, Debug)]
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

    /// The loss of each sample and its gradient with respect to the logits, both in the batch's order.
    pub(super) fn losses_and_grads(&self, logits: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let size = self.n_frames * self.n_labels;
        let mut grads = vec![0.0; logits.len()];
        if size == 0 {
            return (vec![0.0; self.samples.len()], grads);
        }
        let losses = grads
            .par_chunks_mut(size)
            .zip(logits.par_chunks(size))
            .zip(&self.samples)
            .map(|((grad, logits), sample)| sample.loss_and_grad(logits, grad, self.n_labels, self.blank))
            .collect();
        (losses, grads)
    }
}

impl Sample {
    /// Writes the gradient with respect to the logits and gives the loss; `grad` holds zeros on entry and keeps
    /// them behind the sample's frames and where no alignment exists.
    ///
    /// `alpha[t][s]` is the log-probability of all ways to emit the first frames up to `t` that end in state `s` of
    /// the target with a blank before, between and after its labels; `beta[t][s]` that of the frames behind `t`.
    fn loss_and_grad(&self, logits: &[f32], grad: &mut [f32], n_labels: usize, blank: usize) -> f32 {
        let n_states = 2 * self.target.len() + 1;
        let n_frames = self.n_frames;
        if n_frames == 0 {
            return 0.0;
        }
        let label_of = |state: usize| if state % 2 == 0 { blank } else { self.target[state / 2] };
        // a path may jump over a blank between two different labels
        let jumps = |state: usize| state >= 3 && state % 2 == 1 && self.target[state / 2] != self.target[state / 2 - 1];

        let log_p: Vec<f64> = logits[..n_frames * n_labels].chunks_exact(n_labels).flat_map(log_softmax).collect();
        let emits = |frame: usize, state: usize| log_p[frame * n_labels + label_of(state)];

        let mut alpha = vec![f64::NEG_INFINITY; n_frames * n_states];
        alpha[0] = emits(0, 0);
        if n_states > 1 {
            alpha[1] = emits(0, 1);
        }
        for t in 1..n_frames {
            let (before, now) = alpha.split_at_mut(t * n_states);
            let before = &before[(t - 1) * n_states..];
            for s in 0..n_states {
                let stay = before[s];
                let step = if s >= 1 { before[s - 1] } else { f64::NEG_INFINITY };
                let jump = if jumps(s) { before[s - 2] } else { f64::NEG_INFINITY };
                now[s] = log_sum_exp([stay, step, jump]) + emits(t, s);
            }
        }

        let ends = &alpha[(n_frames - 1) * n_states..];
        let last_label = if n_states > 1 { ends[n_states - 2] } else { f64::NEG_INFINITY };
        let log_likelihood = log_sum_exp([ends[n_states - 1], last_label, f64::NEG_INFINITY]);
        if !log_likelihood.is_finite() {
            return 0.0;
        }

        let mut beta = vec![f64::NEG_INFINITY; n_states];
        beta[n_states - 1] = 0.0;
        if n_states > 1 {
            beta[n_states - 2] = 0.0;
        }
        for t in (0..n_frames).rev() {
            let row = t * n_labels..(t + 1) * n_labels;
            let grad = &mut grad[row.clone()];
            for (grad, log_p) in grad.iter_mut().zip(&log_p[row]) {
                *grad = log_p.exp() as f32;
            }
            for s in 0..n_states {
                let occupancy = (alpha[t * n_states + s] + beta[s] - log_likelihood).exp();
                grad[label_of(s)] -= occupancy as f32;
            }
            let arrive: Vec<f64> = (0..n_states).map(|s| beta[s] + emits(t, s)).collect();
            for s in 0..n_states {
                let step = if s + 1 < n_states { arrive[s + 1] } else { f64::NEG_INFINITY };
                let jump = if s + 2 < n_states && jumps(s + 2) { arrive[s + 2] } else { f64::NEG_INFINITY };
                beta[s] = log_sum_exp([arrive[s], step, jump]);
            }
        }
        -log_likelihood as f32
    }
}

fn log_softmax(row: &[f32]) -> impl Iterator<Item = f64> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&x| f64::from(x - max).exp()).sum();
    let shift = f64::from(max) + sum.ln();
    row.iter().map(move |&x| f64::from(x) - shift)
}

fn log_sum_exp(terms: [f64; 3]) -> f64 {
    let max = terms.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + terms.into_iter().map(|term| (term - max).exp()).sum::<f64>().ln()
}
