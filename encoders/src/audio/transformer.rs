//! Whisper-like audio encoder: log-mel frames, convolutions of stride 2, a transformer.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::input::{AudioInput, padding};
use crate::layers::convolution::{ConvolutionBlock, ConvolutionConfig};
use crate::layers::cost::{self, CostTree};
use crate::layers::embedding::add_positions;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::{Transformer, TransformerConfig};
use crate::{ConfigError, Modality, TokenSequence};

/// Sizes of an [`AudioTransformer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioTransformerConfig {
    /// Channels of the convolutions; each has width 3 and stride 2, so two of them give a token every 40 ms.
    pub stem: Vec<usize>,
    /// Longest sound in tokens.
    pub max_tokens: usize,
    /// The blocks.
    pub transformer: TransformerConfig,
}

impl AudioTransformerConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { stem: vec![16, 16], max_tokens: 40, transformer: TransformerConfig::tiny() }
    }

    /// Frames behind one token.
    pub fn frames_per_token(&self) -> usize {
        1 << self.stem.len()
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_mels: usize, init: &mut Initializer) -> Result<AudioTransformer, ConfigError> {
        if self.max_tokens == 0 || n_mels == 0 || self.stem.contains(&0) {
            return Err(ConfigError::new(format!(
                "an audio encoder needs room for a token, mel bands and channels, got max_tokens {}, n_mels {n_mels} \
                 and stem {:?}",
                self.max_tokens, self.stem
            )));
        }
        let mut channels_in = n_mels;
        let mut convolutions = Vec::with_capacity(self.stem.len());
        for &channels_out in &self.stem {
            let config = ConvolutionConfig::over_time([channels_in, channels_out], 3, 2, 1);
            convolutions.push(ConvolutionBlock::new(&config, init));
            channels_in = channels_out;
        }
        let d_model = self.transformer.d_model;
        Ok(AudioTransformer {
            convolutions,
            projection: Linear::new(channels_in, d_model, init),
            positions: init.truncated_normal([self.max_tokens, d_model], 0.02),
            transformer: self.transformer.init(init)?,
        })
    }

    /// What a sound of `n_frames` log-mel frames costs.
    pub fn cost(&self, n_mels: usize, n_frames: usize) -> CostTree {
        let d_model = self.transformer.d_model;
        let (mut parts, mut channels_in, mut n) = (Vec::new(), n_mels, n_frames);
        for (idx, &channels) in self.stem.iter().enumerate() {
            n = n.div_ceil(2);
            let cost = cost::convolution(n, 3, [channels_in, channels]);
            parts.push(CostTree::leaf(&format!("convolutions.{idx}"), &[n, channels], cost));
            channels_in = channels;
        }
        let shape = [n, d_model];
        parts.push(CostTree::leaf("projection", &shape, cost::linear(n, channels_in, d_model, true)));
        parts.push(CostTree::leaf("positions", &shape, cost::table(self.max_tokens, d_model)));
        parts.push(self.transformer.cost(n));
        CostTree::of("transformer", &shape, parts)
    }
}

/// See the module's documentation.
///
/// # Reference
/// Radford et al. 2022, section 2.2.
///
/// # Differences from the reference
/// Every convolution has stride 2 and is followed by a layer normalisation; positions are learned; padding is
/// masked after each convolution and in attention, so that it changes nothing.
#[derive(Module, Debug)]
pub struct AudioTransformer {
    convolutions: Vec<ConvolutionBlock>,
    projection: Linear,
    positions: Param<Tensor<2>>,
    transformer: Transformer,
}

impl AudioTransformer {
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When a sound is longer than `max_tokens`: the loader cuts them.
    pub fn forward(&self, input: &AudioInput) -> TokenSequence {
        let frames = input.frames.clone();
        let device = frames.device();
        let [batch, n_frames, n_mels] = frames.dims();
        // what lies behind a row's end must not reach it through a convolution
        let is_pad = padding(&input.lengths, n_frames, &device);
        let frames =
            frames.mask_fill(is_pad.reshape([batch, n_frames, 1]).expand([batch, n_frames, n_mels]), 0.0);
        let mut map = frames.reshape([batch, n_frames, 1, n_mels]);
        let mut lengths = input.lengths.clone();
        for block in &self.convolutions {
            map = block.forward(map);
            lengths = lengths.iter().map(|length| length.div_ceil(2)).collect();
            let [_, n, _, channels] = map.dims();
            let is_pad = padding(&lengths, n, &device).reshape([batch, n, 1, 1]);
            map = map.mask_fill(is_pad.expand([batch, n, 1, channels]), 0.0);
        }
        let [_, n_tokens, _, channels] = map.dims();
        let tokens = self.projection.forward(map.reshape([batch, n_tokens, channels]));
        let is_pad = padding(&lengths, n_tokens, &device);
        let tokens = add_positions(tokens, &self.positions);
        let tokens = self.transformer.forward(tokens, &AttentionMask::bidirectional(Some(is_pad.clone())));
        TokenSequence::new(tokens, is_pad, Modality::Audio)
    }

    /// Tokens that carry sound, of each row.
    pub fn token_lengths(&self, frame_lengths: &[usize]) -> Vec<usize> {
        self.convolutions.iter().fold(frame_lengths.to_vec(), |lengths, _| {
            lengths.iter().map(|length| length.div_ceil(2)).collect()
        })
    }
}
