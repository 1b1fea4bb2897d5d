//! Sizes of a Conformer, and what they cost.

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::{Conformer, STEM_KERNEL, STEM_STRIDE};
use crate::layers::convolution::ConvolutionConfig;
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::{ConfigError, Preset};

/// Sizes of a [`Conformer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConformerConfig {
    /// Width of a token, and channels of the stem.
    pub d_model: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; must divide `d_model`.
    pub n_heads: usize,
    /// Tokens that a depthwise convolution reads, an odd number; 31 for the paper's 32, whose ends do not match.
    #[serde(default = "paper_kernel")]
    pub kernel: usize,
    /// Whether training keeps each block's input alone and computes the rest again in the backward pass (Chen et al. 2016).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint_blocks: bool,
}

fn paper_kernel() -> usize {
    31
}

impl Preset for ConformerConfig {
    const PRESETS: &'static [&'static str] = &["small", "medium", "large"];

    /// The paper's, table 1.
    fn preset(name: &str) -> Option<Self> {
        let [d_model, depth, n_heads] = match name {
            "small" => [144, 16, 4],
            "medium" => [256, 16, 4],
            "large" => [512, 17, 8],
            _ => return None,
        };
        Some(Self { d_model, depth, n_heads, kernel: paper_kernel(), checkpoint_blocks: false })
    }
}

impl ConformerConfig {
    /// Frames behind one token.
    pub const FRAMES_PER_TOKEN: usize = STEM_STRIDE * STEM_STRIDE;

    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { d_model: 16, depth: 2, n_heads: 2, kernel: 5, checkpoint_blocks: false }
    }

    /// Bands that the stem's map has left of `n_mels`.
    fn n_bands(n_mels: usize) -> usize {
        n_mels.div_ceil(STEM_STRIDE).div_ceil(STEM_STRIDE)
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_mels: usize, init: &mut Initializer) -> Result<Conformer, ConfigError> {
        let Self { d_model, depth, n_heads, kernel, checkpoint_blocks } = *self;
        if n_mels == 0 || d_model == 0 || n_heads == 0 || !d_model.is_multiple_of(n_heads) {
            return Err(ConfigError::new(format!(
                "a Conformer needs mel bands and d_model divisible by n_heads, got n_mels {n_mels}, d_model {d_model}, \
                 n_heads {n_heads}"
            )));
        }
        if kernel.is_multiple_of(2) || !d_model.is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "a Conformer needs an odd kernel and an even d_model, got kernel {kernel} and d_model {d_model}"
            )));
        }
        let mut convolution = |channels_in: usize| {
            ConvolutionConfig::square([channels_in, d_model], STEM_KERNEL, STEM_STRIDE, STEM_KERNEL / 2)
                .init(init)
        };
        let (first, second) = (convolution(1), convolution(d_model));
        Ok(Conformer {
            first,
            second,
            projection: Linear::new(Self::n_bands(n_mels) * d_model, d_model, init),
            blocks: (0..depth).map(|_| Block::new(self, init)).collect(),
            checkpoint_blocks,
        })
    }

    /// What a sound of `n_frames` frames costs.
    pub fn cost(&self, n_mels: usize, n_frames: usize) -> CostTree {
        let d_model = self.d_model;
        let n_taps = STEM_KERNEL * STEM_KERNEL;
        let (n_half, n_tokens) = (n_frames.div_ceil(STEM_STRIDE), n_frames.div_ceil(Self::FRAMES_PER_TOKEN));
        let (half_bands, n_bands) = (n_mels.div_ceil(STEM_STRIDE), Self::n_bands(n_mels));
        let convolution = |n: usize, channels: usize| {
            let before_relu = Cost { kept: (n * d_model) as u64, ..Cost::default() };
            cost::linear(n, n_taps * channels, d_model, true) + before_relu
        };
        let shape = [n_tokens, d_model];
        let blocks = Block::cost(self, n_tokens).repeated(self.depth);
        let blocks =
            if self.checkpoint_blocks { blocks.checkpointed((n_tokens * d_model) as u64) } else { blocks };
        let parts = vec![
            CostTree::leaf("first", &[n_half, half_bands, d_model], convolution(n_half * half_bands, 1)),
            CostTree::leaf("second", &[n_tokens, n_bands, d_model], convolution(n_tokens * n_bands, d_model)),
            CostTree::leaf("projection", &shape, cost::linear(n_tokens, n_bands * d_model, d_model, true)),
            blocks,
        ];
        CostTree::of("conformer", &shape, parts)
    }
}
