//! The vision transformer, ViT.

use burn::module::Module;
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::blocks::{BlockNames, transformer};
use super::patches::PatchConfig;
use super::{Family, LargestSample};
use crate::layers::cost::{self, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::transformer::TransformerConfig;
use crate::pretrained::mapping::{Layout, Mapping};
use crate::pretrained::preprocessing::PictureSettings;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};
use crate::vision::{VisionPooling, Vit, VitConfig};
use crate::{ConfigError, ImageInput, Modality, TokenSequence};

/// Sizes of a [`PublishedVit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedVitConfig {
    /// Pictures and their patches.
    pub patches: PatchConfig,
    /// Whether the class token's vector is mapped once more for the picture as a whole.
    pub has_pooler: bool,
    /// The blocks.
    pub transformer: TransformerConfig,
}

/// A [`Vit`] with a class token, and the map behind it that it was pre-trained with.
///
/// # Reference
/// Dosovitskiy et al. 2021; `transformers`' `ViTModel`.
#[derive(Module, Debug)]
pub struct PublishedVit {
    pub(crate) vit: Vit,
    pooler: Option<Linear>,
}

impl PublishedVitConfig {
    /// The encoder's sizes.
    pub fn encoder(&self) -> VitConfig {
        VitConfig::over_patches(self.patches.patch_side, self.transformer.clone(), VisionPooling::Class)
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<PublishedVit, ConfigError> {
        let d_model = self.transformer.d_model;
        Ok(PublishedVit {
            vit: self.encoder().init(self.patches.side, init)?,
            pooler: self.has_pooler.then(|| Linear::new(d_model, d_model, init)),
        })
    }
}

impl PublishedVit {
    /// The class token, and the patches row by row.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, 1 + n_patches, d_model]`; positions are interpolated where it is another size
    /// than the model was made for
    ///
    /// # Panics
    /// When the patches do not divide the picture.
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        TokenSequence::whole(self.vit.hidden(input), Modality::Image)
    }

    /// The class token of each row, mapped and squashed, where the model has a pooler.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> `[batch, d_model]`
    pub fn pooled(&self, output: &TokenSequence) -> Option<Tensor<2>> {
        let class = output.tokens.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
        self.pooler.as_ref().map(|pooler| pooler.forward(class).tanh())
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct VitFamily;

impl Family for VitFamily {
    type Config = PublishedVitConfig;
    type Model = PublishedVit;
    const NAME: &'static str = "vit";
    const ABOUT: &'static str = "ViT: pictures to vectors";
    const MODEL_TYPES: &'static [&'static str] = &["vit"];

    fn config(
        published: &PublishedConfig,
        weights: &Checkpoint,
    ) -> Result<PublishedVitConfig, CheckpointError> {
        published.only("qkv_bias", true)?;
        published.only("pooler_act", "tanh")?;
        let has = |name: &str| weights.tensor(name).is_some();
        let transformer = transformer(published, [768, 12, 12, 3072], (1e-12, "gelu"))?;
        if let Some(width) = published.table().get("pooler_output_size").and_then(serde_json::Value::as_u64)
            && width != transformer.d_model as u64
        {
            let expected = format!("{}, as wide as a token", transformer.d_model);
            return Err(published.wrong("pooler_output_size", &expected, &width.to_string()));
        }
        Ok(PublishedVitConfig {
            patches: PatchConfig::read(published, 224, 16)?,
            has_pooler: has("pooler.dense.weight") || has("vit.pooler.dense.weight"),
            transformer,
        })
    }

    fn init(config: &PublishedVitConfig, init: &mut Initializer) -> Result<PublishedVit, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &PublishedVitConfig) -> Mapping {
        const NAMES: BlockNames = BlockNames {
            attention_norm: "layernorm_before",
            query: "attention.attention.query",
            key: "attention.attention.key",
            value: "attention.attention.value",
            out: "attention.output.dense",
            feed_forward_norm: "layernorm_after",
            up: "intermediate.dense",
            down: "output.dense",
            has_key_bias: true,
        };
        let d_model = config.transformer.d_model;
        let mut mapping = Mapping::new();
        mapping.added_prefix("vit.");
        mapping.ignore("classifier.*");
        mapping.tensor("vit.class", "embeddings.cls_token", Layout::Shaped(vec![1, 1, d_model]));
        let n_positions = 1 + config.patches.n_patches();
        let positions = Layout::Shaped(vec![1, n_positions, d_model]);
        mapping.tensor("vit.positions", "embeddings.position_embeddings", positions);
        let side = config.patches.patch_side;
        mapping.convolution("vit.projection", "embeddings.patch_embeddings.projection", &[side, side]);
        NAMES.declare(&mut mapping, "vit.transformer", "encoder.layer", config.transformer.depth);
        mapping.norm("vit.transformer.norm", "layernorm");
        if config.has_pooler {
            mapping.linear("pooler", "pooler.dense");
        }
        mapping
    }

    fn n_vocab(_: &PublishedVitConfig) -> Option<usize> {
        None
    }

    fn largest_sample(config: &PublishedVitConfig) -> LargestSample {
        LargestSample { image_side: Some(config.patches.side), ..LargestSample::default() }
    }

    fn cost(config: &PublishedVitConfig) -> CostTree {
        let d_model = config.transformer.d_model;
        let mut parts = vec![config.encoder().cost(config.patches.side)];
        if config.has_pooler {
            parts.push(CostTree::leaf("pooler", &[d_model], cost::linear(1, d_model, d_model, true)));
        }
        CostTree::of(Self::NAME, &[d_model], parts)
    }

    fn check_preprocessing(
        config: &PublishedVitConfig,
        settings: &PublishedConfig,
    ) -> Result<(), CheckpointError> {
        PictureSettings::read(settings, config.patches.side).map(|_| ())
    }
}
