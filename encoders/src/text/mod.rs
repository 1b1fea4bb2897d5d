//! Text encoders.

mod bert;
mod causal;
mod clip;
mod lstm;
mod marks;
mod transformer;

pub use bert::{Bert, BertConfig};
use burn::module::Module;
pub use causal::{CausalText, CausalTextConfig};
pub use clip::{ClipText, ClipTextConfig};
pub use lstm::{Lstm, LstmConfig};
pub use marks::{TextMarks, TextSummary};
use serde::{Deserialize, Serialize};
pub use transformer::{TextTransformer, TextTransformerConfig};

use crate::input::TextInput;
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;
use crate::preset::table_or_name;
use crate::{ConfigError, TokenSequence};

/// Which text encoder, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TextEncoderConfig {
    /// Bidirectional transformer.
    Transformer(TextTransformerConfig),
    /// Bidirectional transformer with BERT's blocks.
    #[serde(deserialize_with = "table_or_name")]
    Bert(BertConfig),
    /// Causal transformer, as language models are made.
    #[serde(deserialize_with = "table_or_name")]
    Causal(CausalTextConfig),
    /// CLIP's tower over texts.
    #[serde(deserialize_with = "table_or_name")]
    Clip(ClipTextConfig),
    /// LSTMs in both directions.
    Lstm(LstmConfig),
}

impl TextEncoderConfig {
    /// One small configuration of every text encoder, for tests and `triptych list`.
    pub fn registry() -> Vec<(&'static str, Self)> {
        vec![
            ("transformer", Self::Transformer(TextTransformerConfig::tiny())),
            ("bert", Self::Bert(BertConfig::tiny())),
            ("causal", Self::Causal(CausalTextConfig::tiny())),
            ("clip", Self::Clip(ClipTextConfig::tiny())),
            ("lstm", Self::Lstm(LstmConfig::tiny())),
        ]
    }

    /// Width of the encoder's tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Transformer(config) => config.transformer.d_model,
            Self::Bert(config) => config.transformer.d_model,
            Self::Causal(config) => config.transformer.d_model,
            Self::Clip(config) => config.transformer.d_model,
            Self::Lstm(config) => config.d_model,
        }
    }

    /// Longest text in tokens, without marks; the largest number where any length will do.
    pub fn max_tokens(&self) -> usize {
        let max_tokens = match self {
            Self::Transformer(config) => config.max_tokens,
            Self::Bert(config) => config.max_tokens,
            Self::Causal(config) => config.max_tokens,
            Self::Clip(config) => config.max_tokens,
            Self::Lstm(_) => usize::MAX,
        };
        max_tokens.saturating_sub(self.marks().map_or(0, |marks| marks.n_marks()))
    }

    /// The marks that the encoder puts around a text.
    pub fn marks(&self) -> Option<TextMarks> {
        match self {
            Self::Transformer(config) => config.marks,
            Self::Bert(config) => config.marks,
            Self::Clip(config) => config.marks,
            Self::Causal(_) | Self::Lstm(_) => None,
        }
    }

    /// What a text of `n_tokens` costs.
    pub fn cost(&self, n_vocab: usize, n_tokens: usize) -> CostTree {
        match self {
            Self::Transformer(config) => config.cost(n_vocab, n_tokens),
            Self::Bert(config) => config.cost(n_vocab, n_tokens),
            Self::Causal(config) => config.cost(n_vocab, n_tokens),
            Self::Clip(config) => config.cost(n_vocab, n_tokens),
            Self::Lstm(config) => config.cost(n_vocab, n_tokens),
        }
    }

    /// Random weights for `n_vocab` token ids.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<TextEncoder, ConfigError> {
        match self {
            Self::Transformer(config) => config.init(n_vocab, init).map(TextEncoder::Transformer),
            Self::Bert(config) => config.init(n_vocab, init).map(TextEncoder::Bert),
            Self::Causal(config) => config.init(n_vocab, init).map(TextEncoder::Causal),
            Self::Clip(config) => config.init(n_vocab, init).map(TextEncoder::Clip),
            Self::Lstm(config) => config.init(n_vocab, init).map(TextEncoder::Lstm),
        }
    }
}

/// That there is room for a token and a vocabulary.
fn check_room(n_vocab: usize, max_tokens: usize) -> Result<(), ConfigError> {
    if max_tokens == 0 || n_vocab == 0 {
        return Err(ConfigError::new(format!(
            "a text encoder needs room for a token and a vocabulary, got max_tokens {max_tokens} and {n_vocab} token ids"
        )));
    }
    Ok(())
}

/// A text encoder with its weights.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum TextEncoder {
    /// Bidirectional transformer.
    Transformer(TextTransformer),
    /// Bidirectional transformer with BERT's blocks.
    Bert(Bert),
    /// Causal transformer.
    Causal(CausalText),
    /// CLIP's tower over texts.
    Clip(ClipText),
    /// LSTMs in both directions.
    Lstm(Lstm),
}

impl TextEncoder {
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub fn forward(&self, input: &TextInput) -> TokenSequence {
        match self {
            Self::Transformer(encoder) => encoder.forward(input),
            Self::Bert(encoder) => encoder.forward(input, None),
            Self::Causal(encoder) => encoder.forward(input),
            Self::Clip(encoder) => encoder.forward(input),
            Self::Lstm(encoder) => encoder.forward(input),
        }
    }
}
