//! The Gaussian error linear unit.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::kernel::{Kernel, fused, runs_on};
use super::simd::{erf, exp, vectorised};
use super::storage::{CHUNK, floats, map_chunks_mut, tensor, written};

/// `y = x Φ(x)`, with the exact Gaussian distribution function (through `erf`), not the tanh approximation.
///
/// # Shapes
/// - x, output: any
///
/// # Reference
/// Hendrycks, Gimpel 2016, "Gaussian Error Linear Units".
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if runs_on(&x) { fused!(Gelu; x) } else { composite(x) }
}

fn composite<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    burn::tensor::activation::gelu(x)
}

#[derive(Clone, Debug)]
struct Gelu;

impl Kernel<1> for Gelu {
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let values = floats(&x);
        // SAFETY: each chunk is written from end to end
        let y = unsafe {
            written(values.len(), |y| {
                map_chunks_mut(y, CHUNK, |at, y| activate(&values[at..at + y.len()], y));
            })
        };
        (tensor(y, x.layout().shape().clone()), x)
    }

    fn backward(&self, x: FlexTensor, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let (values, grads) = (floats(&x), floats(&grad));
        // SAFETY: each chunk is written from end to end
        let dx = unsafe {
            written(values.len(), |dx| {
                map_chunks_mut(dx, CHUNK, |at, dx| {
                    let range = at..at + dx.len();
                    differentiate(&values[range.clone()], &grads[range], dx);
                });
            })
        };
        [Some(tensor(dx, x.layout().shape().clone()))]
    }
}

/// Φ(x), the standard Gaussian's distribution function.
#[inline(always)]
pub(super) fn gaussian_cdf(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2)
}

/// The derivative of `x Φ(x)`, given `Φ(x)`.
#[inline(always)]
pub(super) fn slope(x: f32, cdf: f32) -> f32 {
    /// `1 / sqrt(2 π)`.
    const PEAK: f32 = 0.398_942_3;
    (x * PEAK).mul_add(exp(-0.5 * x * x), cdf)
}

vectorised! {
    pub(super) fn activate(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (y, &x) in y.iter_mut().zip(x) {
            y.write(x * gaussian_cdf(x));
        }
    }

    fn differentiate(x: &[f32], grad: &[f32], dx: &mut [MaybeUninit<f32>]) {
        for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
            dx.write(grad * slope(x, gaussian_cdf(x)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{
        assert_agree, assert_differentiates, assert_reproducible, inputs, values,
    };

    const TOLERANCE: f32 = 1e-6;

    #[test]
    fn fused_agrees_with_composite() {
        for n in [1, 15, 16, 33, CHUNK + 5] {
            let x: Vec<f32> = values(n, 1).iter().map(|x| x * 6.0).collect();
            assert_agree(&[x], &|x| gelu(x[0].clone()), &|x| composite(x[0].clone()), TOLERANCE);
        }
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        assert_differentiates(&inputs(&[9]), &|x| gelu(x[0].clone()), 1e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        assert_reproducible(&inputs(&[3 * CHUNK + 7]), &|x| gelu(x[0].clone()));
    }

    #[test]
    fn far_from_zero_it_is_the_identity_or_zero() {
        let x = Tensor::<1>::from_floats([-30.0, -6.0, 0.0, 6.0, 30.0], &Device::flex());
        let y: Vec<f32> = gelu(x).into_data().iter::<f32>().collect();
        assert_eq!([y[0].abs() < 1e-6, y[1].abs() < 1e-6, y[2] == 0.0, y[3] == 6.0, y[4] == 30.0], [true; 5]);
    }
}
