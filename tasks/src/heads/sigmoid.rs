//! What turns a cosine similarity into the logit of a sigmoid: a scale and a bias for each pair of modalities.

use burn::module::{Module, Param};
use burn::prelude::*;
use triptych_encoders::layers::cost::{self, CostTree};
use triptych_encoders::layers::initializer::Initializer;

use super::pair::Pair;

/// Zhai et al. 2023, section 3.2: at the start nearly every pair is judged wrong, as nearly every pair is.
const SCALE: f32 = 10.0;
const BIAS: f32 = -10.0;

/// `exp(log_scale) · cos + bias`.
#[derive(Module, Debug)]
pub struct SigmoidHead {
    /// `[3]`, in the order of [`Pair::ALL`]
    pub log_scale: Param<Tensor<1>>,
    /// `[3]`, likewise
    pub bias: Param<Tensor<1>>,
}

impl SigmoidHead {
    /// A scale of 10 and a bias of -10.
    pub fn new(init: &mut Initializer) -> Self {
        let n = Pair::ALL.len();
        Self { log_scale: init.constant([n], SCALE.ln()), bias: init.constant([n], BIAS) }
    }

    /// What it costs.
    pub fn cost() -> CostTree {
        CostTree::leaf("sigmoid", &[], cost::table(Pair::ALL.len(), 2))
    }
}
