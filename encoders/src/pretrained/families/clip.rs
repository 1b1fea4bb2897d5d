//! CLIP: texts and pictures in one space.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::blocks::{BlockNames, transformer};
use super::patches::PatchConfig;
use super::{Family, LargestSample};
use crate::layers::cost::{self, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::TransformerConfig;
use crate::pretrained::mapping::{Layout, Mapping};
use crate::pretrained::preprocessing::PictureSettings;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};
use crate::text::{ClipText, ClipTextConfig};
use crate::vision::{VisionPooling, Vit, VitConfig};
use crate::{ConfigError, ImageInput, TextInput};

/// What `eos_token_id` says in the configs of the first release, whatever the vocabulary.
const LEGACY_END: u64 = 2;

/// Sizes of a [`Clip`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Token ids.
    pub n_vocab: usize,
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// The token that ends a text, whose vector stands for the text; if left out it is the largest id of a row.
    pub end_token: Option<u32>,
    /// The blocks over a text.
    pub text: TransformerConfig,
    /// Pictures and their patches.
    pub patches: PatchConfig,
    /// The blocks over a picture.
    pub image: TransformerConfig,
    /// Width of the space that both are mapped to.
    pub d_embedding: usize,
}

/// A causal transformer over text and a bidirectional one over patches.
///
/// # Reference
/// Radford et al. 2021; `transformers`' `CLIPModel`.
#[derive(Module, Debug)]
pub struct Clip {
    pub(crate) text: ClipText,
    pub(crate) text_projection: Linear,
    pub(crate) image: Vit,
    pub(crate) image_projection: Linear,
    /// `[1]`, the logarithm of what similarities are multiplied by.
    pub(crate) logit_scale: Param<Tensor<1>>,
    #[module(skip)]
    end_token: Option<u32>,
}

impl ClipConfig {
    /// The sizes of the tower over texts.
    pub fn text_encoder(&self) -> ClipTextConfig {
        ClipTextConfig { max_tokens: self.max_tokens, marks: None, transformer: self.text.clone() }
    }

    /// The sizes of the tower over pictures.
    pub fn image_encoder(&self) -> VitConfig {
        let vit = VitConfig::over_patches(self.patches.patch_side, self.image.clone(), VisionPooling::Class);
        VitConfig { projection_bias: false, norm_tokens: true, ..vit }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<Clip, ConfigError> {
        let (d_text, d_image) = (self.text.d_model, self.image.d_model);
        Ok(Clip {
            text: self.text_encoder().init(self.n_vocab, init)?,
            text_projection: Linear::with_bias(false, d_text, self.d_embedding, init),
            image: self.image_encoder().init(self.patches.side, init)?,
            image_projection: Linear::with_bias(false, d_image, self.d_embedding, init),
            // the paper's start: 1 / 0.07
            logit_scale: init.constant([1], (1.0_f32 / 0.07).ln()),
            end_token: self.end_token,
        })
    }
}

impl Clip {
    /// Texts as vectors of length 1. What stands behind a text's end changes nothing.
    ///
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, d_embedding]`
    ///
    /// # Panics
    /// When a text is longer than `max_tokens`.
    pub fn embed_text(&self, input: &TextInput) -> Tensor<2> {
        let tokens = self.text.encode(input.ids.clone(), &AttentionMask::causal(None));
        let [batch, n_tokens, d_model] = tokens.dims();
        let ends = self.ends(&input.ids);
        let rows =
            ends.iter().enumerate().map(|(row, end)| (row * n_tokens + end) as i64).collect::<Vec<_>>();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &input.ids.device());
        let ends = tokens.reshape([batch * n_tokens, d_model]).select(0, rows);
        unit(self.text_projection.forward(ends))
    }

    /// Where each text ends.
    fn ends(&self, ids: &Tensor<2, Int>) -> Vec<usize> {
        let [_, n_tokens] = ids.dims();
        let ids = ids.to_data().iter::<i64>().collect::<Vec<_>>();
        let end = |row: &[i64]| match self.end_token {
            Some(end) => row.iter().position(|&id| id == i64::from(end)),
            None => row.iter().max().and_then(|most| row.iter().position(|id| id == most)),
        };
        ids.chunks_exact(n_tokens.max(1)).map(|row| end(row).unwrap_or(0)).collect()
    }

    /// Pictures as vectors of length 1.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, d_embedding]`; positions are interpolated where it is another size than the
    /// model was made for
    ///
    /// # Panics
    /// When the patches do not divide the pictures.
    pub fn embed_image(&self, input: &ImageInput) -> Tensor<2> {
        let class = self.image.hidden(input).narrow(1, 0, 1).squeeze_dim::<2>(1);
        unit(self.image_projection.forward(class))
    }

    /// How well each text fits each picture, as the model was trained to tell.
    ///
    /// # Shapes
    /// `[n_texts, d_embedding]`, `[n_images, d_embedding]` -> `[n_texts, n_images]`
    pub fn logits(&self, texts: Tensor<2>, images: Tensor<2>) -> Tensor<2> {
        texts.matmul(images.transpose()) * self.logit_scale.val().exp().unsqueeze::<2>()
    }
}

/// Rows brought to length 1.
pub(super) fn unit(rows: Tensor<2>) -> Tensor<2> {
    let lengths = rows.clone().square().sum_dim(1).sqrt();
    rows / lengths
}

/// See the module's documentation.
#[derive(Debug)]
pub struct ClipFamily;

impl Family for ClipFamily {
    type Config = ClipConfig;
    type Model = Clip;
    const NAME: &'static str = "clip";
    const ABOUT: &'static str = "CLIP: texts and pictures in one space";
    const MODEL_TYPES: &'static [&'static str] = &["clip"];

    fn config(published: &PublishedConfig, _: &Checkpoint) -> Result<ClipConfig, CheckpointError> {
        let (text, image) = (published.section("text_config")?, published.section("vision_config")?);
        let end = text.table().get("eos_token_id").and_then(serde_json::Value::as_u64).unwrap_or(49_407);
        Ok(ClipConfig {
            n_vocab: text.size("vocab_size", 49_408)?,
            max_tokens: text.size("max_position_embeddings", 77)?,
            end_token: u32::try_from(end).ok().filter(|_| end != LEGACY_END),
            text: transformer(&text, [512, 12, 8, 2048], (1e-5, "quick_gelu"))?,
            patches: PatchConfig::read(&image, 224, 32)?,
            image: transformer(&image, [768, 12, 12, 3072], (1e-5, "quick_gelu"))?,
            d_embedding: published.size("projection_dim", 512)?,
        })
    }

    fn init(config: &ClipConfig, init: &mut Initializer) -> Result<Clip, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &ClipConfig) -> Mapping {
        let mut mapping = Mapping::new();
        mapping.ignore("*.position_ids");
        mapping.same("text.words.weight", "text_model.embeddings.token_embedding.weight");
        mapping.same("text.positions", "text_model.embeddings.position_embedding.weight");
        BlockNames::CLIP.declare(
            &mut mapping,
            "text.transformer",
            "text_model.encoder.layers",
            config.text.depth,
        );
        mapping.norm("text.transformer.norm", "text_model.final_layer_norm");
        mapping.linear_without_bias("text_projection", "text_projection");
        mapping.same("image.class", "vision_model.embeddings.class_embedding");
        mapping.same("image.positions", "vision_model.embeddings.position_embedding.weight");
        let kernel = Layout::Kernel(vec![config.patches.patch_side; 2]);
        mapping.tensor("image.projection.weight", "vision_model.embeddings.patch_embedding.weight", kernel);
        // spelt so in the published names
        mapping.norm("image.norm", "vision_model.pre_layrnorm");
        BlockNames::CLIP.declare(
            &mut mapping,
            "image.transformer",
            "vision_model.encoder.layers",
            config.image.depth,
        );
        mapping.norm("image.transformer.norm", "vision_model.post_layernorm");
        mapping.linear_without_bias("image_projection", "visual_projection");
        mapping.tensor("logit_scale", "logit_scale", Layout::Shaped(Vec::new()));
        mapping
    }

    fn n_vocab(config: &ClipConfig) -> Option<usize> {
        Some(config.n_vocab)
    }

    fn largest_sample(config: &ClipConfig) -> LargestSample {
        LargestSample {
            n_text_tokens: Some(config.max_tokens),
            image_side: Some(config.patches.side),
            sound_s: None,
        }
    }

    fn cost(config: &ClipConfig) -> CostTree {
        let d_embedding = config.d_embedding;
        let projection = |name: &str, d_model: usize| {
            CostTree::leaf(name, &[d_embedding], cost::linear(1, d_model, d_embedding, false))
        };
        let parts = vec![
            config.text_encoder().cost(config.n_vocab, config.max_tokens).named("text"),
            projection("text_projection", config.text.d_model),
            config.image_encoder().cost(config.patches.side).named("image"),
            projection("image_projection", config.image.d_model),
            CostTree::leaf("logit_scale", &[1], cost::table(1, 1)),
        ];
        CostTree::of(Self::NAME, &[d_embedding], parts)
    }

    fn check_preprocessing(config: &ClipConfig, settings: &PublishedConfig) -> Result<(), CheckpointError> {
        PictureSettings::read(settings, config.patches.side).map(|_| ())
    }
}
