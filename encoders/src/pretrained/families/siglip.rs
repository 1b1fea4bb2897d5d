//! SigLIP: texts and pictures in one space, trained pair by pair.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::blocks::{BlockNames, transformer};
use super::clip::unit;
use super::patches::PatchConfig;
use super::{Family, LargestSample};
use crate::layers::cost::{self, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops::AttentionMask;
use crate::layers::transformer::TransformerConfig;
use crate::pretrained::mapping::{Layout, Mapping, Part};
use crate::pretrained::preprocessing::PictureSettings;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};
use crate::text::{TextTransformer, TextTransformerConfig};
use crate::vision::{VisionPooling, Vit, VitConfig};
use crate::{ConfigError, ImageInput, TextInput};

/// Sizes of a [`Siglip`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiglipConfig {
    /// Token ids.
    pub n_vocab: usize,
    /// Length of every text in tokens: shorter ones are filled up, and the filling is read too.
    pub n_tokens: usize,
    /// The blocks over a text.
    pub text: TransformerConfig,
    /// Width of the space that both are mapped to, which is that of a picture's tokens.
    pub d_embedding: usize,
    /// Pictures and their patches.
    pub patches: PatchConfig,
    /// The blocks over a picture.
    pub image: TransformerConfig,
}

/// Bidirectional transformers over text and over patches; a learned query pools the patches.
///
/// # Reference
/// Zhai et al. 2023; `transformers`' `SiglipModel`.
#[derive(Module, Debug)]
pub struct Siglip {
    pub(crate) text: TextTransformer,
    text_head: Linear,
    pub(crate) image: Vit,
    /// `[1]`, the logarithm of what similarities are multiplied by.
    logit_scale: Param<Tensor<1>>,
    /// `[1]`, added behind that.
    logit_bias: Param<Tensor<1>>,
}

impl SiglipConfig {
    /// The sizes of the tower over texts.
    pub fn text_encoder(&self) -> TextTransformerConfig {
        TextTransformerConfig { max_tokens: self.n_tokens, marks: None, transformer: self.text.clone() }
    }

    /// The sizes of the tower over pictures.
    pub fn image_encoder(&self) -> VitConfig {
        VitConfig::over_patches(self.patches.patch_side, self.image.clone(), VisionPooling::Attention)
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<Siglip, ConfigError> {
        let (d_text, d_image) = (self.text.d_model, self.image.d_model);
        if self.d_embedding != d_image {
            return Err(ConfigError::new(format!(
                "SigLIP's texts must be mapped to the width {d_image} of its pictures, got d_embedding {}",
                self.d_embedding
            )));
        }
        Ok(Siglip {
            text: self.text_encoder().init(self.n_vocab, init)?,
            text_head: Linear::new(d_text, self.d_embedding, init),
            image: self.image_encoder().init(self.patches.side, init)?,
            // the paper's start
            logit_scale: init.constant([1], 10.0_f32.ln()),
            logit_bias: init.constant([1], -10.0),
        })
    }
}

impl Siglip {
    /// Texts as vectors of length 1. Every token is read, also what fills a text up.
    ///
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, d_embedding]`
    ///
    /// # Panics
    /// When a text is longer than the model's.
    pub fn embed_text(&self, input: &TextInput) -> Tensor<2> {
        let tokens = self.text.encode(input.ids.clone(), &AttentionMask::bidirectional(None));
        let [_, n_tokens, _] = tokens.dims();
        unit(self.text_head.forward(tokens.narrow(1, n_tokens - 1, 1).squeeze_dim::<2>(1)))
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
        unit(self.image.forward(input).pooled())
    }

    /// How well each text fits each picture; the logistic function of it is the probability that they are a pair.
    ///
    /// # Shapes
    /// `[n_texts, d_embedding]`, `[n_images, d_embedding]` -> `[n_texts, n_images]`
    pub fn logits(&self, texts: Tensor<2>, images: Tensor<2>) -> Tensor<2> {
        let scale = self.logit_scale.val().exp().unsqueeze::<2>();
        texts.matmul(images.transpose()) * scale + self.logit_bias.val().unsqueeze::<2>()
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct SiglipFamily;

impl Family for SiglipFamily {
    type Config = SiglipConfig;
    type Model = Siglip;
    const NAME: &'static str = "siglip";
    const ABOUT: &'static str = "SigLIP: texts and pictures in one space";
    const MODEL_TYPES: &'static [&'static str] = &["siglip"];

    fn config(published: &PublishedConfig, _: &Checkpoint) -> Result<SiglipConfig, CheckpointError> {
        const BASE: [usize; 4] = [768, 12, 12, 3072];
        let (text, image) = (published.section("text_config")?, published.section("vision_config")?);
        image.only("vision_use_head", true)?;
        let text_blocks = transformer(&text, BASE, (1e-6, "gelu_pytorch_tanh"))?;
        let image_blocks = transformer(&image, BASE, (1e-6, "gelu_pytorch_tanh"))?;
        let d_embedding = text.size("projection_size", text_blocks.d_model)?;
        if d_embedding != image_blocks.d_model {
            let expected = format!("{}, the `hidden_size` of pictures", image_blocks.d_model);
            return Err(text.wrong("projection_size", &expected, &d_embedding.to_string()));
        }
        Ok(SiglipConfig {
            n_vocab: text.size("vocab_size", 32_000)?,
            n_tokens: text.size("max_position_embeddings", 64)?,
            text: text_blocks,
            d_embedding,
            patches: PatchConfig::read(&image, 224, 16)?,
            image: image_blocks,
        })
    }

    fn init(config: &SiglipConfig, init: &mut Initializer) -> Result<Siglip, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &SiglipConfig) -> Mapping {
        let mut mapping = Mapping::new();
        mapping.ignore("*.position_ids");
        mapping.same("text.embedding.weight", "text_model.embeddings.token_embedding.weight");
        mapping.same("text.positions", "text_model.embeddings.position_embedding.weight");
        BlockNames::CLIP.declare(
            &mut mapping,
            "text.transformer",
            "text_model.encoder.layers",
            config.text.depth,
        );
        mapping.norm("text.transformer.norm", "text_model.final_layer_norm");
        mapping.linear("text_head", "text_model.head");
        mapping.same("image.positions", "vision_model.embeddings.position_embedding.weight");
        let side = config.patches.patch_side;
        mapping.convolution("image.projection", "vision_model.embeddings.patch_embedding", &[side, side]);
        BlockNames::CLIP.declare(
            &mut mapping,
            "image.transformer",
            "vision_model.encoder.layers",
            config.image.depth,
        );
        mapping.norm("image.transformer.norm", "vision_model.post_layernorm");
        let probe = Layout::Shaped(vec![1, 1, config.image.d_model]);
        mapping.tensor("image.pooling.probe", "vision_model.head.probe", probe);
        for (ours, shares) in [("image.pooling.query", 0..1), ("image.pooling.key_value", 1..3)] {
            for (parameter, published, layout) in
                [("weight", "in_proj_weight", Layout::Transposed), ("bias", "in_proj_bias", Layout::Same)]
            {
                let published = format!("vision_model.head.attention.{published}");
                let share = Part::Share { published, layout, shares: shares.clone(), of: 3 };
                mapping.parts(format!("{ours}.{parameter}"), [share]);
            }
        }
        mapping.linear("image.pooling.out", "vision_model.head.attention.out_proj");
        mapping.norm("image.pooling.norm", "vision_model.head.layernorm");
        mapping.linear("image.pooling.feed_forward.up", "vision_model.head.mlp.fc1");
        mapping.linear("image.pooling.feed_forward.down", "vision_model.head.mlp.fc2");
        mapping.same("logit_scale", "logit_scale");
        mapping.same("logit_bias", "logit_bias");
        mapping
    }

    fn n_vocab(config: &SiglipConfig) -> Option<usize> {
        Some(config.n_vocab)
    }

    fn largest_sample(config: &SiglipConfig) -> LargestSample {
        LargestSample {
            n_text_tokens: Some(config.n_tokens),
            image_side: Some(config.patches.side),
            sound_s: None,
        }
    }

    fn cost(config: &SiglipConfig) -> CostTree {
        let d_embedding = config.d_embedding;
        let head = cost::linear(1, config.text.d_model, d_embedding, true);
        let parts = vec![
            config.text_encoder().cost(config.n_vocab, config.n_tokens).named("text"),
            CostTree::leaf("text_head", &[d_embedding], head),
            config.image_encoder().cost(config.patches.side).named("image"),
            CostTree::leaf("logit_scale", &[1], cost::table(1, 1)),
            CostTree::leaf("logit_bias", &[1], cost::table(1, 1)),
        ];
        CostTree::of(Self::NAME, &[d_embedding], parts)
    }

    fn check_preprocessing(config: &SiglipConfig, settings: &PublishedConfig) -> Result<(), CheckpointError> {
        PictureSettings::read(settings, config.patches.side).map(|_| ())
    }
}
