//! The position-wise feed-forward network of a transformer.

use burn::prelude::*;

use super::{gelu, linear};

/// `y = gelu(x W1 + b1) W2 + b2`. Only the pre-activation is kept for the backward pass.
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
) -> Tensor<D> {
    linear(gelu(linear(x, w1, Some(b1))), w2, Some(b2))
}
