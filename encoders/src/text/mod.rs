//! Text encoders.

mod transformer;

use burn::module::Module;
use serde::{Deserialize, Serialize};
pub use transformer::{TextTransformer, TextTransformerConfig};

use crate::input::TextInput;
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;
use crate::{ConfigError, TokenSequence};

/// Which text encoder, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TextEncoderConfig {
    /// Bidirectional transformer.
    Transformer(TextTransformerConfig),
}

impl TextEncoderConfig {
    /// One small configuration of every text encoder, for tests and `triptych list`.
    pub fn registry() -> Vec<(&'static str, Self)> {
        vec![("transformer", Self::Transformer(TextTransformerConfig::tiny()))]
    }

    /// Width of the encoder's tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Transformer(config) => config.transformer.d_model,
        }
    }

    /// Longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        match self {
            Self::Transformer(config) => config.max_tokens,
        }
    }

    /// What a text of `n_tokens` costs.
    pub fn cost(&self, n_vocab: usize, n_tokens: usize) -> CostTree {
        match self {
            Self::Transformer(config) => config.cost(n_vocab, n_tokens),
        }
    }

    /// Random weights for `n_vocab` token ids.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<TextEncoder, ConfigError> {
        match self {
            Self::Transformer(config) => config.init(n_vocab, init).map(TextEncoder::Transformer),
        }
    }
}

/// A text encoder with its weights.
#[derive(Module, Debug)]
pub enum TextEncoder {
    /// Bidirectional transformer.
    Transformer(TextTransformer),
}

impl TextEncoder {
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub fn forward(&self, input: &TextInput) -> TokenSequence {
        match self {
            Self::Transformer(encoder) => encoder.forward(input),
        }
    }
}
