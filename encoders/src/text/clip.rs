//! CLIP's tower over texts.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::{TextMarks, check_room};
use crate::input::TextInput;
use crate::layers::cost::{self, CostTree};
use crate::layers::embedding::{Embedding, add_positions};
use crate::layers::initializer::{Initializer, WeightDistribution};
use crate::layers::ops::{Activation, AttentionMask};
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Sizes of a [`ClipText`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTextConfig {
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// The marks that it was trained to find around a text, of a published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<TextMarks>,
    /// The blocks; the published ones have `quick_gelu`.
    pub transformer: TransformerConfig,
}

/// Token and position embeddings under causal blocks; the last token stands for the text.
///
/// # Reference
/// Radford et al. 2021, section 2.4; `transformers`' `CLIPTextModel`.
#[derive(Module, Debug)]
pub struct ClipText {
    words: Embedding,
    positions: Param<Tensor<2>>,
    transformer: Transformer,
    #[module(skip)]
    marks: Option<TextMarks>,
}

fn block() -> BlockConfig {
    BlockConfig {
        activation: Activation::QuickGelu,
        weights: WeightDistribution::TruncatedNormal(0.02),
        scale_outputs_by_depth: true,
        ..BlockConfig::default()
    }
}

impl Preset for ClipTextConfig {
    const PRESETS: &'static [&'static str] = &["B/32", "B/16", "L/14"];

    /// The paper's, table 20: the towers beside its vision transformers of that name.
    fn preset(name: &str) -> Option<Self> {
        let d_model = match name {
            "B/32" | "B/16" => 512,
            "L/14" => 768,
            _ => return None,
        };
        let transformer = TransformerConfig::new(d_model, 12, d_model / 64).with_block(block());
        Some(Self { max_tokens: 77, marks: None, transformer })
    }
}

impl ClipTextConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { max_tokens: 12, marks: None, transformer: TransformerConfig::tiny().with_block(block()) }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<ClipText, ConfigError> {
        check_room(n_vocab, self.max_tokens)?;
        let d_model = self.transformer.d_model;
        Ok(ClipText {
            words: Embedding::new(n_vocab, d_model, init),
            positions: init.truncated_normal([self.max_tokens, d_model], 0.02),
            transformer: self.transformer.init(init)?,
            marks: self.marks,
        })
    }

    /// What a text of `n_tokens` costs.
    pub fn cost(&self, n_vocab: usize, n_tokens: usize) -> CostTree {
        let d_model = self.transformer.d_model;
        let n_read = self.marks.map_or(n_tokens, |marks| marks.n_read(n_tokens));
        let (shape, n_tokens) = ([n_tokens, d_model], n_read);
        let parts = vec![
            CostTree::leaf("words", &shape, cost::table(n_vocab, d_model)),
            CostTree::leaf("positions", &shape, cost::table(self.max_tokens, d_model)),
            self.transformer.cost(n_tokens),
        ];
        CostTree::of("clip", &shape, parts)
    }
}

impl ClipText {
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When a text is longer than `max_tokens`.
    pub fn forward(&self, input: &TextInput) -> TokenSequence {
        if let Some(marks) = self.marks {
            return marks
                .encode(input, |marked| self.encode(marked.ids.clone(), &AttentionMask::causal(None)));
        }
        let mask = AttentionMask::causal(Some(input.is_pad.clone()));
        let sequence =
            TokenSequence::new(self.encode(input.ids.clone(), &mask), input.is_pad.clone(), Modality::Text);
        let last = sequence.last();
        sequence.with_summary(last)
    }

    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub(crate) fn encode(&self, ids: Tensor<2, Int>, mask: &AttentionMask) -> Tensor<3> {
        self.transformer.forward(add_positions(self.words.forward(ids), &self.positions), mask)
    }
}
