//! Attention to another sequence.

use burn::module::Module;
use burn::prelude::*;

use super::config::TransformerConfig;
use super::surroundings::Surroundings;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::layers::ops;

/// Queries from the block's tokens, keys and values from a context.
#[derive(Module, Debug)]
pub(super) struct CrossAttention {
    norm: Norm,
    query: Linear,
    key_value: Linear,
    out: Linear,
    n_heads: usize,
}

impl CrossAttention {
    pub(super) fn new(config: &TransformerConfig, d_context: usize, init: &mut Initializer) -> Self {
        let (d_model, has_bias) = (config.d_model, config.block.has_bias);
        Self {
            norm: config.norm(init),
            query: Linear::with_bias(has_bias, d_model, d_model, init),
            key_value: Linear::with_bias(has_bias, d_context, 2 * d_model, init),
            out: Linear::with_bias(has_bias, d_model, d_model, init),
            n_heads: config.n_heads,
        }
    }

    /// `[batch, n_context, d_context]` -> `[batch, n_context, 2 * d_model]`
    pub(super) fn keys(&self, context: Tensor<3>) -> Tensor<3> {
        self.key_value.forward(context)
    }

    /// # Panics
    /// When there is no context.
    pub(super) fn forward(&self, tokens: Tensor<3>, around: &Surroundings, norm_first: bool) -> Tensor<3> {
        let context = around.context.expect("the blocks attend to another sequence: call forward_attending");
        let keys = self.keys(context.tokens.clone());
        self.forward_with_keys(tokens, &keys, around, norm_first)
    }

    pub(super) fn forward_with_keys(
        &self,
        tokens: Tensor<3>,
        keys: &Tensor<3>,
        around: &Surroundings,
        norm_first: bool,
    ) -> Tensor<3> {
        let input = if norm_first { self.norm.forward(tokens.clone()) } else { tokens.clone() };
        let is_pad = around.context.and_then(|context| context.is_pad.clone());
        let attended = ops::cross_attention(self.query.forward(input), keys.clone(), self.n_heads, is_pad);
        let tokens = self.out.forward_add(attended, tokens);
        if norm_first { tokens } else { self.norm.forward(tokens) }
    }
}
