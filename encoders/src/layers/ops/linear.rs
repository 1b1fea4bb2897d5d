//! Affine maps over the last dimension.

use burn::backend::flex::FlexTensor;
use burn::prelude::*;
use burn::tensor::Shape;

use super::kernel::{Kernel, fused, runs_on};
use super::matrix::{Matrix, MatrixMut, Threads};
use super::simd::vectorised;
use super::storage::{
    add_in_order, floats, map_chunks_mut, map_ranges, rows_in_chunk, sizes, tensor, written,
};

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
    assert_affine(&x, &weight, bias.as_ref());
    match bias {
        _ if !runs_on(&x) => composite(x, weight, bias),
        Some(bias) => fused!(Linear; x, weight, bias),
        None => fused!(Linear; x, weight),
    }
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
    assert_affine(&x, &weight, Some(&bias));
    let mut expected = x.dims();
    expected[D - 1] = weight.dims()[1];
    assert_eq!(residual.dims(), expected, "linear_add: shapes of residual and output differ");
    if runs_on(&x) {
        fused!(Linear; x, weight, bias, residual)
    } else {
        composite(x, weight, Some(bias)) + residual
    }
}

fn assert_affine<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) {
    let [d_in, d_out] = weight.dims();
    assert_eq!(x.dims()[D - 1], d_in, "linear: width of x and rows of the weight differ");
    if let Some(bias) = bias {
        assert_eq!(bias.dims(), [d_out], "linear: lengths of bias and output differ");
    }
}

fn composite<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut dims = x.dims();
    let [d_in, d_out] = weight.dims();
    let n_rows = dims[..D - 1].iter().product::<usize>();
    let mut y = x.reshape([n_rows, d_in]).matmul(weight);
    if let Some(bias) = bias {
        y = y + bias.reshape([1, d_out]);
    }
    dims[D - 1] = d_out;
    y.reshape(dims)
}

/// With a weight alone, a bias, or a bias and a residual.
#[derive(Clone, Debug)]
struct Linear;

impl Kernel<2> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight]: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        (affine(&x, &weight, Start::Zero), [x, weight])
    }

    fn backward(
        &self,
        [x, weight]: Self::Saved,
        grad: FlexTensor,
        [for_x, for_w]: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [dx, dw, _] = gradients(&x, &weight, &grad, [for_x, for_w, false]);
        [dx, dw]
    }
}

impl Kernel<3> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        (affine(&x, &weight, Start::Bias(floats(&bias))), [x, weight])
    }

    fn backward(
        &self,
        [x, weight]: Self::Saved,
        grad: FlexTensor,
        needed: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        gradients(&x, &weight, &grad, needed)
    }
}

impl Kernel<4> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias, residual]: [FlexTensor; 4]) -> (FlexTensor, Self::Saved) {
        (affine(&x, &weight, Start::Residual(floats(&bias), floats(&residual))), [x, weight])
    }

    fn backward(
        &self,
        [x, weight]: Self::Saved,
        grad: FlexTensor,
        [for_x, for_w, for_b, _]: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let [dx, dw, db] = gradients(&x, &weight, &grad, [for_x, for_w, for_b]);
        [dx, dw, db, Some(grad)]
    }
}

/// What the product is added to.
pub(super) enum Start<'a> {
    Zero,
    Bias(&'a [f32]),
    Residual(&'a [f32], &'a [f32]),
}

pub(super) fn affine(x: &FlexTensor, weight: &FlexTensor, start: Start) -> FlexTensor {
    let [d_in, d_out] = sizes(weight);
    let (shape, n_rows) = output_shape(x, d_out);
    let a = Matrix::new(floats(x), n_rows, d_in);
    let b = Matrix::new(floats(weight), d_in, d_out);
    let len = n_rows * d_out;
    if let Start::Zero = start {
        // SAFETY: the product writes every element of the matrix, which is the whole buffer
        let y = unsafe {
            written(len, |y| {
                MatrixMut::unwritten(y, n_rows, d_out, d_out).assign_product(a, b, 1.0, Threads::All)
            })
        };
        return tensor(y, shape);
    }
    // SAFETY: each chunk is whole rows, and `MaybeUninit::write` goes over all of each
    let mut y = unsafe {
        written(len, |y| {
            map_chunks_mut(y, rows_in_chunk(d_out) * d_out.max(1), |at, y| match start {
                Start::Zero => {}
                Start::Bias(bias) => {
                    for y in y.chunks_exact_mut(d_out) {
                        y.write_copy_of_slice(bias);
                    }
                }
                Start::Residual(bias, residual) => {
                    let residual = residual[at..at + y.len()].chunks_exact(d_out);
                    for (y, residual) in y.chunks_exact_mut(d_out).zip(residual) {
                        for ((y, residual), bias) in y.iter_mut().zip(residual).zip(bias) {
                            y.write(residual + bias);
                        }
                    }
                }
            });
        })
    };
    MatrixMut::new(&mut y, n_rows, d_out).add_product(a, b, 1.0, Threads::All);
    tensor(y, shape)
}

/// The gradients of x, weight and bias, each where needed.
pub(super) fn gradients(
    x: &FlexTensor,
    weight: &FlexTensor,
    grad: &FlexTensor,
    [for_x, for_w, for_b]: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let [d_in, d_out] = sizes(weight);
    let shape = x.layout().shape().clone();
    let n_rows = output_shape(x, d_out).1;
    let (x, w, g) = (floats(x), floats(weight), floats(grad));
    let dx = for_x.then(|| tensor(input_gradient(g, w, n_rows, d_in, d_out), shape));
    let dw = for_w.then(|| tensor(weight_gradient(x, g, n_rows, d_in, d_out), [d_in, d_out]));
    let db = for_b.then(|| tensor(column_sums(g, d_out), [d_out]));
    [dx, dw, db]
}

/// `grad Wᵀ`.
pub(super) fn input_gradient(
    grad: &[f32],
    weight: &[f32],
    n_rows: usize,
    d_in: usize,
    d_out: usize,
) -> Vec<f32> {
    let (grad, weight) = (Matrix::new(grad, n_rows, d_out), Matrix::new(weight, d_in, d_out));
    // SAFETY: the product writes every element of the matrix, which is the whole buffer
    unsafe {
        written(n_rows * d_in, |dx| {
            MatrixMut::unwritten(dx, n_rows, d_in, d_in).assign_product(grad, weight.t(), 1.0, Threads::All)
        })
    }
}

/// `xᵀ grad`.
pub(super) fn weight_gradient(x: &[f32], grad: &[f32], n_rows: usize, d_in: usize, d_out: usize) -> Vec<f32> {
    let (x, grad) = (Matrix::new(x, n_rows, d_in), Matrix::new(grad, n_rows, d_out));
    // SAFETY: the product writes every element of the matrix, which is the whole buffer
    unsafe {
        written(d_in * d_out, |dw| {
            MatrixMut::unwritten(dw, d_in, d_out, d_out).assign_product(x.t(), grad, 1.0, Threads::All)
        })
    }
}

/// The sum over rows of `width` elements.
pub(super) fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    if width == 0 {
        return Vec::new();
    }
    add_in_order(map_ranges(rows.len() / width, rows_in_chunk(width), |range| {
        let mut total = vec![0.0; width];
        add_rows(&rows[range.start * width..range.end * width], &mut total);
        total
    }))
}

fn output_shape(x: &FlexTensor, d_out: usize) -> (Shape, usize) {
    let mut dims: Vec<usize> = x.layout().shape().iter().copied().collect();
    let last = dims.len() - 1;
    let n_rows = dims[..last].iter().product();
    dims[last] = d_out;
    (Shape::from(dims), n_rows)
}

vectorised! {
    fn add_rows(rows: &[f32], total: &mut [f32]) {
        for row in rows.chunks_exact(total.len()) {
            for (total, value) in total.iter_mut().zip(row) {
                *total += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{assert_agree, assert_differentiates, assert_reproducible, inputs};

    const TOLERANCE: f32 = 1e-5;

    /// Batch, rows, width in, width out.
    const SIZES: [[usize; 4]; 5] =
        [[1, 1, 1, 1], [1, 1, 7, 3], [2, 5, 17, 33], [3, 40, 64, 100], [1, 700, 48, 65]];

    fn affine_of(
        x: &[Tensor<1>],
        [b, n, d_in, d_out]: [usize; 4],
        with_bias: bool,
        fused: bool,
    ) -> Tensor<1> {
        let (input, weight) = (x[0].clone().reshape([b, n, d_in]), x[1].clone().reshape([d_in, d_out]));
        let bias = with_bias.then(|| x[2].clone());
        let y = if fused { linear(input, weight, bias) } else { composite(input, weight, bias) };
        y.reshape([b * n * d_out])
    }

    #[test]
    fn fused_agrees_with_composite() {
        for dims @ [b, n, d_in, d_out] in SIZES {
            for with_bias in [false, true] {
                assert_agree(
                    &inputs(&[b * n * d_in, d_in * d_out, d_out]),
                    &|x| affine_of(&x, dims, with_bias, true),
                    &|x| affine_of(&x, dims, with_bias, false),
                    TOLERANCE,
                );
            }
        }
    }

    fn added(x: &[Tensor<1>], [b, n, d_in, d_out]: [usize; 4], fused: bool) -> Tensor<1> {
        let (input, weight) = (x[0].clone().reshape([b, n, d_in]), x[1].clone().reshape([d_in, d_out]));
        let (bias, residual) = (x[2].clone(), x[3].clone().reshape([b, n, d_out]));
        let y = if fused {
            linear_add(input, weight, bias, residual)
        } else {
            composite(input, weight, Some(bias)) + residual
        };
        y.reshape([b * n * d_out])
    }

    #[test]
    fn fused_residual_agrees_with_composite() {
        for dims @ [b, n, d_in, d_out] in SIZES {
            assert_agree(
                &inputs(&[b * n * d_in, d_in * d_out, d_out, b * n * d_out]),
                &|x| added(&x, dims, true),
                &|x| added(&x, dims, false),
                TOLERANCE,
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let dims = [1, 3, 4, 5];
        assert_differentiates(&inputs(&[12, 20, 5, 15]), &|x| added(&x, dims, true), 1e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        let dims @ [b, n, d_in, d_out] = [4, 200, 96, 130];
        assert_reproducible(&inputs(&[b * n * d_in, d_in * d_out, d_out, b * n * d_out]), &|x| {
            added(&x, dims, true)
        });
    }

    #[test]
    fn transposed_and_sliced_inputs_are_read_in_their_order() {
        let x = Tensor::<1>::from_floats(inputs(&[60])[0].as_slice(), &Device::flex()).reshape([5, 12]);
        let weight = Tensor::<1>::from_floats(inputs(&[60])[0].as_slice(), &Device::flex()).reshape([4, 15]);
        let x = x.transpose().slice(s![2..9, 0..4]);
        let got = linear(x.clone(), weight.clone(), None).into_data();
        got.assert_approx_eq::<f32>(
            &composite(x, weight, None).into_data(),
            burn::tensor::Tolerance::default(),
        );
    }
}
