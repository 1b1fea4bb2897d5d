//! Audio encoders.

mod chunks;
mod conformer;
mod transformer;
mod wav2vec2;
mod waveform;
mod whisper;

use burn::module::Module;
use burn::prelude::*;
pub use chunks::AudioChunks;
pub use conformer::{Conformer, ConformerConfig};
use serde::{Deserialize, Serialize};
pub use transformer::{AudioTransformer, AudioTransformerConfig};
pub use wav2vec2::{Wav2vec2, Wav2vec2Config};
pub use waveform::{PositionConvolution, WaveformConvolutions, WaveformConvolutionsConfig, WaveformNorm};
pub use whisper::{WhisperEncoder, WhisperEncoderConfig};

use crate::input::{AudioInput, padding};
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;
use crate::preset::table_or_name;
use crate::{ConfigError, TokenSequence};

/// Which audio encoder, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AudioEncoderConfig {
    /// Strided convolutions over log-mel frames, then a transformer.
    Transformer(AudioTransformerConfig),
    /// Whisper's encoder.
    #[serde(deserialize_with = "table_or_name")]
    Whisper(WhisperEncoderConfig),
    /// Blocks that attend and convolve.
    #[serde(deserialize_with = "table_or_name")]
    Conformer(ConformerConfig),
    /// wav2vec 2.0's encoder, over a waveform.
    #[serde(deserialize_with = "table_or_name")]
    Wav2vec2(Wav2vec2Config),
}

impl AudioEncoderConfig {
    /// One small configuration of every audio encoder, for tests and `triptych list`.
    pub fn registry() -> Vec<(&'static str, Self)> {
        vec![
            ("transformer", Self::Transformer(AudioTransformerConfig::tiny())),
            ("whisper", Self::Whisper(WhisperEncoderConfig::tiny())),
            ("conformer", Self::Conformer(ConformerConfig::tiny())),
            ("wav2vec2", Self::Wav2vec2(Wav2vec2Config::tiny())),
        ]
    }

    /// Width of the encoder's tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Transformer(config) => config.transformer.d_model,
            Self::Whisper(config) => config.transformer.d_model,
            Self::Conformer(config) => config.d_model,
            Self::Wav2vec2(config) => config.transformer.d_model,
        }
    }

    /// Whether frames are samples of a waveform, and not the energies of bands.
    pub fn reads_waveform(&self) -> bool {
        matches!(self, Self::Wav2vec2(_))
    }

    /// Longest sound in tokens; the largest number where any length will do.
    pub fn max_tokens(&self) -> usize {
        match self {
            Self::Transformer(config) => config.max_tokens,
            Self::Whisper(config) => config.max_tokens,
            Self::Conformer(_) | Self::Wav2vec2(_) => usize::MAX,
        }
    }

    /// Frames behind one token.
    pub fn frames_per_token(&self) -> usize {
        match self {
            Self::Transformer(config) => config.frames_per_token(),
            Self::Whisper(_) => WhisperEncoderConfig::FRAMES_PER_TOKEN,
            Self::Conformer(_) => ConformerConfig::FRAMES_PER_TOKEN,
            Self::Wav2vec2(config) => config.frames_per_token(),
        }
    }

    /// What a sound of `n_frames` frames costs.
    pub fn cost(&self, n_mels: usize, n_frames: usize) -> CostTree {
        match self {
            Self::Transformer(config) => config.cost(n_mels, n_frames),
            Self::Whisper(config) => config.cost(n_mels, n_frames),
            Self::Conformer(config) => config.cost(n_mels, n_frames),
            Self::Wav2vec2(config) => config.cost(n_frames),
        }
    }

    /// Random weights for spectrograms of `n_mels` bands, or a waveform of as many samples a frame.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_mels: usize, init: &mut Initializer) -> Result<AudioEncoder, ConfigError> {
        match self {
            Self::Transformer(config) => config.init(n_mels, init).map(AudioEncoder::Transformer),
            Self::Whisper(config) => config.init(n_mels, init).map(AudioEncoder::Whisper),
            Self::Conformer(config) => config.init(n_mels, init).map(AudioEncoder::Conformer),
            Self::Wav2vec2(config) => config.init(n_mels, init).map(AudioEncoder::Wav2vec2),
        }
    }
}

/// An audio encoder with its weights.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum AudioEncoder {
    /// Strided convolutions over log-mel frames, then a transformer.
    Transformer(AudioTransformer),
    /// Whisper's encoder.
    Whisper(WhisperEncoder),
    /// Blocks that attend and convolve.
    Conformer(Conformer),
    /// wav2vec 2.0's encoder, over a waveform.
    Wav2vec2(Wav2vec2),
}

impl AudioEncoder {
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_tokens, d_model]`
    pub fn forward(&self, input: &AudioInput) -> TokenSequence {
        match self {
            Self::Transformer(encoder) => encoder.forward(input),
            Self::Whisper(encoder) => encoder.forward(input),
            Self::Conformer(encoder) => encoder.forward(input),
            Self::Wav2vec2(encoder) => encoder.forward_frames(input),
        }
    }

    /// Tokens that carry sound, of each row.
    pub fn token_lengths(&self, input: &AudioInput) -> Vec<usize> {
        match self {
            Self::Transformer(encoder) => encoder.token_lengths(&input.lengths),
            Self::Whisper(encoder) => encoder.token_lengths(&input.lengths),
            Self::Conformer(encoder) => encoder.token_lengths(&input.lengths),
            Self::Wav2vec2(encoder) => encoder.token_lengths(&input.lengths),
        }
    }
}

/// Zeros behind each row's end, so that nothing reaches the row from there through a convolution.
///
/// # Shapes
/// `[batch, n_frames, width, channels]` -> the same
fn hidden_behind(lengths: &[usize], map: Tensor<4>) -> Tensor<4> {
    let [batch, n_frames, width, channels] = map.dims();
    if lengths.iter().all(|&length| length >= n_frames) {
        return map;
    }
    let is_pad = padding(lengths, n_frames, &map.device()).reshape([batch, n_frames, 1, 1]);
    map.mask_fill(is_pad.expand([batch, n_frames, width, channels]), 0.0)
}
