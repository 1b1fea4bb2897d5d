//! Vision encoders.

mod vit;

use burn::module::Module;
use serde::{Deserialize, Serialize};
pub use vit::{StemStage, VisionStem, Vit, VitConfig};

use crate::input::ImageInput;
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;
use crate::{ConfigError, TokenSequence};

/// Which vision encoder, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VisionEncoderConfig {
    /// Vision transformer, over patches or behind a convolutional stem.
    Vit(VitConfig),
}

impl VisionEncoderConfig {
    /// One small configuration of every vision encoder, for tests and `triptych list`.
    pub fn registry() -> Vec<(&'static str, Self)> {
        vec![("vit", Self::Vit(VitConfig::tiny()))]
    }

    /// Width of the encoder's tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Vit(config) => config.transformer.d_model,
        }
    }

    /// Side of the square of pixels behind one token.
    pub fn patch_side(&self) -> usize {
        match self {
            Self::Vit(config) => config.patch_side(),
        }
    }

    /// What a picture of `side` pixels costs.
    pub fn cost(&self, side: usize) -> CostTree {
        match self {
            Self::Vit(config) => config.cost(side),
        }
    }

    /// Random weights for square pictures of `side` pixels.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, side: usize, init: &mut Initializer) -> Result<VisionEncoder, ConfigError> {
        match self {
            Self::Vit(config) => config.init(side, init).map(VisionEncoder::Vit),
        }
    }
}

/// A vision encoder with its weights.
#[derive(Module, Debug)]
pub enum VisionEncoder {
    /// Vision transformer.
    Vit(Vit),
}

impl VisionEncoder {
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_model]`, row by row of the picture
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        match self {
            Self::Vit(encoder) => encoder.forward(input),
        }
    }
}
