//! The position-wise feed-forward network of a transformer.

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::activation::{Activation, activate, write, write_and_differentiate};
use super::kernel::{Kernel, fused, runs_on};
use super::linear;
use super::linear::{Start, affine, column_sums, input_gradient, weight_gradient};
use super::storage::{CHUNK, floats, for_each_pair, map_chunks_mut, sizes, tensor, written};

/// `y = f(x W1 + b1) W2 + b2`, with `f` the activation. Only the pre-activation is kept for the backward pass.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - w1, b1: `[d_in, d_ff]`, `[d_ff]`
/// - w2, b2: `[d_ff, d_out]`, `[d_out]`
/// - output: `[.., d_out]`
///
/// # Panics
/// When the shapes do not fit.
pub fn feed_forward<const D: usize>(
    x: Tensor<D>,
    w1: Tensor<2>,
    b1: Tensor<1>,
    w2: Tensor<2>,
    b2: Tensor<1>,
    activation: Activation,
) -> Tensor<D> {
    let ([d_in, d_ff], [_, d_out]) = (w1.dims(), w2.dims());
    assert_eq!(x.dims()[D - 1], d_in, "feed_forward: width of x and rows of w1 differ");
    assert_eq!(w2.dims(), [d_ff, d_out], "feed_forward: columns of w1 and rows of w2 differ");
    assert_eq!(
        [b1.dims(), b2.dims()],
        [[d_ff], [d_out]],
        "feed_forward: lengths of biases and weights differ"
    );
    if runs_on(&x) {
        fused!(FeedForward(activation); x, w1, b1, w2, b2)
    } else {
        composite(x, w1, b1, w2, b2, activation)
    }
}

fn composite<const D: usize>(
    x: Tensor<D>,
    w1: Tensor<2>,
    b1: Tensor<1>,
    w2: Tensor<2>,
    b2: Tensor<1>,
    activation: Activation,
) -> Tensor<D> {
    linear(activate(linear(x, w1, Some(b1)), activation), w2, Some(b2))
}

#[derive(Clone, Debug)]
struct FeedForward(Activation);

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    w1: FlexTensor,
    w2: FlexTensor,
    /// `x W1 + b1`.
    hidden: FlexTensor,
}

impl Kernel<5> for FeedForward {
    type Saved = Saved;

    fn forward(&self, [x, w1, b1, w2, b2]: [FlexTensor; 5]) -> (FlexTensor, Saved) {
        let hidden = affine(&x, &w1, Start::Bias(floats(&b1)));
        let before = floats(&hidden);
        // SAFETY: each chunk is written from end to end
        let active = unsafe {
            written(before.len(), |active| {
                map_chunks_mut(active, CHUNK, |at, active| {
                    write(self.0, &before[at..at + active.len()], active)
                });
            })
        };
        let active = tensor(active, hidden.layout().shape().clone());
        let y = affine(&active, &w2, Start::Bias(floats(&b2)));
        (y, Saved { x, w1, w2, hidden })
    }

    fn backward(
        &self,
        Saved { x, w1, w2, hidden }: Saved,
        grad: FlexTensor,
        needed: [bool; 5],
    ) -> [Option<FlexTensor>; 5] {
        let ([d_in, d_ff], [_, d_out]) = (sizes(&w1), sizes(&w2));
        let n_rows = floats(&grad).len() / d_out;
        let (x_values, before, grads) = (floats(&x), floats(&hidden), floats(&grad));
        let mut d_hidden = input_gradient(grads, floats(&w2), n_rows, d_ff, d_out);
        // SAFETY: each chunk is written from end to end
        let active = unsafe {
            written(before.len(), |active| {
                for_each_pair(active, &mut d_hidden, CHUNK, |at, active, d_hidden| {
                    write_and_differentiate(self.0, &before[at..at + active.len()], active, d_hidden);
                });
            })
        };
        let [for_x, for_w1, for_b1, for_w2, for_b2] = needed;
        let dw2 = for_w2.then(|| tensor(weight_gradient(&active, grads, n_rows, d_ff, d_out), [d_ff, d_out]));
        drop(active);
        let db2 = for_b2.then(|| tensor(column_sums(grads, d_out), [d_out]));
        let dw1 =
            for_w1.then(|| tensor(weight_gradient(x_values, &d_hidden, n_rows, d_in, d_ff), [d_in, d_ff]));
        let db1 = for_b1.then(|| tensor(column_sums(&d_hidden, d_ff), [d_ff]));
        let dx = for_x.then(|| {
            tensor(input_gradient(&d_hidden, floats(&w1), n_rows, d_in, d_ff), x.layout().shape().clone())
        });
        [dx, dw1, db1, dw2, db2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{assert_agree, assert_differentiates, assert_reproducible, inputs};

    const TOLERANCE: f32 = 1e-5;

    fn network(x: &[Tensor<1>], n: usize, [d_in, d_ff, d_out]: [usize; 3], fused: bool) -> Tensor<1> {
        let input = x[0].clone().reshape([1, n, d_in]);
        let (w1, w2) = (x[1].clone().reshape([d_in, d_ff]), x[3].clone().reshape([d_ff, d_out]));
        let (b1, b2) = (x[2].clone(), x[4].clone());
        let run = if fused { feed_forward } else { composite };
        run(input, w1, b1, w2, b2, Activation::QuickGelu).reshape([n * d_out])
    }

    fn network_inputs(n: usize, [d_in, d_ff, d_out]: [usize; 3]) -> Vec<Vec<f32>> {
        inputs(&[n * d_in, d_in * d_ff, d_ff, d_ff * d_out, d_out])
    }

    #[test]
    fn fused_agrees_with_composite() {
        for (n, dims) in [(1, [1, 1, 1]), (3, [5, 7, 2]), (30, [33, 100, 47]), (600, [24, 96, 24])] {
            assert_agree(
                &network_inputs(n, dims),
                &|x| network(&x, n, dims, true),
                &|x| network(&x, n, dims, false),
                TOLERANCE,
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let dims = [3, 5, 2];
        assert_differentiates(&network_inputs(4, dims), &|x| network(&x, 4, dims, true), 2e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        let dims = [32, 128, 48];
        assert_reproducible(&network_inputs(500, dims), &|x| network(&x, 500, dims, true));
    }
}
