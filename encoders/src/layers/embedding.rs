//! Tables of learned vectors: token embeddings and positions.

use burn::module::{Module, Param};
use burn::prelude::*;

use super::initializer::Initializer;

/// A learned vector for every token id.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[n_vocab, d_model]`
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// Truncated normal of deviation 0.02 (BERT).
    pub fn new(n_vocab: usize, d_model: usize, init: &mut Initializer) -> Self {
        Self { weight: init.truncated_normal([n_vocab, d_model], 0.02) }
    }

    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, n_tokens] = ids.dims();
        let weight = self.weight.val();
        let [_, d_model] = weight.dims();
        weight.select(0, ids.reshape([batch * n_tokens])).reshape([batch, n_tokens, d_model])
    }
}

/// Adds the first `n_tokens` of the learned positions.
///
/// # Shapes
/// `[batch, n_tokens, d_model]`, positions `[max_tokens, d_model]` -> `[batch, n_tokens, d_model]`
///
/// # Panics
/// When there are more tokens than positions.
pub fn add_positions(tokens: Tensor<3>, positions: &Param<Tensor<2>>) -> Tensor<3> {
    let [_, n_tokens, _] = tokens.dims();
    let positions = positions.val();
    let [max_tokens, _] = positions.dims();
    assert!(n_tokens <= max_tokens, "{n_tokens} tokens exceed the {max_tokens} learned positions");
    tokens + positions.narrow(0, 0, n_tokens).unsqueeze::<3>()
}
