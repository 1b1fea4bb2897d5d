//! Layer normalisation over the last dimension.

use burn::prelude::*;

/// `y = (x - mean(x)) / sqrt(var(x) + eps) * gamma + beta` over the last dimension, with the biased variance.
///
/// # Shapes
/// - x, output: `[.., d]`, any `d >= 1`
/// - gamma, beta: `[d]`
///
/// # Panics
/// When the shapes do not fit.
///
/// # Reference
/// Ba, Kiros, Hinton 2016, "Layer Normalization".
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f32) -> Tensor<D> {
    composite(x, gamma, beta, eps)
}

fn composite<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f32) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    centred / (variance + eps).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}
