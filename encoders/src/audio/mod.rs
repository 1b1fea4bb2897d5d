//! Audio encoders.

mod transformer;

use burn::module::Module;
use serde::{Deserialize, Serialize};
pub use transformer::{AudioTransformer, AudioTransformerConfig};

use crate::input::AudioInput;
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;
use crate::{ConfigError, TokenSequence};

/// Which audio encoder, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AudioEncoderConfig {
    /// Strided convolutions over log-mel frames, then a transformer.
    Transformer(AudioTransformerConfig),
}

impl AudioEncoderConfig {
    /// One small configuration of every audio encoder, for tests and `triptych list`.
    pub fn registry() -> Vec<(&'static str, Self)> {
        vec![("transformer", Self::Transformer(AudioTransformerConfig::tiny()))]
    }

    /// Width of the encoder's tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Transformer(config) => config.transformer.d_model,
        }
    }

    /// Longest sound in tokens.
    pub fn max_tokens(&self) -> usize {
        match self {
            Self::Transformer(config) => config.max_tokens,
        }
    }

    /// Frames behind one token.
    pub fn frames_per_token(&self) -> usize {
        match self {
            Self::Transformer(config) => config.frames_per_token(),
        }
    }

    /// What a sound of `n_frames` log-mel frames costs.
    pub fn cost(&self, n_mels: usize, n_frames: usize) -> CostTree {
        match self {
            Self::Transformer(config) => config.cost(n_mels, n_frames),
        }
    }

    /// Random weights for spectrograms of `n_mels` bands.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_mels: usize, init: &mut Initializer) -> Result<AudioEncoder, ConfigError> {
        match self {
            Self::Transformer(config) => config.init(n_mels, init).map(AudioEncoder::Transformer),
        }
    }
}

/// An audio encoder with its weights.
#[derive(Module, Debug)]
pub enum AudioEncoder {
    /// Strided convolutions over log-mel frames, then a transformer.
    Transformer(AudioTransformer),
}

impl AudioEncoder {
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_tokens, d_model]`
    pub fn forward(&self, input: &AudioInput) -> TokenSequence {
        match self {
            Self::Transformer(encoder) => encoder.forward(input),
        }
    }

    /// Tokens that carry sound, of each row.
    pub fn token_lengths(&self, input: &AudioInput) -> Vec<usize> {
        match self {
            Self::Transformer(encoder) => encoder.token_lengths(&input.lengths),
        }
    }
}
