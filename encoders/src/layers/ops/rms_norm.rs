//! Root-mean-square normalisation over the last dimension.

use burn::prelude::*;

/// `y = x / sqrt(mean(x²) + eps) * gamma` over the last dimension.
///
/// # Shapes
/// - x, output: `[.., d]`
/// - gamma: `[d]`
///
/// # Panics
/// When the shapes do not fit.
///
/// # Reference
/// Zhang and Sennrich 2019, "Root mean square layer normalization".
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f32) -> Tensor<D> {
    assert_eq!(gamma.dims(), [x.dims()[D - 1]], "rms_norm: width of x and length of its scale differ");
    let spread = (x.clone().square().mean_dim(D - 1) + eps).sqrt();
    x / spread * gamma.unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{assert_differentiates, inputs};

    fn norm(x: &[Tensor<1>]) -> Tensor<1> {
        rms_norm(x[0].clone().reshape([2, 3, 4]), x[1].clone(), 1e-6).reshape([24])
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        assert_differentiates(&inputs(&[24, 4]), &|x| norm(&x), 2e-3);
    }

    #[test]
    fn rows_have_a_mean_square_of_one() {
        let x = Tensor::<2>::from_floats([[3.0, -4.0], [0.5, 0.5]], &Device::flex());
        let y = rms_norm(x, Tensor::ones([2], &Device::flex()), 0.0);
        let squares: Vec<f32> = y.square().mean_dim(1).into_data().iter::<f32>().collect();
        assert!(squares.iter().all(|square| (square - 1.0).abs() < 1e-6), "{squares:?}");
    }
}
