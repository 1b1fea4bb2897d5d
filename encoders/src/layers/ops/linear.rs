//! Affine maps over the last dimension.

use burn::prelude::*;

/// `y = x W + b` over the last dimension; the leading dimensions are folded into rows, so that a weight gradient
/// is one product.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weight: `[d_in, d_out]`
/// - bias: `[d_out]`
/// - output: `[.., d_out]`
///
/// # Panics
/// When the shapes do not fit.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    composite(x, weight, bias)
}

/// `y = residual + x W + b`: [`linear`] with the residual added where the product is written.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weight: `[d_in, d_out]`
/// - bias: `[d_out]`
/// - residual, output: `[.., d_out]`
///
/// # Panics
/// When the shapes do not fit.
pub fn linear_add<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    residual: Tensor<D>,
) -> Tensor<D> {
    composite(x, weight, Some(bias)) + residual
}

fn composite<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut dims = x.dims();
    let [d_in, d_out] = weight.dims();
    assert_eq!(dims[D - 1], d_in, "linear: width of x and rows of the weight differ");
    let rows = dims[..D - 1].iter().product::<usize>();
    let mut y = x.reshape([rows, d_in]).matmul(weight);
    if let Some(bias) = bias {
        y = y + bias.reshape([1, d_out]);
    }
    dims[D - 1] = d_out;
    y.reshape(dims)
}
