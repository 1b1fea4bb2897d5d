//! A vector for a picture as a whole.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::layers::cost::{self, Cost};
use crate::layers::feed_forward::{FeedForward, FeedForwardConfig};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops;
use crate::layers::transformer::TransformerConfig;

/// What stands for a picture as a whole where one vector is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisionPooling {
    /// The mean of its tokens.
    #[default]
    Mean,
    /// A learned token beside them, which is not among the tokens that the encoder gives (Dosovitskiy et al. 2021).
    Class,
    /// A learned query that attends to them (Zhai et al. 2022, "Scaling vision transformers"; SigLIP).
    Attention,
}

impl VisionPooling {
    pub(super) fn is_mean(&self) -> bool {
        *self == Self::Mean
    }
}

/// Attention of one learned query, and a feed-forward behind it.
#[derive(Module, Debug)]
pub struct AttentionPooling {
    probe: Param<Tensor<1>>,
    query: Linear,
    key_value: Linear,
    out: Linear,
    norm: Norm,
    feed_forward: FeedForward,
    n_heads: usize,
}

impl AttentionPooling {
    /// As wide as the blocks under it, with as many heads.
    pub fn new(config: &TransformerConfig, init: &mut Initializer) -> Self {
        let (d_model, block) = (config.d_model, &config.block);
        let feed_forward = FeedForwardConfig {
            d_model,
            d_hidden: config.d_hidden(),
            activation: block.activation,
            is_gated: false,
            has_bias: true,
        };
        Self {
            probe: init.truncated_normal([d_model], 0.02),
            query: Linear::new(d_model, d_model, init),
            key_value: Linear::new(d_model, 2 * d_model, init),
            out: Linear::new(d_model, d_model, init),
            norm: Norm::new(NormKind::Layer, d_model, block.norm_epsilon, init),
            feed_forward: feed_forward.init(init),
            n_heads: config.n_heads,
        }
    }

    /// What it costs over `n` tokens.
    pub fn cost(config: &TransformerConfig, n: usize) -> Cost {
        let (d_model, d_hidden) = (config.d_model, config.d_hidden());
        let attend = Cost {
            flops: 4 * (n * d_model) as u64,
            kept: (2 * n * d_model + 2 * d_model + config.n_heads + d_hidden) as u64,
            ..Cost::default()
        };
        cost::table(1, d_model)
            + cost::linear(1, d_model, d_model, true) * 2
            + cost::linear(n, d_model, 2 * d_model, true)
            + attend
            + cost::layer_norm(1, d_model)
            + cost::linear(1, d_model, d_hidden, true)
            + cost::linear(1, d_hidden, d_model, true)
    }

    /// # Shapes
    /// `[batch, n_tokens, d_model]`, is_pad `[batch, n_tokens]` -> `[batch, d_model]`
    pub fn forward(&self, tokens: Tensor<3>, is_pad: Option<Tensor<2, Bool>>) -> Tensor<2> {
        let [batch, _, d_model] = tokens.dims();
        let probe = self.probe.val().reshape([1, 1, d_model]).repeat_dim(0, batch);
        let (query, keys) = (self.query.forward(probe), self.key_value.forward(tokens));
        let attended = self.out.forward(ops::cross_attention(query, keys, self.n_heads, is_pad));
        let pooled = attended.clone() + self.feed_forward.forward(self.norm.forward(attended));
        pooled.squeeze_dim::<2>(1)
    }
}
