//! Vision encoders.

mod convnext;
mod pooling;
mod positions;
mod resnet;
mod vit;

use burn::module::Module;
pub use convnext::{ConvNext, ConvNextConfig};
pub use pooling::{AttentionPooling, VisionPooling};
pub use resnet::{ResNet, ResNetConfig};
use serde::{Deserialize, Serialize};
pub use vit::{StemStage, VisionStem, Vit, VitConfig};

use crate::input::ImageInput;
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;
use crate::preset::table_or_name;
use crate::{ConfigError, TokenSequence};

/// Which vision encoder, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VisionEncoderConfig {
    /// Vision transformer, over patches or behind a convolutional stem.
    #[serde(deserialize_with = "table_or_name")]
    Vit(VitConfig),
    /// Convolutional network with the proportions of a transformer.
    #[serde(deserialize_with = "table_or_name", rename = "convnext")]
    ConvNext(ConvNextConfig),
    /// Residual network.
    #[serde(deserialize_with = "table_or_name", rename = "resnet")]
    ResNet(ResNetConfig),
}

impl VisionEncoderConfig {
    /// One small configuration of every vision encoder, for tests and `triptych list`.
    pub fn registry() -> Vec<(&'static str, Self)> {
        vec![
            ("vit", Self::Vit(VitConfig::tiny())),
            ("convnext", Self::ConvNext(ConvNextConfig::tiny())),
            ("resnet", Self::ResNet(ResNetConfig::tiny())),
        ]
    }

    /// Width of the encoder's tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Vit(config) => config.transformer.d_model,
            Self::ConvNext(config) => config.d_model(),
            Self::ResNet(config) => config.d_model(),
        }
    }

    /// Side of the square of pixels behind one token.
    pub fn patch_side(&self) -> usize {
        match self {
            Self::Vit(config) => config.patch_side(),
            Self::ConvNext(config) => config.patch_side(),
            Self::ResNet(config) => config.patch_side(),
        }
    }

    /// Whether training does without some of a picture's tokens.
    pub fn leaves_tokens_out(&self) -> bool {
        matches!(self, Self::Vit(config) if config.patch_dropout > 0.0)
    }

    /// Whether the encoder can read some of a picture's patches alone.
    pub fn reads_visible(&self) -> bool {
        matches!(self, Self::Vit(_))
    }

    /// What a picture of `side` pixels costs.
    pub fn cost(&self, side: usize) -> CostTree {
        match self {
            Self::Vit(config) => config.cost(side),
            Self::ConvNext(config) => config.cost(side),
            Self::ResNet(config) => config.cost(side),
        }
    }

    /// Random weights for square pictures of `side` pixels.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, side: usize, init: &mut Initializer) -> Result<VisionEncoder, ConfigError> {
        match self {
            Self::Vit(config) => config.init(side, init).map(VisionEncoder::Vit),
            Self::ConvNext(config) => config.init(side, init).map(VisionEncoder::ConvNext),
            Self::ResNet(config) => config.init(side, init).map(VisionEncoder::ResNet),
        }
    }
}

/// That the squares of pixels behind tokens divide a picture.
fn check_side(side: usize, patch_side: usize) -> Result<(), ConfigError> {
    if patch_side == 0 || side == 0 || !side.is_multiple_of(patch_side) {
        return Err(ConfigError::new(format!(
            "the picture's side must be a multiple of the patch's, got side {side} and patch {patch_side}"
        )));
    }
    Ok(())
}

/// Stages that follow one another; none is empty. A side of a token in pixels must be a number.
fn check_stages(what: &str, channels: &[usize], depths: &[usize]) -> Result<(), ConfigError> {
    let is_empty = channels.is_empty() || channels.contains(&0) || depths.contains(&0);
    if is_empty || channels.len() != depths.len() || channels.len() > 16 {
        return Err(ConfigError::new(format!(
            "{what} needs channels and blocks for each of 1 to 16 stages, got channels {channels:?} and depths {depths:?}"
        )));
    }
    Ok(())
}

/// A vision encoder with its weights.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum VisionEncoder {
    /// Vision transformer.
    Vit(Vit),
    /// Convolutional network with the proportions of a transformer.
    ConvNext(ConvNext),
    /// Residual network.
    ResNet(ResNet),
}

impl VisionEncoder {
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_model]`, row by row of the picture
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        match self {
            Self::Vit(encoder) => encoder.forward(input),
            Self::ConvNext(encoder) => encoder.forward(input),
            Self::ResNet(encoder) => encoder.forward(input),
        }
    }

    /// The tokens of some patches alone, the others being left out before the blocks; `None` of an encoder that cannot.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]`, of each picture as many patches -> `[batch, n_visible, d_model]`
    ///
    /// # Panics
    /// When the pictures have not as many visible patches each, at least one.
    pub fn forward_visible(&self, input: &ImageInput, visible: &[Vec<usize>]) -> Option<TokenSequence> {
        match self {
            Self::Vit(encoder) => Some(encoder.forward_visible(input, visible)),
            Self::ConvNext(_) | Self::ResNet(_) => None,
        }
    }
}
