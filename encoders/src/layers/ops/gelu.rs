//! The Gaussian error linear unit.

use burn::prelude::*;

/// `y = x Φ(x)`, with the exact Gaussian distribution function (through `erf`), not the tanh approximation.
///
/// # Shapes
/// - x, output: any
///
/// # Reference
/// Hendrycks, Gimpel 2016, "Gaussian Error Linear Units".
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    composite(x)
}

fn composite<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    burn::tensor::activation::gelu(x)
}
