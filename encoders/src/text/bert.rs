//! BERT: a bidirectional transformer whose blocks are normalised behind their sums, over words, positions and segments.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::{TextMarks, check_room};
use crate::input::TextInput;
use crate::layers::cost::{self, CostTree};
use crate::layers::embedding::{Embedding, add_positions};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Sizes of a [`Bert`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BertConfig {
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// Kinds of segments, of which a text alone is the first; 0 leaves their embedding out.
    #[serde(default)]
    pub n_segments: usize,
    /// The marks that it was trained to find around a text, of a published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<TextMarks>,
    /// The blocks, whose `norm_first` must be false.
    pub transformer: TransformerConfig,
}

/// Token, position and segment embeddings, normalised, under post-norm blocks.
///
/// # Reference
/// Devlin et al. 2019; `transformers`' `BertModel`.
#[derive(Module, Debug)]
pub struct Bert {
    words: Embedding,
    positions: Param<Tensor<2>>,
    segments: Option<Embedding>,
    norm: Norm,
    transformer: Transformer,
    pooler: Option<Linear>,
    #[module(skip)]
    marks: Option<TextMarks>,
}

impl Preset for BertConfig {
    const PRESETS: &'static [&'static str] = &["tiny", "mini", "small", "medium", "base", "large"];

    /// `base` and `large` of the paper; the smaller ones of Turc et al. 2019, "Well-read students learn better".
    fn preset(name: &str) -> Option<Self> {
        let [d_model, depth] = match name {
            "tiny" => [128, 2],
            "mini" => [256, 4],
            "small" => [512, 4],
            "medium" => [512, 8],
            "base" => [768, 12],
            "large" => [1024, 24],
            _ => return None,
        };
        let transformer =
            TransformerConfig::new(d_model, depth, d_model / 64).with_block(BlockConfig::bert());
        Some(Self { max_tokens: 512, n_segments: 2, marks: None, transformer })
    }
}

impl BertConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        let transformer = TransformerConfig::tiny().with_block(BlockConfig::bert());
        Self { max_tokens: 12, n_segments: 1, marks: None, transformer }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together, or the blocks are pre-norm.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<Bert, ConfigError> {
        check_room(n_vocab, self.max_tokens)?;
        let (d_model, block) = (self.transformer.d_model, &self.transformer.block);
        if block.norm_first {
            return Err(ConfigError::new(
                "bert's blocks are normalised behind their sums: expected block.norm_first = false, got true",
            ));
        }
        Ok(Bert {
            words: Embedding::new(n_vocab, d_model, init),
            positions: init.truncated_normal([self.max_tokens, d_model], 0.02),
            segments: (self.n_segments > 0).then(|| Embedding::new(self.n_segments, d_model, init)),
            norm: Norm::new(NormKind::Layer, d_model, block.norm_epsilon, init),
            transformer: self.transformer.init(init)?,
            pooler: None,
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
            CostTree::leaf("segments", &shape, cost::table(self.n_segments, d_model)),
            CostTree::leaf("norm", &shape, cost::layer_norm(n_tokens, d_model)),
            self.transformer.cost(n_tokens),
        ];
        CostTree::of("bert", &shape, parts)
    }
}

impl Bert {
    /// The same with a map of the first token's vector for the text as a whole, as it was pre-trained with.
    #[must_use]
    pub fn with_pooler(self, init: &mut Initializer) -> Self {
        let [_, d_model] = self.positions.dims();
        Self { pooler: Some(Linear::new(d_model, d_model, init)), ..self }
    }

    /// The same without that map.
    #[must_use]
    pub(crate) fn without_pooler(self) -> Self {
        Self { pooler: None, ..self }
    }

    /// Every token is of the first segment where `segments` are not given. An encoder that puts marks around its texts reads
    /// no segments.
    ///
    /// # Shapes
    /// `[batch, n_tokens]`, segments `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When a text is longer than `max_tokens`.
    pub fn forward(&self, input: &TextInput, segments: Option<Tensor<2, Int>>) -> TokenSequence {
        match self.marks {
            Some(marks) => marks.encode(input, |marked| self.encode(marked, None)),
            None => TokenSequence::new(self.encode(input, segments), input.is_pad.clone(), Modality::Text),
        }
    }

    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    fn encode(&self, input: &TextInput, segments: Option<Tensor<2, Int>>) -> Tensor<3> {
        let words = self.words.forward(input.ids.clone());
        let tokens = match &self.segments {
            Some(table) => words + table.forward(segments.unwrap_or_else(|| input.ids.zeros_like())),
            None => words,
        };
        let tokens = self.norm.forward(add_positions(tokens, &self.positions));
        let mask = AttentionMask::bidirectional(Some(input.is_pad.clone()));
        self.transformer.forward(tokens, &mask)
    }

    /// The first token of each row, mapped and squashed, where the model has a pooler.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> `[batch, d_model]`
    pub fn pooled(&self, output: &TokenSequence) -> Option<Tensor<2>> {
        let first = output.tokens.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
        self.pooler.as_ref().map(|pooler| pooler.forward(first).tanh())
    }
}
