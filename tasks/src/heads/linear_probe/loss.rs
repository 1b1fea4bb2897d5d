//! The loss of a linear classifier and its gradient, in blocks of samples.

use rayon::prelude::*;

use super::Features;

/// Samples of a block: enough for the products to be worth it, and few enough that many threads find work. Fixed, because
/// the blocks' sums are added in order.
const BLOCK: usize = 256;

/// The mean loss over some samples, with its share of the regularisation.
pub(super) struct Loss<'a> {
    /// `[n, d + 1]`, with a last column of ones for the bias.
    rows: Vec<f64>,
    labels: &'a [usize],
    n_classes: usize,
    /// `d + 1`
    width: usize,
    /// On half the squared weights.
    decay: f64,
}

impl<'a> Loss<'a> {
    pub(super) fn new(
        features: Features<'_>,
        labels: &'a [usize],
        n_classes: usize,
        inverse_strength: f64,
    ) -> Self {
        let width = features.d + 1;
        let rows = features.values.chunks_exact(features.d);
        let rows = rows.flat_map(|row| row.iter().map(|&value| f64::from(value)).chain([1.0])).collect();
        // one vector of weights tells two classes apart: each of ours is plus or minus half of it, and has half its square
        let share = if n_classes == 2 { 2.0 } else { 1.0 };
        let decay = share / (inverse_strength * labels.len() as f64);
        Self { rows, labels, n_classes, width, decay }
    }

    /// The loss at `weights`, `[n_classes, width]`; its gradient is written beside it.
    pub(super) fn evaluate(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let blocks = self.rows.par_chunks(BLOCK * self.width).zip(self.labels.par_chunks(BLOCK));
        let blocks = blocks.map(|(rows, labels)| self.block(weights, rows, labels)).collect::<Vec<_>>();
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (block_loss, block_gradient) in blocks {
            loss += block_loss;
            for (sum, part) in gradient.iter_mut().zip(block_gradient) {
                *sum += part;
            }
        }
        let share = 1.0 / self.labels.len() as f64;
        loss *= share;
        let last = self.width - 1;
        for (idx, (slope, weight)) in gradient.iter_mut().zip(weights).enumerate() {
            *slope *= share;
            if idx % self.width != last {
                *slope += self.decay * weight;
                loss += 0.5 * self.decay * weight * weight;
            }
        }
        loss
    }

    /// Sums over a block.
    fn block(&self, weights: &[f64], rows: &[f64], labels: &[usize]) -> (f64, Vec<f64>) {
        let (n, k, width) = (labels.len(), self.n_classes, self.width);
        // [n, n_classes]
        let mut scores = product([n, k, width], (rows, [width, 1]), (weights, [1, width]));
        let mut loss = 0.0;
        for (row, &label) in scores.chunks_exact_mut(k).zip(labels) {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = row[label] - largest;
            row.iter_mut().for_each(|score| *score = (*score - largest).exp());
            let sum: f64 = row.iter().sum();
            loss += sum.ln() - own;
            // the gradient of the loss by the scores
            row.iter_mut().for_each(|share| *share /= sum);
            row[label] -= 1.0;
        }
        (loss, product([k, width, n], (&scores, [1, k]), (rows, [width, 1])))
    }
}

/// A matrix by its numbers and the strides of its rows and columns.
type Strided<'a> = (&'a [f64], [usize; 2]);

/// `[m, n]`, row after row: the product of `[m, k]` and `[k, n]`.
fn product([m, n, k]: [usize; 3], a: Strided<'_>, b: Strided<'_>) -> Vec<f64> {
    let reach = |rows: usize, columns: usize, [row_stride, column_stride]: [usize; 2]| {
        rows.saturating_sub(1) * row_stride + columns.saturating_sub(1) * column_stride
    };
    assert!(reach(m, k, a.1) < a.0.len() && reach(k, n, b.1) < b.0.len(), "matrices of other sizes");
    let mut out = vec![0.0; m * n];
    // SAFETY: it was checked that the last element of either matrix lies in its slice; the result is `m * n` long, is
    // borrowed by nobody else, and is not read
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.0.as_ptr(),
            a.1[1] as isize,
            a.1[0] as isize,
            b.0.as_ptr(),
            b.1[1] as isize,
            b.1[0] as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    out
}
