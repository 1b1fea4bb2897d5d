//! Affine maps.

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
    /// Weights as the initialiser is set to draw them, zero bias.
    pub fn new(d_in: usize, d_out: usize, init: &mut Initializer) -> Self {
        Self::with_bias(true, d_in, d_out, init)
    }

    /// With or without a bias.
    pub fn with_bias(has_bias: bool, d_in: usize, d_out: usize, init: &mut Initializer) -> Self {
        let weight = init.weight(d_in, d_out);
        Self { weight, bias: has_bias.then(|| init.constant([d_out], 0.0)) }
    }

    /// The same with its weights multiplied.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        // a parameter must be a leaf of the graph
        Self { weight: Param::from_tensor((self.weight.val() * factor).detach()), ..self }
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
