//! Cross entropy between logits and class indices.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;

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
/// When the shapes do not fit.
///
/// # Reference
/// Label smoothing as PyTorch's `cross_entropy` (Szegedy et al. 2016, section 7).
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weight: Tensor<1>,
    label_smoothing: f32,
) -> Tensor<1> {
    composite(logits, targets, weight, label_smoothing)
}

fn composite(logits: Tensor<2>, targets: Tensor<1, Int>, weight: Tensor<1>, label_smoothing: f32) -> Tensor<1> {
    let [n, n_classes] = logits.dims();
    assert_shape!(targets, [n]);
    assert_shape!(weight, [n]);
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
