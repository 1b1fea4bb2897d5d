//! Whether two things belong together, read off their fused sequence.

use burn::module::Module;
use burn::prelude::*;
use triptych_encoders::layers::cost::{self, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_fusion::sequence::FusedSequence;

use super::pair::Pair;

/// A logit for each pair of modalities from the mean of the fused tokens.
///
/// # Differences from the reference
/// ALBEF reads the fused sequence's first token, which stands for the whole there; here no token does, and the mean of
/// those that are not padding is read. One logit stands for the two of its softmax.
#[derive(Module, Debug)]
pub struct MatchingHead {
    /// One column a pair, in the order of [`Pair::ALL`]
    output: Linear,
}

impl MatchingHead {
    /// `d_model` is the backbone's width.
    pub fn new(d_model: usize, init: &mut Initializer) -> Self {
        Self { output: Linear::new(d_model, Pair::ALL.len(), init) }
    }

    /// What a judgement costs.
    pub fn cost(d_model: usize) -> CostTree {
        let n = Pair::ALL.len();
        CostTree::leaf("matching", &[n], cost::linear(1, d_model, n, true))
    }

    /// The logarithm of the odds that the two of each row belong together.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> `[batch]`
    pub fn forward(&self, fused: &FusedSequence, pair: Pair) -> Tensor<1> {
        let [batch, n_tokens, d_model] = fused.tokens.dims();
        let present = fused.is_pad.clone().bool_not().float();
        let count = present.clone().sum_dim(1).clamp_min(1.0);
        let weights = (present / count).reshape([batch, 1, n_tokens]);
        let mean = weights.matmul(fused.tokens.clone()).reshape([batch, d_model]);
        self.output.forward(mean).narrow(1, pair.idx(), 1).reshape([batch])
    }
}
