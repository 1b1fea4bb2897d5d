//! The pointwise non-linearities of the models that we know.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;
use burn::tensor::activation as plain;
use serde::{Deserialize, Serialize};

use super::kernel::{Kernel, fused, runs_on};
use super::simd::{erf, exp, vectorised};
use super::storage::{CHUNK, floats, map_chunks_mut, tensor, written};

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x Φ(x)`, with the Gaussian distribution function itself (Hendrycks and Gimpel 2016).
    #[default]
    Gelu,
    /// `x Φ(x)` with `Φ` approximated by a hyperbolic tangent (the same paper; GPT-2, SigLIP).
    GeluTanh,
    /// `x σ(1.702 x)` (the same paper; CLIP as OpenAI published it).
    QuickGelu,
    /// `x σ(x)` (SiLU or Swish: Elfwing et al. 2018; Conformer, LLaMA).
    Silu,
    /// `max(x, 0)`.
    Relu,
}

/// Applies `activation` to every element.
///
/// # Shapes
/// - x, output: any
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    if runs_on(&x) { fused!(Pointwise(activation); x) } else { composite(x, activation) }
}

fn composite<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Gelu => plain::gelu(x),
        Activation::GeluTanh => plain::gelu_approximate(x),
        Activation::QuickGelu => x.clone() * plain::sigmoid(x * QUICK),
        Activation::Silu => plain::silu(x),
        Activation::Relu => plain::relu(x),
    }
}

/// The slope of the quick GELU's logistic function.
const QUICK: f32 = 1.702;
/// `sqrt(2 / π)`.
const TANH_SCALE: f32 = 0.797_884_6;
/// The cubic term inside the hyperbolic tangent.
const TANH_CUBE: f32 = 0.044_715;

#[derive(Clone, Debug)]
struct Pointwise(Activation);

impl Kernel<1> for Pointwise {
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let values = floats(&x);
        // SAFETY: each chunk is written from end to end
        let y = unsafe {
            written(values.len(), |y| {
                map_chunks_mut(y, CHUNK, |at, y| write(self.0, &values[at..at + y.len()], y));
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
                    differentiate(self.0, &values[range.clone()], &grads[range], dx);
                });
            })
        };
        [Some(tensor(dx, x.layout().shape().clone()))]
    }
}

/// Φ(x), the standard Gaussian's distribution function.
#[inline(always)]
fn gaussian_cdf(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2)
}

/// The derivative of `x Φ(x)`, given `Φ(x)`.
#[inline(always)]
fn gelu_slope(x: f32, cdf: f32) -> f32 {
    /// `1 / sqrt(2 π)`.
    const PEAK: f32 = 0.398_942_3;
    (x * PEAK).mul_add(exp(-0.5 * x * x), cdf)
}

/// The logistic function.
#[inline(always)]
fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The value and the derivative.
#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    let square = x * x;
    // 0.5 (1 + tanh(u)) = σ(2 u)
    let inner = 2.0 * TANH_SCALE * x * square.mul_add(TANH_CUBE, 1.0);
    let gate = logistic(inner);
    let inner_slope = 2.0 * TANH_SCALE * square.mul_add(3.0 * TANH_CUBE, 1.0);
    (x * gate, (x * gate * (1.0 - gate)).mul_add(inner_slope, gate))
}

/// `x σ(k x)` and its derivative.
#[inline(always)]
fn swish(x: f32, k: f32) -> (f32, f32) {
    let gate = logistic(k * x);
    (x * gate, (k * x * gate).mul_add(1.0 - gate, gate))
}

vectorised! {
    /// Writes the activation of every element.
    pub(super) fn write(activation: Activation, x: &[f32], y: &mut [MaybeUninit<f32>]) {
        match activation {
            Activation::Gelu => for (y, &x) in y.iter_mut().zip(x) {
                y.write(x * gaussian_cdf(x));
            },
            Activation::GeluTanh => for (y, &x) in y.iter_mut().zip(x) {
                y.write(gelu_tanh(x).0);
            },
            Activation::QuickGelu => for (y, &x) in y.iter_mut().zip(x) {
                y.write(swish(x, QUICK).0);
            },
            Activation::Silu => for (y, &x) in y.iter_mut().zip(x) {
                y.write(swish(x, 1.0).0);
            },
            Activation::Relu => for (y, &x) in y.iter_mut().zip(x) {
                y.write(x.max(0.0));
            },
        }
    }

    /// Writes the gradient times the slope.
    fn differentiate(activation: Activation, x: &[f32], grad: &[f32], dx: &mut [MaybeUninit<f32>]) {
        match activation {
            Activation::Gelu => for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
                dx.write(grad * gelu_slope(x, gaussian_cdf(x)));
            },
            Activation::GeluTanh => for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
                dx.write(grad * gelu_tanh(x).1);
            },
            Activation::QuickGelu => for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
                dx.write(grad * swish(x, QUICK).1);
            },
            Activation::Silu => for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
                dx.write(grad * swish(x, 1.0).1);
            },
            Activation::Relu => for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
                dx.write(if x > 0.0 { grad } else { 0.0 });
            },
        }
    }

    /// Writes the activation and multiplies the gradient by its slope, with one evaluation for both.
    pub(super) fn write_and_differentiate(
        activation: Activation,
        x: &[f32],
        y: &mut [MaybeUninit<f32>],
        grad: &mut [f32],
    ) {
        match activation {
            Activation::Gelu => for ((x, y), grad) in x.iter().zip(y).zip(grad) {
                let cdf = gaussian_cdf(*x);
                y.write(x * cdf);
                *grad *= gelu_slope(*x, cdf);
            },
            Activation::GeluTanh => for ((&x, y), grad) in x.iter().zip(y).zip(grad) {
                let (value, slope) = gelu_tanh(x);
                y.write(value);
                *grad *= slope;
            },
            Activation::QuickGelu => for ((&x, y), grad) in x.iter().zip(y).zip(grad) {
                let (value, slope) = swish(x, QUICK);
                y.write(value);
                *grad *= slope;
            },
            Activation::Silu => for ((&x, y), grad) in x.iter().zip(y).zip(grad) {
                let (value, slope) = swish(x, 1.0);
                y.write(value);
                *grad *= slope;
            },
            Activation::Relu => for ((&x, y), grad) in x.iter().zip(y).zip(grad) {
                y.write(x.max(0.0));
                *grad = if x > 0.0 { *grad } else { 0.0 };
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{
        assert_agree, assert_differentiates, assert_reproducible, inputs, values,
    };

    const TOLERANCE: f32 = 2e-6;
    const ALL: [Activation; 5] =
        [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu, Activation::Relu];

    #[test]
    fn fused_agrees_with_composite() {
        for activation in ALL {
            for n in [1, 15, 33, CHUNK + 5] {
                let x: Vec<f32> = values(n, 1).iter().map(|x| x * 6.0).collect();
                assert_agree(
                    &[x],
                    &|x| activate(x[0].clone(), activation),
                    &|x| composite(x[0].clone(), activation),
                    TOLERANCE,
                );
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for activation in ALL {
            assert_differentiates(&inputs(&[9]), &|x| activate(x[0].clone(), activation), 1e-3);
        }
    }

    #[test]
    fn results_do_not_depend_on_threads() {
        for activation in ALL {
            assert_reproducible(&inputs(&[3 * CHUNK + 7]), &|x| activate(x[0].clone(), activation));
        }
    }

    #[test]
    fn far_from_zero_they_are_the_identity_or_zero() {
        for activation in ALL {
            let x = Tensor::<1>::from_floats([-200.0, 0.0, 200.0], &Device::flex());
            let y: Vec<f32> = activate(x, activation).into_data().iter::<f32>().collect();
            assert_eq!([y[0].abs() < 1e-5, y[1] == 0.0, y[2] == 200.0], [true; 3], "{activation:?}: {y:?}");
        }
    }
}
