//! A causal transformer over token ids, as language models are made.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::check_room;
use crate::input::TextInput;
use crate::layers::cost::{self, CostTree};
use crate::layers::embedding::{Embedding, add_positions};
use crate::layers::initializer::Initializer;
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Sizes of a [`CausalText`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CausalTextConfig {
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// The blocks; without a `rotary_base` there are learned positions.
    pub transformer: TransformerConfig,
}

/// Token embeddings under causal blocks; the last token stands for the text, as it alone has seen all of it.
///
/// # Reference
/// Radford et al. 2019 (GPT-2) with learned positions; Touvron et al. 2023 (LLaMA) with rotary ones, RMS normalisation and
/// SwiGLU.
#[derive(Module, Debug)]
pub struct CausalText {
    words: Embedding,
    positions: Option<Param<Tensor<2>>>,
    transformer: Transformer,
}

impl Preset for CausalTextConfig {
    const PRESETS: &'static [&'static str] = &["small", "medium", "large", "xl"];

    /// Width, depth and heads of Brown et al. 2020, table 2.1, in LLaMA's blocks: a feed-forward of 8/3 widths, rounded
    /// up to a multiple of 256, and a group of four query heads for each head of keys (Ainslie et al. 2023).
    fn preset(name: &str) -> Option<Self> {
        let [d_model, depth, n_heads]: [usize; 3] = match name {
            "small" => [768, 12, 12],
            "medium" => [1024, 24, 16],
            "large" => [1536, 24, 16],
            "xl" => [2048, 24, 16],
            _ => return None,
        };
        let block = BlockConfig {
            d_hidden: Some((8 * d_model).div_ceil(3).next_multiple_of(256)),
            n_key_heads: Some(n_heads / 4),
            scale_outputs_by_depth: true,
            ..BlockConfig::llama()
        };
        Some(Self {
            max_tokens: 2048,
            transformer: TransformerConfig::new(d_model, depth, n_heads).with_block(block),
        })
    }
}

impl CausalTextConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        let block = BlockConfig { n_key_heads: Some(1), ..BlockConfig::llama() };
        Self { max_tokens: 12, transformer: TransformerConfig::tiny().with_block(block) }
    }

    fn has_positions(&self) -> bool {
        self.transformer.block.rotary_base.is_none()
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<CausalText, ConfigError> {
        check_room(n_vocab, self.max_tokens)?;
        let d_model = self.transformer.d_model;
        Ok(CausalText {
            words: Embedding::new(n_vocab, d_model, init),
            positions: self.has_positions().then(|| init.truncated_normal([self.max_tokens, d_model], 0.02)),
            transformer: self.transformer.init(init)?,
        })
    }

    /// What a text of `n_tokens` costs.
    pub fn cost(&self, n_vocab: usize, n_tokens: usize) -> CostTree {
        let d_model = self.transformer.d_model;
        let shape = [n_tokens, d_model];
        let mut parts = vec![CostTree::leaf("words", &shape, cost::table(n_vocab, d_model))];
        if self.has_positions() {
            parts.push(CostTree::leaf("positions", &shape, cost::table(self.max_tokens, d_model)));
        }
        parts.push(self.transformer.cost(n_tokens));
        CostTree::of("causal", &shape, parts)
    }
}

impl CausalText {
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When a text is longer than the learned positions, where there are such.
    pub fn forward(&self, input: &TextInput) -> TokenSequence {
        let words = self.words.forward(input.ids.clone());
        let tokens = match &self.positions {
            Some(positions) => add_positions(words, positions),
            None => words,
        };
        let mask = AttentionMask::causal(Some(input.is_pad.clone()));
        let tokens = self.transformer.forward(tokens, &mask);
        let sequence = TokenSequence::new(tokens, input.is_pad.clone(), Modality::Text);
        let last = sequence.last();
        sequence.with_summary(last)
    }
}
