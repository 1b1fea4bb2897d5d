//! BERT, and the sentence models that are made of it.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::Family;
use super::blocks::{BlockNames, transformer};
use crate::layers::embedding::{Embedding, add_positions};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::pretrained::mapping::Mapping;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};
use crate::{ConfigError, Modality, TextInput, TokenSequence};

/// Sizes of a [`Bert`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BertConfig {
    /// Token ids.
    pub n_vocab: usize,
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// Kinds of segments, of which a text alone is the first.
    pub n_segments: usize,
    /// Whether the first token's vector is mapped once more for the text as a whole.
    pub has_pooler: bool,
    /// The blocks.
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
    segments: Embedding,
    norm: Norm,
    transformer: Transformer,
    pooler: Option<Linear>,
}

impl BertConfig {
    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<Bert, ConfigError> {
        let d_model = self.transformer.d_model;
        Ok(Bert {
            words: Embedding::new(self.n_vocab, d_model, init),
            positions: init.truncated_normal([self.max_tokens, d_model], 0.02),
            segments: Embedding::new(self.n_segments, d_model, init),
            norm: Norm::new(NormKind::Layer, d_model, self.transformer.block.norm_epsilon, init),
            transformer: self.transformer.init(init)?,
            pooler: self.has_pooler.then(|| Linear::new(d_model, d_model, init)),
        })
    }
}

impl Bert {
    /// # Shapes
    /// `[batch, n_tokens]`, segments `[batch, n_tokens]` or all the first -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When a text is longer than `max_tokens`.
    pub fn forward(&self, input: &TextInput, segments: Option<Tensor<2, Int>>) -> TokenSequence {
        let segments = segments.unwrap_or_else(|| input.ids.zeros_like());
        let tokens = self.words.forward(input.ids.clone()) + self.segments.forward(segments);
        let tokens = self.norm.forward(add_positions(tokens, &self.positions));
        let mask = AttentionMask::bidirectional(Some(input.is_pad.clone()));
        TokenSequence {
            tokens: self.transformer.forward(tokens, &mask),
            is_pad: input.is_pad.clone(),
            modality: Modality::Text,
        }
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

/// See the module's documentation.
#[derive(Debug)]
pub struct BertFamily;

impl Family for BertFamily {
    type Config = BertConfig;
    type Model = Bert;
    const NAME: &'static str = "bert";
    const ABOUT: &'static str = "BERT and sentence models of its kind: text to vectors";
    const MODEL_TYPES: &'static [&'static str] = &["bert"];

    fn config(published: &PublishedConfig, weights: &Checkpoint) -> Result<BertConfig, CheckpointError> {
        published.only("position_embedding_type", "absolute")?;
        published.only("is_decoder", false)?;
        published.only("add_cross_attention", false)?;
        let mut transformer = transformer(published, [768, 12, 12, 3072], (1e-12, "gelu"))?;
        transformer.block = BlockConfig { norm_first: false, ..transformer.block };
        let has = |name: &str| weights.tensor(name).is_some();
        Ok(BertConfig {
            n_vocab: published.size("vocab_size", 30_522)?,
            max_tokens: published.size("max_position_embeddings", 512)?,
            n_segments: published.size("type_vocab_size", 2)?,
            has_pooler: has("pooler.dense.weight") || has("bert.pooler.dense.weight"),
            transformer,
        })
    }

    fn init(config: &BertConfig, init: &mut Initializer) -> Result<Bert, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &BertConfig) -> Mapping {
        const NAMES: BlockNames = BlockNames {
            // behind the sum of attention and of the feed-forward
            attention_norm: "attention.output.LayerNorm",
            query: "attention.self.query",
            key: "attention.self.key",
            value: "attention.self.value",
            out: "attention.output.dense",
            feed_forward_norm: "output.LayerNorm",
            up: "intermediate.dense",
            down: "output.dense",
            has_key_bias: true,
        };
        let mut mapping = Mapping::new();
        mapping.added_prefix("bert.");
        // names of the first release
        mapping.older_ending("LayerNorm.gamma", "LayerNorm.weight");
        mapping.older_ending("LayerNorm.beta", "LayerNorm.bias");
        for head in ["cls.*", "classifier.*", "qa_outputs.*", "*embeddings.position_ids"] {
            mapping.ignore(head);
        }
        mapping.same("words.weight", "embeddings.word_embeddings.weight");
        mapping.same("positions", "embeddings.position_embeddings.weight");
        mapping.same("segments.weight", "embeddings.token_type_embeddings.weight");
        mapping.norm("norm", "embeddings.LayerNorm");
        NAMES.declare(&mut mapping, "transformer", "encoder.layer", config.transformer.depth);
        if config.has_pooler {
            mapping.linear("pooler", "pooler.dense");
        }
        mapping
    }

    fn n_vocab(config: &BertConfig) -> Option<usize> {
        Some(config.n_vocab)
    }

    fn check_preprocessing(_: &BertConfig, _: &PublishedConfig) -> Result<(), CheckpointError> {
        Ok(())
    }
}
