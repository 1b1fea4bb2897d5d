//! The optimizer's update and what goes with it, over parameters and gradients without autodiff.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::prelude::*;

use super::kernel::runs_on;
use super::simd::{self, vectorised};
use super::storage::{CHUNK, contiguous, floats, floats_mut, for_each_triple, map_chunks_mut, map_ranges};

/// What an AdamW step needs beside the tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamHyper {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Learning rate of this step.
    pub lr: f32,
    /// Decoupled weight decay, multiplied by the learning rate.
    pub weight_decay: f32,
    /// Number of this step, from 1.
    pub step: usize,
    /// Factor on the gradient before anything else: clipping by the global norm, accumulation. 1 leaves it.
    pub grad_scale: f32,
}

impl AdamHyper {
    /// `lr / (1 - beta1^step)`.
    fn corrected_lr(&self) -> f32 {
        (f64::from(self.lr) / (1.0 - f64::from(self.beta1).powf(self.step as f64))) as f32
    }

    /// `1 / sqrt(1 - beta2^step)`.
    fn root_correction(&self) -> f32 {
        (1.0 / (1.0 - f64::from(self.beta2).powf(self.step as f64)).sqrt()) as f32
    }
}

/// One AdamW step: decoupled decay, bias correction as PyTorch's `AdamW`. Gives (param, m, v); on a CPU their
/// storage is reused where the caller holds no second handle.
///
/// # Shapes
/// - param, grad, m, v: the same
///
/// # Panics
/// When a tensor uses autodiff, the shapes differ or `step` is 0.
///
/// # Reference
/// Loshchilov, Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
pub fn adamw_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    m: Tensor<D>,
    v: Tensor<D>,
    hyper: AdamHyper,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    assert!(hyper.step > 0, "adamw_step: step 0, expected the first step to be 1");
    assert!(!param.is_autodiff() && !grad.is_autodiff(), "adamw_step: expected tensors without autodiff");
    let dims = param.dims();
    assert_eq!([grad.dims(), m.dims(), v.dims()], [dims; 3], "adamw_step: shapes of the tensors differ");
    if [&param, &grad, &m, &v].into_iter().all(runs_on) {
        let inputs = [param, grad, m, v].map(Tensor::into_dispatch);
        let [param, grad, m, v] = inputs;
        let (param, m, v) = <Dispatch as UpdateInPlace>::adamw(param, grad, m, v, hyper);
        (Tensor::from_dispatch(param), Tensor::from_dispatch(m), Tensor::from_dispatch(v))
    } else {
        step_composite(param, grad, m, v, hyper)
    }
}

/// `ema * decay + param * (1 - decay)`, in the average's own storage where the caller holds no second handle.
///
/// # Shapes
/// - ema, param: the same
///
/// # Panics
/// When a tensor uses autodiff or the shapes differ.
pub fn ema_update<const D: usize>(ema: Tensor<D>, param: Tensor<D>, decay: f32) -> Tensor<D> {
    assert!(!ema.is_autodiff() && !param.is_autodiff(), "ema_update: expected tensors without autodiff");
    assert_eq!(ema.dims(), param.dims(), "ema_update: shapes of average and parameter differ");
    if runs_on(&ema) && runs_on(&param) {
        Tensor::from_dispatch(<Dispatch as UpdateInPlace>::ema(
            ema.into_dispatch(),
            param.into_dispatch(),
            decay,
        ))
    } else {
        ema_composite(ema, param, decay)
    }
}

/// The sum of the squares of all elements, for clipping by the global norm.
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> f64 {
    let x = x.inner();
    if runs_on(&x) {
        <Dispatch as UpdateInPlace>::sum_of_squares(x.into_dispatch())
    } else {
        squares_composite(x)
    }
}

fn step_composite<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    m: Tensor<D>,
    v: Tensor<D>,
    hyper: AdamHyper,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let grad = grad * hyper.grad_scale;
    let m = m * hyper.beta1 + grad.clone() * (1.0 - hyper.beta1);
    let v = v * hyper.beta2 + grad.square() * (1.0 - hyper.beta2);
    let denominator = v.clone().sqrt() * hyper.root_correction() + hyper.eps;
    let update = m.clone() * hyper.corrected_lr() / denominator;
    (param * (1.0 - hyper.lr * hyper.weight_decay) - update, m, v)
}

fn ema_composite<const D: usize>(ema: Tensor<D>, param: Tensor<D>, decay: f32) -> Tensor<D> {
    ema * decay + param * (1.0 - decay)
}

fn squares_composite<const D: usize>(x: Tensor<D>) -> f64 {
    x.square().sum().into_scalar::<f64>()
}

/// Updates of tensors without autodiff. A call on another backend than flex panics.
#[backend_extension(Flex)]
trait UpdateInPlace: Backend {
    fn adamw(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        hyper: AdamHyper,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn ema(ema: FloatTensor<Self>, param: FloatTensor<Self>, decay: f32) -> FloatTensor<Self>;
    fn sum_of_squares(x: FloatTensor<Self>) -> f64;
}

impl UpdateInPlace for Flex {
    fn adamw(
        param: FlexTensor,
        grad: FlexTensor,
        m: FlexTensor,
        v: FlexTensor,
        hyper: AdamHyper,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut param, grad, mut m, mut v] = [param, grad, m, v].map(contiguous);
        let grads = floats(&grad);
        let factors = StepFactors::from(&hyper);
        for_each_triple(
            [floats_mut(&mut param), floats_mut(&mut m), floats_mut(&mut v)],
            CHUNK,
            |at, [param, m, v]| adamw(param, &grads[at..at + param.len()], m, v, &factors),
        );
        (param, m, v)
    }

    fn ema(ema: FlexTensor, param: FlexTensor, decay: f32) -> FlexTensor {
        let [mut ema, param] = [ema, param].map(contiguous);
        let params = floats(&param);
        map_chunks_mut(floats_mut(&mut ema), CHUNK, |at, ema| {
            average(ema, &params[at..at + ema.len()], decay)
        });
        ema
    }

    fn sum_of_squares(x: FlexTensor) -> f64 {
        let x = contiguous(x);
        let values = floats(&x);
        map_ranges(values.len(), CHUNK, |range| squares(&values[range])).into_iter().sum()
    }
}

/// What a step multiplies by, computed once in float64.
struct StepFactors {
    grad_scale: f32,
    beta1: f32,
    beta2: f32,
    decay: f32,
    lr: f32,
    root: f32,
    eps: f32,
}

impl From<&AdamHyper> for StepFactors {
    fn from(hyper: &AdamHyper) -> Self {
        Self {
            grad_scale: hyper.grad_scale,
            beta1: hyper.beta1,
            beta2: hyper.beta2,
            decay: 1.0 - hyper.lr * hyper.weight_decay,
            lr: hyper.corrected_lr(),
            root: hyper.root_correction(),
            eps: hyper.eps,
        }
    }
}

vectorised! {
    fn adamw(param: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], factors: &StepFactors) {
        let StepFactors { grad_scale, beta1, beta2, decay, lr, root, eps } = *factors;
        for (((param, grad), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
            let grad = grad * grad_scale;
            *m = m.mul_add(beta1, (1.0 - beta1) * grad);
            *v = v.mul_add(beta2, (1.0 - beta2) * grad * grad);
            *param = param.mul_add(decay, -lr * *m / v.sqrt().mul_add(root, eps));
        }
    }

    fn average(ema: &mut [f32], param: &[f32], decay: f32) {
        for (ema, param) in ema.iter_mut().zip(param) {
            *ema = ema.mul_add(decay, (1.0 - decay) * param);
        }
    }

    /// In float32 within a short run, in float64 across runs.
    fn squares(x: &[f32]) -> f64 {
        let mut total = 0.0;
        for run in x.chunks(1024) {
            total += f64::from(simd::sum_squares(run, 0.0));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{assert_near, to_vec, values};

    const HYPER: AdamHyper = AdamHyper {
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-6,
        lr: 1e-2,
        weight_decay: 0.1,
        step: 1,
        grad_scale: 0.7,
    };

    fn flat(n: usize, seed: u64) -> Tensor<1> {
        Tensor::from_floats(values(n, seed).as_slice(), &Device::flex())
    }

    /// Several steps with changing gradients; gives the parameter and both moments.
    fn train(
        n: usize,
        step: impl Fn(Tensor<1>, Tensor<1>, Tensor<1>, Tensor<1>, AdamHyper) -> (Tensor<1>, Tensor<1>, Tensor<1>),
    ) -> [Vec<f32>; 3] {
        let (mut param, mut m, mut v) = (flat(n, 1), flat(n, 2) * 0.0, flat(n, 3) * 0.0);
        for t in 1..=5 {
            (param, m, v) = step(param, flat(n, 10 + t as u64), m, v, AdamHyper { step: t, ..HYPER });
        }
        [param, m, v].map(to_vec)
    }

    #[test]
    fn fused_steps_agree_with_composite() {
        for n in [1, 17, 2 * CHUNK + 3] {
            for (got, expected) in train(n, adamw_step).iter().zip(train(n, step_composite)) {
                assert_near(got, &expected, 1e-6, "after five steps");
            }
        }
    }

    /// By hand, as PyTorch's `AdamW` computes it: param 1, grad 2, no moments.
    #[test]
    fn first_step_is_that_of_the_definition() {
        let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
        let hyper = AdamHyper { lr: 0.1, weight_decay: 0.5, grad_scale: 1.0, eps: 0.5, ..HYPER };
        let (param, m, v) = adamw_step(one(1.0), one(2.0), one(0.0), one(0.0), hyper);
        // decayed to 0.95; both corrected moments are 2 and 4
        assert_near(&to_vec(param), &[0.95 - 0.1 * 2.0 / (2.0 + 0.5)], 1e-6, "param");
        assert_near(&to_vec(m), &[0.2], 1e-6, "m");
        assert_near(&to_vec(v), &[0.08], 1e-6, "v");
    }

    #[test]
    fn a_shared_tensor_keeps_its_content() {
        let param = flat(40, 1);
        let kept = param.clone();
        adamw_step(param, flat(40, 2), flat(40, 3), flat(40, 4).square(), HYPER);
        assert_eq!(to_vec(kept), values(40, 1));
    }

    #[test]
    fn steps_do_not_depend_on_threads() {
        let on_threads = |n_threads: usize| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool of threads");
            pool.install(|| {
                (train(5 * CHUNK + 1, adamw_step), sum_of_squares(flat(5 * CHUNK + 1, 9)).to_bits())
            })
        };
        assert_eq!(on_threads(1), on_threads(2));
        assert_eq!(on_threads(1), on_threads(3));
    }

    #[test]
    fn average_moves_towards_the_parameter() {
        for n in [1, CHUNK + 9] {
            let got = to_vec(ema_update(flat(n, 1), flat(n, 2), 0.9));
            assert_near(&got, &to_vec(ema_composite(flat(n, 1), flat(n, 2), 0.9)), 1e-6, "average");
        }
    }

    #[test]
    fn sum_of_squares_agrees_with_float64() {
        for n in [1, 1000, 3 * CHUNK + 11] {
            let expected: f64 = values(n, 5).iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            for got in [sum_of_squares(flat(n, 5)), squares_composite(flat(n, 5))] {
                assert!((got - expected).abs() <= 1e-5 * expected, "{got}, expected {expected}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "expected tensors without autodiff")]
    fn autodiff_tensor_panics() {
        let x = || flat(3, 1);
        adamw_step(x().autodiff(), x(), x(), x(), HYPER);
    }
}
