//! Sizes of a stack of transformer blocks, and what they cost.

use serde::{Deserialize, Serialize};

use super::Transformer;
use super::block::Block;
use crate::ConfigError;
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::experts::ExpertsConfig;
use crate::layers::feed_forward::FeedForwardConfig;
use crate::layers::initializer::{Initializer, WeightDistribution};
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::Activation;

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
    /// Whether training keeps each block's input alone and computes the rest again in the backward pass (Chen et al. 2016):
    /// a third more operations, and of what a block keeps in between one block's instead of all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint_blocks: bool,
    /// How a block is built.
    #[serde(default, skip_serializing_if = "BlockConfig::is_default")]
    pub block: BlockConfig,
}

fn four() -> usize {
    4
}

/// How a transformer block is built; left out, it is pre-norm with layer normalisation, GELU and biases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockConfig {
    /// Width of the feed-forward's hidden layer, in place of `mlp_ratio * d_model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_hidden: Option<usize>,
    /// Which normalisation.
    pub norm: NormKind,
    /// Whether it stands before attention and feed-forward (Xiong et al. 2020), or behind their residual sums as in
    /// Vaswani et al. 2017 and BERT.
    pub norm_first: bool,
    /// Added to the variance: 1e-5, PyTorch's default; 1e-12 in BERT.
    pub norm_epsilon: f64,
    /// The feed-forward's non-linearity.
    pub activation: Activation,
    /// Whether the feed-forward is gated (with `silu`: SwiGLU).
    pub is_gated: bool,
    /// Whether linear maps have a bias.
    pub has_bias: bool,
    /// Heads of keys and values, each read by a group of query heads (Ainslie et al. 2023); as many as `n_heads` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_key_heads: Option<usize>,
    /// Rotary positions with this base, 10,000 in Su et al. 2021.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotary_base: Option<f64>,
    /// Start of a learned factor a channel of what a block adds (Touvron et al. 2021, "Going deeper": 1e-5 to 0.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f32>,
    /// Probability that a sample skips the last block's additions in training, growing to it linearly with depth (Huang
    /// et al. 2016).
    pub drop_path: f64,
    /// How weights start.
    pub weights: WeightDistribution,
    /// Whether what a block adds starts smaller by `1 / sqrt(2 * depth)` (Radford et al. 2019, section 2.3).
    pub scale_outputs_by_depth: bool,
}

impl Default for BlockConfig {
    fn default() -> Self {
        Self {
            d_hidden: None,
            norm: NormKind::default(),
            norm_first: true,
            norm_epsilon: Norm::EPSILON,
            activation: Activation::default(),
            is_gated: false,
            has_bias: true,
            n_key_heads: None,
            rotary_base: None,
            layer_scale: None,
            drop_path: 0.0,
            weights: WeightDistribution::default(),
            scale_outputs_by_depth: false,
        }
    }
}

impl BlockConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// A large language model's: RMS normalisation, SwiGLU, rotary positions, no biases (Touvron et al. 2023, "LLaMA").
    pub fn llama() -> Self {
        Self {
            norm: NormKind::Rms,
            norm_epsilon: 1e-6,
            activation: Activation::Silu,
            is_gated: true,
            has_bias: false,
            rotary_base: Some(10_000.0),
            weights: WeightDistribution::TruncatedNormal(0.02),
            ..Self::default()
        }
    }

    /// BERT's: normalised behind the sums.
    pub fn bert() -> Self {
        Self {
            norm_first: false,
            norm_epsilon: 1e-12,
            weights: WeightDistribution::TruncatedNormal(0.02),
            ..Self::default()
        }
    }
}

impl TransformerConfig {
    /// Pre-norm blocks with a feed-forward four times as wide as a token.
    pub fn new(d_model: usize, depth: usize, n_heads: usize) -> Self {
        Self {
            d_model,
            depth,
            n_heads,
            mlp_ratio: four(),
            checkpoint_blocks: false,
            block: BlockConfig::default(),
        }
    }

    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { mlp_ratio: 2, ..Self::new(16, 2, 2) }
    }

    /// The same sizes of other blocks.
    #[must_use]
    pub fn with_block(self, block: BlockConfig) -> Self {
        Self { block, ..self }
    }

    /// Width of an attention head.
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }

    /// Heads of keys and values.
    pub fn n_key_heads(&self) -> usize {
        self.block.n_key_heads.unwrap_or(self.n_heads)
    }

    /// Width of the feed-forward's hidden layer.
    pub fn d_hidden(&self) -> usize {
        self.block.d_hidden.unwrap_or(self.mlp_ratio * self.d_model)
    }

    pub(super) fn feed_forward(&self) -> FeedForwardConfig {
        FeedForwardConfig {
            d_model: self.d_model,
            d_hidden: self.d_hidden(),
            activation: self.block.activation,
            is_gated: self.block.is_gated,
            has_bias: self.block.has_bias,
        }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When a size is zero, the heads do not divide the width, or a rate is none.
    pub fn init(&self, init: &mut Initializer) -> Result<Transformer, ConfigError> {
        self.build(None, None, init)
    }

    /// Random weights of blocks with experts in the place of one feed-forward.
    ///
    /// # Errors
    /// As [`Self::init`], and when the experts' numbers make no sense.
    pub fn init_with_experts(
        &self,
        experts: Option<&ExpertsConfig>,
        init: &mut Initializer,
    ) -> Result<Transformer, ConfigError> {
        experts.map_or(Ok(()), ExpertsConfig::check)?;
        if self.checkpoint_blocks && matches!(experts, Some(ExpertsConfig::Routed(_))) {
            return Err(ConfigError::new(
                "checkpoint_blocks must be false with routed experts, got true; hint: the losses of their routers leave a \
                 block beside its tokens",
            ));
        }
        self.build(None, experts, init)
    }

    /// Random weights of blocks that also attend to another sequence, of tokens as wide as `d_context`.
    ///
    /// # Errors
    /// As [`Self::init`].
    pub fn init_attending(
        &self,
        d_context: usize,
        init: &mut Initializer,
    ) -> Result<Transformer, ConfigError> {
        self.build(Some(d_context), None, init)
    }

    fn build(
        &self,
        d_context: Option<usize>,
        experts: Option<&ExpertsConfig>,
        init: &mut Initializer,
    ) -> Result<Transformer, ConfigError> {
        self.check()?;
        if d_context == Some(0) {
            return Err(ConfigError::new("a transformer cannot attend to tokens of width 0"));
        }
        let blocks = init.with_weights(self.block.weights, |init| {
            (0..self.depth).map(|idx| Block::new(self, d_context, experts, idx, init)).collect()
        });
        let norm = self.block.norm_first.then(|| self.norm(init));
        Ok(Transformer {
            blocks,
            norm,
            d_head: self.d_head(),
            rotary_base: self.block.rotary_base,
            has_experts: experts.is_some(),
            checkpoint_blocks: self.checkpoint_blocks,
        })
    }

    /// A normalisation as in the blocks.
    pub fn norm(&self, init: &mut Initializer) -> Norm {
        Norm::new(self.block.norm, self.d_model, self.block.norm_epsilon, init)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { d_model, n_heads, mlp_ratio, .. } = *self;
        if d_model == 0 || n_heads == 0 || self.d_hidden() == 0 || !d_model.is_multiple_of(n_heads) {
            return Err(ConfigError::new(format!(
                "a transformer needs d_model divisible by n_heads and no size of 0, got d_model {d_model}, \
                 n_heads {n_heads}, mlp_ratio {mlp_ratio}"
            )));
        }
        let n_key_heads = self.n_key_heads();
        if n_key_heads == 0 || !n_heads.is_multiple_of(n_key_heads) {
            return Err(ConfigError::new(format!(
                "a transformer's n_heads must be a multiple of its n_key_heads, got {n_heads} and {n_key_heads}"
            )));
        }
        if self.block.rotary_base.is_some() && !self.d_head().is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "rotary positions need heads of an even width, got d_model {d_model} and n_heads {n_heads}"
            )));
        }
        let drop_path = self.block.drop_path;
        if !(0.0..1.0).contains(&drop_path) {
            return Err(ConfigError::new(format!(
                "drop_path must be at least 0 and less than 1, got {drop_path}"
            )));
        }
        let (epsilon, base) = (self.block.norm_epsilon, self.block.rotary_base.unwrap_or(1.0));
        if !(epsilon >= 0.0 && epsilon.is_finite() && base > 0.0 && base.is_finite()) {
            return Err(ConfigError::new(format!(
                "norm_epsilon must not be negative and rotary_base must be positive, got {epsilon} and {base}"
            )));
        }
        Ok(())
    }

    /// What a sequence of `n_tokens` costs. Attention is counted in full, also where a mask hides half of it.
    pub fn cost(&self, n_tokens: usize) -> CostTree {
        self.cost_of(n_tokens, None, None)
    }

    /// The same for blocks with experts.
    pub fn cost_with_experts(&self, n_tokens: usize, experts: Option<&ExpertsConfig>) -> CostTree {
        self.cost_of(n_tokens, None, experts)
    }

    /// The same for blocks that also attend to `context`: how many tokens, and how wide.
    pub fn cost_attending(&self, n_tokens: usize, context: [usize; 2]) -> CostTree {
        self.cost_of(n_tokens, Some(context), None)
    }

    /// What a normalisation of `n` tokens costs.
    pub fn norm_cost(&self, n: usize) -> Cost {
        match self.block.norm {
            NormKind::Layer => cost::layer_norm(n, self.d_model),
            NormKind::Rms => cost::rms_norm(n, self.d_model),
        }
    }

    fn cost_of(
        &self,
        n_tokens: usize,
        context: Option<[usize; 2]>,
        experts: Option<&ExpertsConfig>,
    ) -> CostTree {
        let (n, d_model, has_bias) = (n_tokens, self.d_model, self.block.has_bias);
        let shape = [n, d_model];
        let d_keys = 2 * self.n_key_heads() * self.d_head();
        let norm = self.norm_cost(n);
        let scale = match self.block.layer_scale {
            Some(_) => cost::table(1, d_model) + Cost { kept: (n * d_model) as u64, ..Cost::default() },
            None => Cost::default(),
        };
        let attention = norm
            + cost::linear(n, d_model, d_model + d_keys, has_bias)
            + self.attend_cost(n, n)
            + cost::linear(n, d_model, d_model, has_bias)
            + scale;
        let mut parts = vec![CostTree::leaf("attention", &shape, attention)];
        if let Some([n_context, d_context]) = context {
            let cross = norm
                + cost::linear(n, d_model, d_model, has_bias)
                + cost::linear(n_context, d_context, 2 * d_model, has_bias)
                + self.attend_cost(n, n_context)
                + cost::linear(n, d_model, d_model, has_bias);
            parts.push(CostTree::leaf("cross", &shape, cross));
        }
        parts.push(CostTree::leaf("feed_forward", &shape, norm + self.experts_cost(n, experts) + scale));
        let block = CostTree::of("blocks", &shape, parts).repeated(self.depth);
        let mut parts =
            vec![if self.checkpoint_blocks { block.checkpointed((n * d_model) as u64) } else { block }];
        if self.block.norm_first {
            parts.push(CostTree::leaf("norm", &shape, norm));
        }
        CostTree::of("transformer", &shape, parts)
    }

    fn experts_cost(&self, n: usize, experts: Option<&ExpertsConfig>) -> Cost {
        let one = self.feed_forward_cost(n);
        let Some(experts) = experts else { return one };
        let [n_experts, n_active] = experts.counts().map(|count| count as u64);
        let router = match experts {
            ExpertsConfig::Modality => Cost::default(),
            ExpertsConfig::Routed(_) => cost::linear(n, self.d_model, n_experts as usize, false),
        };
        Cost { parameters: one.parameters * n_experts, ..one * n_active } + router
    }

    fn feed_forward_cost(&self, n: usize) -> Cost {
        let (d_model, d_hidden, has_bias) = (self.d_model, self.d_hidden(), self.block.has_bias);
        let up = cost::linear(n, d_model, d_hidden, has_bias);
        // what the non-linearity reads
        let before = Cost { kept: (n * d_hidden) as u64, ..Cost::default() };
        let gate = if self.block.is_gated { up + before } else { Cost::default() };
        up + before + gate + cost::linear(n, d_hidden, d_model, has_bias)
    }

    /// Scores and weighted values; the scores are computed again from what is kept, one logarithm a row and head.
    fn attend_cost(&self, n: usize, n_keys: usize) -> Cost {
        let Self { d_model, n_heads, .. } = *self;
        Cost {
            flops: 4 * (n * n_keys * d_model) as u64,
            kept: (n * (d_model + n_heads) + 2 * n_keys * d_model) as u64,
            ..Cost::default()
        }
    }
}
