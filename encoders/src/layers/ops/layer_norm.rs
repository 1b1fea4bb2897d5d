//! Layer normalisation over the last dimension.

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::kernel::{Kernel, fused, runs_on};
use super::simd::{self, LANES, add_lanes, vectorised};
use super::storage::{add_in_order, floats, map_chunks_mut, rows_in_chunk, tensor, written};

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
    let d = x.dims()[D - 1];
    assert_eq!(
        [gamma.dims(), beta.dims()],
        [[d], [d]],
        "layer_norm: width of x and length of its affine map differ"
    );
    if runs_on(&x) { fused!(LayerNorm { eps }; x, gamma, beta) } else { composite(x, gamma, beta, eps) }
}

fn composite<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f32) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    centred / (variance + eps).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[derive(Clone, Debug)]
struct LayerNorm {
    eps: f32,
}

/// A row's mean and the reciprocal of its standard deviation.
type Statistics = [f32; 2];

impl Kernel<3> for LayerNorm {
    type Saved = (FlexTensor, FlexTensor, Arc<[Statistics]>);

    fn forward(&self, [x, gamma, beta]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let (values, scale, shift) = (floats(&x), floats(&gamma), floats(&beta));
        let d = scale.len();
        let mut statistics = Vec::new();
        // SAFETY: each chunk is whole rows, which `normalise` writes from end to end
        let y = unsafe {
            written(values.len(), |y| {
                statistics = map_chunks_mut(y, rows_in_chunk(d) * d, |at, y| {
                    let mut statistics = vec![[0.0; 2]; y.len() / d];
                    normalise(&values[at..at + y.len()], scale, shift, self.eps, y, &mut statistics);
                    statistics
                });
            })
        };
        let y = tensor(y, x.layout().shape().clone());
        (y, (x, gamma, statistics.concat().into()))
    }

    fn backward(
        &self,
        (x, gamma, statistics): Self::Saved,
        grad: FlexTensor,
        _: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let (values, scale, grads) = (floats(&x), floats(&gamma), floats(&grad));
        let d = scale.len();
        let (mut d_scale, mut d_shift) = (vec![0.0; d], vec![0.0; d]);
        // SAFETY: each chunk is whole rows, which `differentiate` writes from end to end
        let dx = unsafe {
            written(values.len(), |dx| {
                let parts = map_chunks_mut(dx, rows_in_chunk(d) * d, |at, dx| {
                    let range = at..at + dx.len();
                    let rows = at / d..(at + dx.len()) / d;
                    let (mut d_scale, mut d_shift) = (vec![0.0; d], vec![0.0; d]);
                    differentiate(
                        &values[range.clone()],
                        scale,
                        &grads[range],
                        &statistics[rows],
                        dx,
                        &mut d_scale,
                        &mut d_shift,
                    );
                    (d_scale, d_shift)
                });
                let (scales, shifts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                (d_scale, d_shift) = (add_in_order(scales), add_in_order(shifts));
            })
        };
        let dx = tensor(dx, x.layout().shape().clone());
        [Some(dx), Some(tensor(d_scale, [d])), Some(tensor(d_shift, [d]))]
    }
}

vectorised! {
    fn normalise(
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        eps: f32,
        y: &mut [MaybeUninit<f32>],
        statistics: &mut [Statistics],
    ) {
        let d = gamma.len();
        for ((x, y), statistics) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(statistics) {
            let mean = simd::sum(x) / d as f32;
            let inverse = 1.0 / (simd::sum_squares(x, mean) / d as f32 + eps).sqrt();
            *statistics = [mean, inverse];
            for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                y.write(((x - mean) * inverse).mul_add(*gamma, *beta));
            }
        }
    }

    /// With `x̂ = (x - mean) * inverse` and `h = grad * gamma`: `dx = inverse * (h - mean(h) - x̂ mean(h x̂))`.
    fn differentiate(
        x: &[f32],
        gamma: &[f32],
        grad: &[f32],
        statistics: &[Statistics],
        dx: &mut [MaybeUninit<f32>],
        d_gamma: &mut [f32],
        d_beta: &mut [f32],
    ) {
        let d = gamma.len();
        let whole = d / LANES * LANES;
        let rows = x.chunks_exact(d).zip(grad.chunks_exact(d)).zip(dx.chunks_exact_mut(d)).zip(statistics);
        for (((x, grad), dx), &[mean, inverse]) in rows {
            let (mut sums, mut dots) = ([0.0; LANES], [0.0; LANES]);
            let (mut sum, mut dot) = (0.0, 0.0);
            for at in (0..whole).step_by(LANES) {
                // slices of known length: one check a block, none an element
                let (x, grad, gamma) = (&x[at..at + LANES], &grad[at..at + LANES], &gamma[at..at + LANES]);
                let (d_gamma, d_beta) = (&mut d_gamma[at..at + LANES], &mut d_beta[at..at + LANES]);
                for i in 0..LANES {
                    let normal = (x[i] - mean) * inverse;
                    let h = grad[i] * gamma[i];
                    d_gamma[i] = grad[i].mul_add(normal, d_gamma[i]);
                    d_beta[i] += grad[i];
                    sums[i] += h;
                    dots[i] = h.mul_add(normal, dots[i]);
                }
            }
            for i in whole..d {
                let normal = (x[i] - mean) * inverse;
                let h = grad[i] * gamma[i];
                d_gamma[i] = grad[i].mul_add(normal, d_gamma[i]);
                d_beta[i] += grad[i];
                sum += h;
                dot = h.mul_add(normal, dot);
            }
            let mean_h = (add_lanes(sums) + sum) / d as f32;
            let mean_dot = (add_lanes(dots) + dot) / d as f32;
            for (((dx, x), grad), gamma) in dx.iter_mut().zip(x).zip(grad).zip(gamma) {
                let normal = (x - mean) * inverse;
                dx.write(inverse * (grad * gamma - mean_h - normal * mean_dot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{assert_agree, assert_differentiates, assert_reproducible, inputs};

    const TOLERANCE: f32 = 2e-5;
    const EPS: f32 = 1e-5;

    fn norm(x: &[Tensor<1>], n: usize, d: usize, fused: bool) -> Tensor<1> {
        let (input, gamma, beta) = (x[0].clone().reshape([n, d]), x[1].clone(), x[2].clone());
        let y = if fused { layer_norm(input, gamma, beta, EPS) } else { composite(input, gamma, beta, EPS) };
        y.reshape([n * d])
    }

    #[test]
    fn fused_agrees_with_composite() {
        for (n, d) in [(1, 2), (3, 5), (7, 16), (2, 31), (130, 192), (1, 257), (300, 100)] {
            assert_agree(
                &inputs(&[n * d, d, d]),
                &|x| norm(&x, n, d, true),
                &|x| norm(&x, n, d, false),
                TOLERANCE,
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        assert_differentiates(&inputs(&[3 * 19, 19, 19]), &|x| norm(&x, 3, 19, true), 5e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        assert_reproducible(&inputs(&[700 * 100, 100, 100]), &|x| norm(&x, 700, 100, true));
    }

    #[test]
    fn constant_rows_give_the_shift() {
        let x = Tensor::<2>::full([2, 20], 3.0, &Device::flex());
        let (gamma, beta) = (Tensor::ones([20], &Device::flex()), Tensor::full([20], 0.5, &Device::flex()));
        let y: Vec<f32> = layer_norm(x, gamma, beta, EPS).into_data().iter::<f32>().collect();
        assert_eq!(y, [0.5; 40]);
    }
}
