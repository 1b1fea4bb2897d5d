//! Cross entropy between logits and class indices.

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use super::kernel::{Kernel, fused, runs_on};
use super::simd::{self, vectorised};
use super::storage::{floats, map_chunks_mut, rows_in_chunk, scaled, sizes, tensor, written};

/// The smallest denominator: a batch without any weight gives 0, not NaN.
const MIN_TOTAL_WEIGHT: f32 = 1e-12;

/// The weighted mean over rows of `(1 - label_smoothing) * -log p(target) + label_smoothing * mean(-log p)`.
///
/// A row of weight 0 contributes nothing, whatever its target; without any weight the loss is 0. No gradient flows
/// to the weights.
///
/// # Shapes
/// - logits: `[n, n_classes]`, unnormalised
/// - targets: `[n]`, each below `n_classes`
/// - weight: `[n]`, none negative
/// - output: `[1]`
///
/// # Panics
/// When the shapes do not fit or the target of a row with a weight is out of range.
///
/// # Reference
/// Label smoothing as PyTorch's `cross_entropy` (Szegedy et al. 2016, section 7).
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weight: Tensor<1>,
    label_smoothing: f32,
) -> Tensor<1> {
    let [n, _] = logits.dims();
    assert_eq!(
        [targets.dims(), weight.dims()],
        [[n], [n]],
        "cross_entropy: numbers of logits, targets, weights differ"
    );
    if !runs_on(&logits) {
        return composite(logits, targets, weight, label_smoothing);
    }
    let kernel = CrossEntropy {
        targets: targets.into_data().iter::<i64>().collect(),
        weight: weight.into_data().iter::<f32>().collect(),
        label_smoothing,
    };
    fused!(kernel; logits)
}

fn composite(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weight: Tensor<1>,
    label_smoothing: f32,
) -> Tensor<1> {
    let [n, n_classes] = logits.dims();
    if n == 0 {
        return logits.sum();
    }
    let weight = weight.detach();
    let log_p = log_softmax(logits, 1);
    let of_target: Tensor<1> = log_p.clone().gather(1, targets.reshape([n, 1])).reshape([n]);
    let mut loss = of_target * -(1.0 - label_smoothing);
    if label_smoothing > 0.0 {
        loss = loss - log_p.sum_dim(1).reshape([n]) * (label_smoothing / n_classes as f32);
    }
    let total = weight.clone().sum().clamp_min(MIN_TOTAL_WEIGHT);
    (loss * weight).sum() / total
}

/// The loss and its gradient in one pass over the logits.
#[derive(Clone, Debug)]
struct CrossEntropy {
    targets: Arc<[i64]>,
    weight: Arc<[f32]>,
    label_smoothing: f32,
}

impl Kernel<1> for CrossEntropy {
    /// The gradient of the loss with respect to the logits.
    type Saved = FlexTensor;

    fn forward(&self, [logits]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let [n, n_classes] = sizes(&logits);
        let values = floats(&logits);
        let total = self.weight.iter().map(|&weight| f64::from(weight)).sum::<f64>() as f32;
        let inverse = 1.0 / total.max(MIN_TOTAL_WEIGHT);
        let mut losses = Vec::new();
        // SAFETY: each chunk is whole rows, and `row` or the fill writes all of each
        let grads = unsafe {
            written(n * n_classes, |grads| {
                losses = map_chunks_mut(grads, rows_in_chunk(n_classes) * n_classes.max(1), |at, grads| {
                    let mut loss = 0.0_f64;
                    for (i, grad) in grads.chunks_exact_mut(n_classes.max(1)).enumerate() {
                        let row_idx = at / n_classes + i;
                        let weight = self.weight[row_idx] * inverse;
                        if weight == 0.0 {
                            grad.fill(MaybeUninit::new(0.0));
                            continue;
                        }
                        let target = self.targets[row_idx];
                        assert!(
                            (0..n_classes as i64).contains(&target),
                            "cross_entropy: target {target} of row {row_idx}, expected below {n_classes}"
                        );
                        let logits = &values[row_idx * n_classes..][..n_classes];
                        loss += f64::from(
                            weight * row(logits, target as usize, weight, self.label_smoothing, grad),
                        );
                    }
                    loss
                });
            })
        };
        let loss = losses.into_iter().sum::<f64>() as f32;
        (tensor(vec![loss], [1]), tensor(grads, [n, n_classes]))
    }

    fn backward(&self, grads: FlexTensor, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(scaled(grads, floats(&grad)))]
    }
}

vectorised! {
    /// Gives the row's loss without its weight and writes `weight * (p - (1 - smoothing) onehot - smoothing / n)`.
    fn row(logits: &[f32], target: usize, weight: f32, smoothing: f32, grad: &mut [MaybeUninit<f32>]) -> f32 {
        let n_classes = logits.len() as f32;
        let largest = simd::max(logits);
        for (grad, logit) in grad.iter_mut().zip(logits) {
            grad.write(simd::exp(logit - largest));
        }
        // SAFETY: the loop above wrote every element: both slices are a row long
        let grad = unsafe { grad.assume_init_mut() };
        let total = simd::sum(grad);
        let (factor, shift) = (weight / total, -weight * smoothing / n_classes);
        for grad in grad.iter_mut() {
            *grad = grad.mul_add(factor, shift);
        }
        grad[target] -= weight * (1.0 - smoothing);
        let log_total = largest + total.ln();
        let spread = if smoothing > 0.0 { log_total - simd::sum(logits) / n_classes } else { 0.0 };
        (1.0 - smoothing) * (log_total - logits[target]) + smoothing * spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{
        assert_agree, assert_differentiates, assert_reproducible, inputs, run, values,
    };

    const TOLERANCE: f32 = 2e-6;

    #[derive(Clone, Copy)]
    struct Case {
        n: usize,
        n_classes: usize,
        smoothing: f32,
        weight: fn(usize) -> f32,
    }

    impl Case {
        fn loss(&self, x: &[Tensor<1>], fused: bool) -> Tensor<1> {
            let logits = x[0].clone().reshape([self.n, self.n_classes]) * 4.0;
            let device = logits.device();
            let targets: Vec<i64> = (0..self.n).map(|i| (i * 7 % self.n_classes) as i64).collect();
            let weight: Vec<f32> = (0..self.n).map(self.weight).collect();
            let targets = Tensor::<1, Int>::from_ints(targets.as_slice(), &device);
            let weight = Tensor::<1>::from_floats(weight.as_slice(), &device);
            let run = if fused { cross_entropy } else { composite };
            run(logits, targets, weight, self.smoothing)
        }
    }

    const WEIGHTS: [fn(usize) -> f32; 3] = [|_| 1.0, |i| (i % 3) as f32, |i| if i == 0 { 0.5 } else { 0.0 }];

    #[test]
    fn fused_agrees_with_composite() {
        for (n, n_classes) in [(1, 2), (5, 17), (40, 500), (9, 1)] {
            for smoothing in [0.0, 0.1, 1.0] {
                for weight in WEIGHTS {
                    let case = Case { n, n_classes, smoothing, weight };
                    assert_agree(
                        &inputs(&[n * n_classes]),
                        &|x| case.loss(&x, true),
                        &|x| case.loss(&x, false),
                        TOLERANCE,
                    );
                }
            }
        }
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let case = Case { n: 3, n_classes: 5, smoothing: 0.1, weight: |i| 1.0 + i as f32 };
        assert_differentiates(&inputs(&[15]), &|x| case.loss(&x, true), 2e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        let case = Case { n: 300, n_classes: 500, smoothing: 0.1, weight: |i| (i % 3) as f32 };
        assert_reproducible(&inputs(&[300 * 500]), &|x| case.loss(&x, true));
    }

    #[test]
    fn without_any_weight_the_loss_is_zero_with_zero_gradient() {
        let case = Case { n: 4, n_classes: 6, smoothing: 0.1, weight: |_| 0.0 };
        for fused in [true, false] {
            let got = run(&inputs(&[24]), &|x| case.loss(&x, fused));
            assert_eq!((got.output, got.grads), (vec![0.0], vec![vec![0.0; 24]]));
        }
    }

    #[test]
    fn logits_of_weightless_rows_change_nothing() {
        let case = Case { n: 4, n_classes: 6, smoothing: 0.0, weight: |i| (i % 2) as f32 };
        let before = inputs(&[24]);
        let mut after = before.clone();
        after[0][..6].copy_from_slice(&values(6, 77));
        let (before, after) = (run(&before, &|x| case.loss(&x, true)), run(&after, &|x| case.loss(&x, true)));
        assert_eq!(before, after);
    }

    #[test]
    fn large_logits_stay_finite() {
        let logits = Tensor::<2>::from_floats([[1e4, -1e4, 0.0]], &Device::flex());
        let target = Tensor::<1, Int>::from_ints([1], &Device::flex());
        let loss = cross_entropy(logits, target, Tensor::ones([1], &Device::flex()), 0.0);
        assert_eq!(loss.into_scalar::<f32>(), 2e4);
    }

    #[test]
    #[should_panic(expected = "target 3 of row 0, expected below 3")]
    fn target_out_of_range_panics() {
        let target = Tensor::<1, Int>::from_ints([3], &Device::flex());
        cross_entropy(Tensor::ones([1, 3], &Device::flex()), target, Tensor::ones([1], &Device::flex()), 0.0);
    }
}
