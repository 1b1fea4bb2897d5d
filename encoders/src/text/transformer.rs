//! A bidirectional transformer over token ids with learned positions, like BERT's but pre-norm.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::{TextMarks, check_room};
use crate::input::TextInput;
use crate::layers::cost::{self, CostTree};
use crate::layers::embedding::{Embedding, add_positions};
use crate::layers::initializer::Initializer;
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::{Transformer, TransformerConfig};
use crate::{ConfigError, Modality, TokenSequence};

/// Sizes of a [`TextTransformer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextTransformerConfig {
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// The marks that it was trained to find around a text, of a published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<TextMarks>,
    /// The blocks.
    pub transformer: TransformerConfig,
}

impl TextTransformerConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { max_tokens: 12, marks: None, transformer: TransformerConfig::tiny() }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<TextTransformer, ConfigError> {
        let d_model = self.transformer.d_model;
        check_room(n_vocab, self.max_tokens)?;
        Ok(TextTransformer {
            embedding: Embedding::new(n_vocab, d_model, init),
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
            CostTree::leaf("embedding", &shape, cost::table(n_vocab, d_model)),
            CostTree::leaf("positions", &shape, cost::table(self.max_tokens, d_model)),
            self.transformer.cost(n_tokens),
        ];
        CostTree::of("transformer", &shape, parts)
    }
}

/// See the module's documentation.
///
/// # Reference
/// Devlin et al. 2019; pre-norm as in Xiong et al. 2020.
#[derive(Module, Debug)]
pub struct TextTransformer {
    embedding: Embedding,
    positions: Param<Tensor<2>>,
    transformer: Transformer,
    #[module(skip)]
    marks: Option<TextMarks>,
}

impl TextTransformer {
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When a text is longer than `max_tokens`: the loader cuts them.
    pub fn forward(&self, input: &TextInput) -> TokenSequence {
        let masked = |input: &TextInput| {
            let mask = AttentionMask::bidirectional(Some(input.is_pad.clone()));
            self.encode(input.ids.clone(), &mask)
        };
        match self.marks {
            Some(marks) => marks.encode(input, masked),
            None => TokenSequence::new(masked(input), input.is_pad.clone(), Modality::Text),
        }
    }

    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub(crate) fn encode(&self, ids: Tensor<2, Int>, mask: &AttentionMask) -> Tensor<3> {
        self.transformer.forward(add_positions(self.embedding.forward(ids), &self.positions), mask)
    }
}
