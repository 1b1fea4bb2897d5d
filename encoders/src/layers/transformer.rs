//! The one transformer of the project: pre-norm blocks of packed multi-head attention and feed-forward.

use burn::module::Module;
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::cost::{self, Cost, CostTree};
use super::initializer::Initializer;
use super::linear::{FeedForward, LayerNorm, Linear};
use super::ops::{self, AttentionMask, Packing};
use crate::ConfigError;

/// Size of a stack of transformer blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Width of a token.
    pub d_model: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; must divide `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward's hidden layer, in multiples of `d_model`; 4 since Vaswani et al. 2017.
    #[serde(default = "four")]
    pub mlp_ratio: usize,
}

fn four() -> usize {
    4
}

impl TransformerConfig {
    /// Random weights.
    ///
    /// # Errors
    /// When a size is zero or the heads do not divide the width.
    pub fn init(&self, init: &mut Initializer) -> Result<Transformer, ConfigError> {
        let Self { d_model, depth, n_heads, mlp_ratio } = *self;
        if d_model == 0 || n_heads == 0 || mlp_ratio == 0 || !d_model.is_multiple_of(n_heads) {
            return Err(ConfigError::new(format!(
                "a transformer needs d_model divisible by n_heads and no size of 0, got d_model {d_model}, \
                 n_heads {n_heads}, mlp_ratio {mlp_ratio}"
            )));
        }
        let blocks = (0..depth).map(|_| Block::new(self, init)).collect();
        Ok(Transformer { blocks, norm: LayerNorm::new(d_model, init) })
    }

    /// What a sequence of `n_tokens` costs. Attention is counted in full, also where a mask hides half of it.
    pub fn cost(&self, n_tokens: usize) -> CostTree {
        let Self { d_model, depth, n_heads, mlp_ratio } = *self;
        let (n, d_hidden) = (n_tokens, mlp_ratio * d_model);
        // scores and weighted values; the scores are computed again from what is kept, one logarithm a row and head
        let attend = Cost {
            parameters: 0,
            flops: 4 * (n * n * d_model) as u64,
            kept: (n * (3 * d_model + n_heads)) as u64,
        };
        let attention = cost::layer_norm(n, d_model)
            + cost::linear(n, d_model, 3 * d_model, true)
            + attend
            + cost::linear(n, d_model, d_model, true);
        let feed_forward = cost::layer_norm(n, d_model)
            + cost::linear(n, d_model, d_hidden, true)
            // before the GELU
            + Cost { kept: (n * d_hidden) as u64, ..Cost::default() }
            + cost::linear(n, d_hidden, d_model, true);
        let shape = [n, d_model];
        let block = CostTree::of(
            "blocks",
            &shape,
            vec![
                CostTree::leaf("attention", &shape, attention),
                CostTree::leaf("feed_forward", &shape, feed_forward),
            ],
        );
        let norm = CostTree::leaf("norm", &shape, cost::layer_norm(n, d_model));
        CostTree::of("transformer", &shape, vec![block.repeated(depth), norm])
    }
}

/// Pre-norm blocks and a last normalisation.
#[derive(Module, Debug)]
pub struct Transformer {
    blocks: Vec<Block>,
    norm: LayerNorm,
}

/// Keys and values that decoding has computed so far, one tensor a block: `[batch, n_tokens, 2 * d_model]`.
#[derive(Clone, Debug)]
pub struct KeyValueCache {
    blocks: Vec<Tensor<3>>,
}

impl Transformer {
    /// What stands where there is padding is of no meaning.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    pub fn forward(&self, tokens: Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
        let Some(packing) = Packing::of(&tokens, mask) else {
            return self.run(tokens, |qkv, n_heads| ops::attention(qkv, n_heads, mask));
        };
        let rows = ops::pack(tokens, &packing);
        let rows = self.run(rows, |qkv, n_heads| ops::packed_attention(qkv, n_heads, &packing));
        ops::unpack(rows, &packing)
    }

    fn run(&self, tokens: Tensor<3>, attend: impl Fn(Tensor<3>, usize) -> Tensor<3>) -> Tensor<3> {
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| block.forward(tokens, &attend));
        self.norm.forward(tokens)
    }

    /// Runs the prefix that decoding attends to, and keeps its keys and values.
    ///
    /// # Shapes
    /// `[batch, n_prefix, d_model]`, of which `mask` hides the padding
    pub fn prefill(&self, prefix: Tensor<3>, mask: &AttentionMask) -> (Tensor<3>, KeyValueCache) {
        let mut tokens = prefix;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (next, key_value) = block.forward_keeping_keys(tokens, mask);
            tokens = next;
            blocks.push(key_value);
        }
        (self.norm.forward(tokens), KeyValueCache { blocks })
    }

    /// Runs one more token a row behind everything in the cache, and adds it there.
    ///
    /// # Shapes
    /// `token` is `[batch, 1, d_model]`; `is_pad` `[batch, n_cached + 1]` covers the cache and the token.
    pub fn forward_cached(
        &self,
        token: Tensor<3>,
        is_pad: &Tensor<2, Bool>,
        cache: &mut KeyValueCache,
    ) -> Tensor<3> {
        let mut token = token;
        for (block, key_value) in self.blocks.iter().zip(&mut cache.blocks) {
            token = block.forward_cached(token, is_pad, key_value);
        }
        self.norm.forward(token)
    }
}

impl KeyValueCache {
    /// Keeps the rows `rows` of the batch, in that order; a row may be taken more than once (beam search).
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self { blocks: self.blocks.iter().map(|block| block.clone().select(0, rows.clone())).collect() }
    }
}

#[derive(Module, Debug)]
struct Block {
    attention_norm: LayerNorm,
    query_key_value: Linear,
    attention_out: Linear,
    feed_forward_norm: LayerNorm,
    feed_forward: FeedForward,
    n_heads: usize,
}

impl Block {
    fn new(config: &TransformerConfig, init: &mut Initializer) -> Self {
        let d_model = config.d_model;
        Self {
            attention_norm: LayerNorm::new(d_model, init),
            query_key_value: Linear::new(d_model, 3 * d_model, init),
            attention_out: Linear::new(d_model, d_model, init),
            feed_forward_norm: LayerNorm::new(d_model, init),
            feed_forward: FeedForward::new(d_model, config.mlp_ratio * d_model, init),
            n_heads: config.n_heads,
        }
    }

    fn forward(&self, tokens: Tensor<3>, attend: &impl Fn(Tensor<3>, usize) -> Tensor<3>) -> Tensor<3> {
        let qkv = self.query_key_value.forward(self.attention_norm.forward(tokens.clone()));
        let attended = attend(qkv, self.n_heads);
        self.finish(tokens, attended)
    }

    fn forward_keeping_keys(&self, tokens: Tensor<3>, mask: &AttentionMask) -> (Tensor<3>, Tensor<3>) {
        let [_, _, d_model] = tokens.dims();
        let qkv = self.query_key_value.forward(self.attention_norm.forward(tokens.clone()));
        let key_value = qkv.clone().narrow(2, d_model, 2 * d_model);
        let attended = ops::attention(qkv, self.n_heads, mask);
        (self.finish(tokens, attended), key_value)
    }

    fn forward_cached(&self, token: Tensor<3>, is_pad: &Tensor<2, Bool>, cache: &mut Tensor<3>) -> Tensor<3> {
        let [_, _, d_model] = token.dims();
        let qkv = self.query_key_value.forward(self.attention_norm.forward(token.clone()));
        let query = qkv.clone().narrow(2, 0, d_model);
        *cache = Tensor::cat(vec![cache.clone(), qkv.narrow(2, d_model, 2 * d_model)], 1);
        let attended = ops::cross_attention(query, cache.clone(), self.n_heads, Some(is_pad.clone()));
        self.finish(token, attended)
    }

    fn finish(&self, tokens: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let tokens = self.attention_out.forward_add(attended, tokens);
        let hidden = self.feed_forward.forward(self.feed_forward_norm.forward(tokens.clone()));
        tokens + hidden
    }
}
