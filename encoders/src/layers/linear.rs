//! Affine maps, layer normalisation and two-layer feed-forward networks.

use burn::module::{Module, Param};
use burn::prelude::*;

use super::initializer::Initializer;
use super::ops;

/// `y = x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_in, d_out]`
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Glorot-uniform weights, zero bias.
    pub fn new(d_in: usize, d_out: usize, init: &mut Initializer) -> Self {
        Self { weight: init.xavier_uniform(d_in, d_out), bias: Some(init.constant([d_out], 0.0)) }
    }

    /// Glorot-uniform weights without a bias.
    pub fn without_bias(d_in: usize, d_out: usize, init: &mut Initializer) -> Self {
        Self { weight: init.xavier_uniform(d_in, d_out), bias: None }
    }

    /// # Shapes
    /// `[.., d_in]` -> `[.., d_out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(x, self.weight.val(), self.bias.as_ref().map(|bias| bias.val()))
    }

    /// `residual + x W + b`.
    ///
    /// # Shapes
    /// `[.., d_in]`, `[.., d_out]` -> `[.., d_out]`
    pub fn forward_add<const D: usize>(&self, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        match &self.bias {
            Some(bias) => ops::linear_add(x, self.weight.val(), bias.val(), residual),
            None => residual + self.forward(x),
        }
    }
}

/// Layer normalisation over the last axis (Ba, Kiros and Hinton 2016).
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[d]`
    pub gamma: Param<Tensor<1>>,
    /// `[d]`
    pub beta: Param<Tensor<1>>,
}

impl LayerNorm {
    /// As PyTorch's default.
    const EPSILON: f32 = 1e-5;

    /// Starts as the plain normalisation.
    pub fn new(d: usize, init: &mut Initializer) -> Self {
        Self { gamma: init.constant([d], 1.0), beta: init.constant([d], 0.0) }
    }

    /// # Shapes
    /// `[.., d]` -> `[.., d]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.gamma.val(), self.beta.val(), Self::EPSILON)
    }
}

/// `down(gelu(up(x)))`, the feed-forward half of a transformer block.
#[derive(Module, Debug)]
pub struct FeedForward {
    up: Linear,
    down: Linear,
}

impl FeedForward {
    /// `d_model -> d_hidden -> d_model`.
    pub fn new(d_model: usize, d_hidden: usize, init: &mut Initializer) -> Self {
        Self { up: Linear::new(d_model, d_hidden, init), down: Linear::new(d_hidden, d_model, init) }
    }

    /// # Shapes
    /// `[.., d_model]` -> `[.., d_model]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = |linear: &Linear| linear.bias.as_ref().map(|bias| bias.val());
        match (bias(&self.up), bias(&self.down)) {
            (Some(b1), Some(b2)) => {
                ops::feed_forward(x, self.up.weight.val(), b1, self.down.weight.val(), b2)
            }
            _ => self.down.forward(ops::gelu(self.up.forward(x))),
        }
    }
}
