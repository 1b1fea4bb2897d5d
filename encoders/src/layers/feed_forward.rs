//! The feed-forward half of a transformer block.

use burn::module::Module;
use burn::prelude::*;

use super::initializer::Initializer;
use super::linear::Linear;
use super::ops::{self, Activation};

/// `down(f(up(x)))`, or gated: `down(f(gate(x)) * up(x))` (Shazeer 2020, "GLU variants improve transformer"; with SiLU
/// it is SwiGLU).
#[derive(Module, Debug)]
pub struct FeedForward {
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    #[module(skip)]
    activation: Activation,
}

/// Sizes of a [`FeedForward`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedForwardConfig {
    /// Width of what it reads and gives.
    pub d_model: usize,
    /// Width in between.
    pub d_hidden: usize,
    /// The non-linearity in between.
    pub activation: Activation,
    /// Whether a second map of the input gates it.
    pub is_gated: bool,
    /// Whether the maps add a bias.
    pub has_bias: bool,
}

impl FeedForwardConfig {
    /// Random weights.
    pub fn init(&self, init: &mut Initializer) -> FeedForward {
        let Self { d_model, d_hidden, activation, is_gated, has_bias } = *self;
        FeedForward {
            up: Linear::with_bias(has_bias, d_model, d_hidden, init),
            down: Linear::with_bias(has_bias, d_hidden, d_model, init),
            gate: is_gated.then(|| Linear::with_bias(has_bias, d_model, d_hidden, init)),
            activation,
        }
    }
}

impl FeedForward {
    /// # Shapes
    /// `[.., d_model]` -> `[.., d_model]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if let Some(gate) = &self.gate {
            let gate = ops::activate(gate.forward(x.clone()), self.activation);
            return self.down.forward(gate * self.up.forward(x));
        }
        let bias = |linear: &Linear| linear.bias.as_ref().map(|bias| bias.val());
        match (bias(&self.up), bias(&self.down)) {
            (Some(b1), Some(b2)) => {
                ops::feed_forward(x, self.up.weight.val(), b1, self.down.weight.val(), b2, self.activation)
            }
            _ => self.down.forward(ops::activate(self.up.forward(x), self.activation)),
        }
    }

    /// Multiplies the weights of the last map, for initialisations that scale what is added to the residual stream.
    #[must_use]
    pub fn with_scaled_output(self, factor: f64) -> Self {
        Self { down: self.down.scaled(factor), ..self }
    }
}
