//! BERT, and the sentence models that are made of it.

use serde::{Deserialize, Serialize};

use super::blocks::{BlockNames, transformer};
use super::{Family, LargestSample};
use crate::ConfigError;
use crate::layers::cost::{self, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::transformer::{BlockConfig, TransformerConfig};
use crate::pretrained::mapping::Mapping;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};
use crate::text::{Bert, BertConfig};

/// Sizes of a published [`Bert`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedBertConfig {
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

impl PublishedBertConfig {
    /// The encoder's sizes.
    pub fn encoder(&self) -> BertConfig {
        let Self { max_tokens, n_segments, ref transformer, .. } = *self;
        BertConfig { max_tokens, n_segments, marks: None, transformer: transformer.clone() }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<Bert, ConfigError> {
        let bert = self.encoder().init(self.n_vocab, init)?;
        Ok(if self.has_pooler { bert.with_pooler(init) } else { bert })
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct BertFamily;

impl Family for BertFamily {
    type Config = PublishedBertConfig;
    type Model = Bert;
    const NAME: &'static str = "bert";
    const ABOUT: &'static str = "BERT and sentence models of its kind: text to vectors";
    const MODEL_TYPES: &'static [&'static str] = &["bert"];

    fn config(
        published: &PublishedConfig,
        weights: &Checkpoint,
    ) -> Result<PublishedBertConfig, CheckpointError> {
        published.only("position_embedding_type", "absolute")?;
        published.only("is_decoder", false)?;
        published.only("add_cross_attention", false)?;
        let mut transformer = transformer(published, [768, 12, 12, 3072], (1e-12, "gelu"))?;
        transformer.block = BlockConfig { norm_first: false, ..transformer.block };
        let has = |name: &str| weights.tensor(name).is_some();
        Ok(PublishedBertConfig {
            n_vocab: published.size("vocab_size", 30_522)?,
            max_tokens: published.size("max_position_embeddings", 512)?,
            n_segments: published.size("type_vocab_size", 2)?,
            has_pooler: has("pooler.dense.weight") || has("bert.pooler.dense.weight"),
            transformer,
        })
    }

    fn init(config: &PublishedBertConfig, init: &mut Initializer) -> Result<Bert, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &PublishedBertConfig) -> Mapping {
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

    fn n_vocab(config: &PublishedBertConfig) -> Option<usize> {
        Some(config.n_vocab)
    }

    fn largest_sample(config: &PublishedBertConfig) -> LargestSample {
        LargestSample { n_text_tokens: Some(config.max_tokens), ..LargestSample::default() }
    }

    fn cost(config: &PublishedBertConfig) -> CostTree {
        let d_model = config.transformer.d_model;
        let mut parts = vec![config.encoder().cost(config.n_vocab, config.max_tokens)];
        if config.has_pooler {
            parts.push(CostTree::leaf("pooler", &[d_model], cost::linear(1, d_model, d_model, true)));
        }
        CostTree::of(Self::NAME, &[d_model], parts)
    }

    fn check_preprocessing(_: &PublishedBertConfig, _: &PublishedConfig) -> Result<(), CheckpointError> {
        Ok(())
    }
}
