//! Normalisation over the last axis.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::initializer::Initializer;
use super::ops;

/// Which normalisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// To mean 0 and variance 1, then scaled and shifted (Ba, Kiros and Hinton 2016).
    #[default]
    Layer,
    /// To a mean square of 1, then scaled (Zhang and Sennrich 2019).
    Rms,
}

/// A normalisation with its learned scale, and its shift where it has one.
#[derive(Module, Debug)]
pub struct Norm {
    /// `[d]`
    pub gamma: Param<Tensor<1>>,
    /// `[d]`; a layer normalisation has it, a root-mean-square one does not.
    pub beta: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl Norm {
    /// PyTorch's default.
    pub const EPSILON: f64 = 1e-5;

    /// Layer normalisation that starts as the plain one.
    pub fn layer(d: usize, init: &mut Initializer) -> Self {
        Self::new(NormKind::Layer, d, Self::EPSILON, init)
    }

    /// Starts as the plain normalisation; `epsilon` is added to the variance or the mean square.
    pub fn new(kind: NormKind, d: usize, epsilon: f64, init: &mut Initializer) -> Self {
        let gamma = init.constant([d], 1.0);
        let beta = (kind == NormKind::Layer).then(|| init.constant([d], 0.0));
        Self { gamma, beta, epsilon }
    }

    /// # Shapes
    /// `[.., d]` -> `[.., d]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let epsilon = self.epsilon as f32;
        match &self.beta {
            Some(beta) => ops::layer_norm(x, self.gamma.val(), beta.val(), epsilon),
            None => ops::rms_norm(x, self.gamma.val(), epsilon),
        }
    }
}
