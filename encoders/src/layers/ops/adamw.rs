//! The optimizer's update and what goes with it, over parameters and gradients without autodiff.

use burn::prelude::*;

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
    assert_eq!(param.dims(), grad.dims(), "adamw_step: shapes of parameter and gradient differ");
    step_composite(param, grad, m, v, hyper)
}

/// `ema * decay + param * (1 - decay)`, in the average's own storage where the caller holds no second handle.
///
/// # Shapes
/// - ema, param: the same
pub fn ema_update<const D: usize>(ema: Tensor<D>, param: Tensor<D>, decay: f32) -> Tensor<D> {
    ema_composite(ema, param, decay)
}

/// The sum of the squares of all elements, for clipping by the global norm.
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> f64 {
    squares_composite(x)
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
