//! Vision transformer over the tokens of a patch projection or of a convolutional stem.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::input::ImageInput;
use crate::layers::convolution::ConvolutionBlock;
use crate::layers::embedding::add_positions;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops::{self, AttentionMask};
use crate::layers::transformer::{Transformer, TransformerConfig};
use crate::{ConfigError, Modality, TokenSequence};

/// Sizes of a [`Vit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// How pixels become tokens.
    pub stem: VisionStem,
    /// The blocks.
    pub transformer: TransformerConfig,
}

/// How pixels become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VisionStem {
    /// One linear map of each square of this many pixels a side (Dosovitskiy et al. 2021).
    Patch(usize),
    /// 3×3 convolutions of stride 2 with these channels, each halving the side, then a linear map
    /// (Xiao et al. 2021, "Early convolutions help transformers see better").
    Convolutions(Vec<usize>),
}

impl VitConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self {
            stem: VisionStem::Convolutions(vec![4, 8]),
            transformer: TransformerConfig { d_model: 16, depth: 2, n_heads: 2, mlp_ratio: 2 },
        }
    }

    /// Side of the square of pixels behind one token.
    pub fn patch_side(&self) -> usize {
        match &self.stem {
            VisionStem::Patch(side) => *side,
            VisionStem::Convolutions(channels) => 1 << channels.len(),
        }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, side: usize, init: &mut Initializer) -> Result<Vit, ConfigError> {
        let patch_side = self.patch_side();
        if patch_side == 0 || side == 0 || !side.is_multiple_of(patch_side) {
            return Err(ConfigError::new(format!(
                "the picture's side must be a multiple of the patch's, got side {side} and patch {patch_side}"
            )));
        }
        let d_model = self.transformer.d_model;
        let mut convolutions = Vec::new();
        let d_patch = match &self.stem {
            VisionStem::Patch(side) => side * side * 3,
            VisionStem::Convolutions(channels) => {
                let mut channels_in = 3;
                for &channels_out in channels {
                    let block =
                        ConvolutionBlock::new([channels_in, channels_out], [3, 3], [2, 2], [1, 1], init);
                    convolutions.push(block);
                    channels_in = channels_out;
                }
                channels_in
            }
        };
        let n_tokens = (side / patch_side).pow(2);
        Ok(Vit {
            convolutions,
            projection: Linear::new(d_patch, d_model, init),
            positions: init.truncated_normal([n_tokens, d_model], 0.02),
            transformer: self.transformer.init(init)?,
            patch_side,
        })
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Vit {
    convolutions: Vec<ConvolutionBlock>,
    projection: Linear,
    positions: Param<Tensor<2>>,
    transformer: Transformer,
    patch_side: usize,
}

impl Vit {
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_model]`, with
    /// `n_tokens = (height / patch_side) * (width / patch_side)`
    ///
    /// # Panics
    /// When the picture has another size than the encoder was made for.
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        let pixels = input.pixels.clone();
        let [batch, _, _, _] = pixels.dims();
        let map = if self.convolutions.is_empty() {
            ops::unfold(pixels, [self.patch_side; 2], [self.patch_side; 2], [0, 0])
        } else {
            self.convolutions.iter().fold(pixels, |map, block| block.forward(map))
        };
        let [_, height, width, channels] = map.dims();
        let n_tokens = height * width;
        let tokens = self.projection.forward(map.reshape([batch, n_tokens, channels]));
        let tokens = self.transformer.forward(
            add_positions(tokens, &self.positions),
            &AttentionMask::bidirectional(None),
        );
        let is_pad = Tensor::<2, Bool>::full([batch, n_tokens], false, &tokens.device());
        TokenSequence { tokens, is_pad, modality: Modality::Image }
    }
}
