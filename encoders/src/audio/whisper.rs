//! Whisper's encoder: log-mel frames, two convolutions of which the second has stride 2, a transformer.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::hidden_behind;
use crate::input::{AudioInput, padding};
use crate::layers::convolution::{Convolution, ConvolutionConfig};
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::embedding::add_positions;
use crate::layers::initializer::{Initializer, WeightDistribution};
use crate::layers::ops::{self, Activation, AttentionMask};
use crate::layers::sinusoids;
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Sizes of a [`WhisperEncoder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhisperEncoderConfig {
    /// Longest sound in tokens, 20 ms each: 1500 in the paper.
    pub max_tokens: usize,
    /// Whether positions are parameters, as published weights have them, and not computed.
    #[serde(default, skip_serializing_if = "is_no")]
    pub has_positions: bool,
    /// The blocks.
    pub transformer: TransformerConfig,
}

fn is_no(flag: &bool) -> bool {
    !*flag
}

/// See the module's documentation.
///
/// # Reference
/// Radford et al. 2023, section 2.2; `transformers`' `WhisperEncoder`.
///
/// # Differences from the reference
/// What lies behind a row's `lengths` is hidden from convolutions and attention. With lengths of the whole input, as
/// the published models were trained, nothing is.
#[derive(Module, Debug)]
pub struct WhisperEncoder {
    first: Convolution,
    second: Convolution,
    /// Those of a published model, which come with its weights; sinusoids otherwise.
    positions: Option<Param<Tensor<2>>>,
    transformer: Transformer,
    max_tokens: usize,
}

impl Preset for WhisperEncoderConfig {
    const PRESETS: &'static [&'static str] = &["tiny", "base", "small", "medium", "large"];

    /// The paper's, table 1.
    fn preset(name: &str) -> Option<Self> {
        let [d_model, depth] = match name {
            "tiny" => [384, 4],
            "base" => [512, 6],
            "small" => [768, 12],
            "medium" => [1024, 24],
            "large" => [1280, 32],
            _ => return None,
        };
        let block =
            BlockConfig { weights: WeightDistribution::TruncatedNormal(0.02), ..BlockConfig::default() };
        let transformer = TransformerConfig::new(d_model, depth, d_model / 64).with_block(block);
        Some(Self { max_tokens: 1500, has_positions: false, transformer })
    }
}

impl WhisperEncoderConfig {
    /// Frames behind one token.
    pub const FRAMES_PER_TOKEN: usize = 2;

    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { max_tokens: 40, has_positions: false, transformer: TransformerConfig::tiny() }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_mels: usize, init: &mut Initializer) -> Result<WhisperEncoder, ConfigError> {
        let d_model = self.transformer.d_model;
        if self.max_tokens == 0 || n_mels == 0 || !d_model.is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "Whisper's encoder needs room for a token, mel bands and an even d_model, got max_tokens {}, n_mels \
                 {n_mels} and d_model {d_model}",
                self.max_tokens
            )));
        }
        Ok(WhisperEncoder {
            first: ConvolutionConfig::over_time([n_mels, d_model], 3, 1, 1).init(init),
            second: ConvolutionConfig::over_time([d_model, d_model], 3, 2, 1).init(init),
            positions: self.has_positions.then(|| init.constant([self.max_tokens, d_model], 0.0)),
            transformer: self.transformer.init(init)?,
            max_tokens: self.max_tokens,
        })
    }

    /// What a sound of `n_frames` log-mel frames costs.
    pub fn cost(&self, n_mels: usize, n_frames: usize) -> CostTree {
        let d_model = self.transformer.d_model;
        let n_tokens = n_frames.div_ceil(Self::FRAMES_PER_TOKEN);
        let convolution = |n: usize, channels: usize| {
            let before_gelu = Cost { kept: (n * d_model) as u64, ..Cost::default() };
            cost::linear(n, 3 * channels, d_model, true) + before_gelu
        };
        let shape = [n_tokens, d_model];
        let mut parts = vec![
            CostTree::leaf("first", &[n_frames, d_model], convolution(n_frames, n_mels)),
            CostTree::leaf("second", &shape, convolution(n_tokens, d_model)),
            self.transformer.cost(n_tokens),
        ];
        if self.has_positions {
            parts.insert(2, CostTree::leaf("positions", &shape, cost::table(self.max_tokens, d_model)));
        }
        CostTree::of("whisper", &shape, parts)
    }
}

impl WhisperEncoder {
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_frames / 2, d_model]`, rounded up
    ///
    /// # Panics
    /// When a sound is longer than `max_tokens`: the loader cuts them.
    pub fn forward(&self, input: &AudioInput) -> TokenSequence {
        let [batch, n_frames, n_mels] = input.frames.dims();
        let device = input.frames.device();
        let map = input.frames.clone().reshape([batch, n_frames, 1, n_mels]);
        let map = self.first.forward(hidden_behind(&input.lengths, map));
        let map = hidden_behind(&input.lengths, ops::activate(map, Activation::Gelu));
        let map = ops::activate(self.second.forward(map), Activation::Gelu);
        let [_, n_tokens, _, d_model] = map.dims();
        let tokens = map.reshape([batch, n_tokens, d_model]);
        let tokens = match &self.positions {
            Some(positions) => add_positions(tokens, positions),
            None => {
                let most = self.max_tokens;
                assert!(n_tokens <= most, "{n_tokens} tokens exceed the encoder's max_tokens {most}");
                tokens + sinusoids::absolute(n_tokens, d_model, &device).unsqueeze::<3>()
            }
        };
        let is_pad = padding(&self.token_lengths(&input.lengths), n_tokens, &device);
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        TokenSequence::new(self.transformer.forward(tokens, &mask), is_pad, Modality::Audio)
    }

    /// Tokens that carry sound, of each row.
    pub fn token_lengths(&self, frame_lengths: &[usize]) -> Vec<usize> {
        let per_token = WhisperEncoderConfig::FRAMES_PER_TOKEN;
        frame_lengths.iter().map(|length| length.div_ceil(per_token)).collect()
    }
}
