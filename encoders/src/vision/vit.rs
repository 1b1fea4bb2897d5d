//! Vision transformer over the tokens of a patch projection or of a convolutional stem.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::input::ImageInput;
use crate::layers::convolution::{ConvolutionBlock, ConvolutionConfig, ResidualBlock};
use crate::layers::cost::{self, CostTree};
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
    /// 3×3 convolutions of stride 2, each halving the side, with residual blocks behind them, then a linear map
    /// (Xiao et al. 2021, "Early convolutions help transformers see better").
    Convolutions(Vec<StemStage>),
}

/// A stage of a convolutional stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StemStage {
    /// Channels that it gives.
    pub channels: usize,
    /// Residual blocks behind its convolution.
    #[serde(default)]
    pub blocks: usize,
}

impl VitConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self {
            stem: VisionStem::Convolutions(vec![
                StemStage { channels: 4, blocks: 0 },
                StemStage { channels: 8, blocks: 1 },
            ]),
            transformer: TransformerConfig::tiny(),
        }
    }

    /// Side of the square of pixels behind one token.
    pub fn patch_side(&self) -> usize {
        match &self.stem {
            VisionStem::Patch(side) => *side,
            VisionStem::Convolutions(stages) => 1 << stages.len(),
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
        if matches!(&self.stem, VisionStem::Convolutions(stages) if stages.iter().any(|stage| stage.channels == 0))
        {
            return Err(ConfigError::new(format!("a convolution needs channels, got {:?}", self.stem)));
        }
        let d_model = self.transformer.d_model;
        let mut stem = Vec::new();
        let d_patch = match &self.stem {
            VisionStem::Patch(side) => side * side * 3,
            VisionStem::Convolutions(stages) => {
                let mut channels_in = 3;
                for stage in stages {
                    stem.push(Stage {
                        halving: ConvolutionBlock::new(
                            &ConvolutionConfig::square([channels_in, stage.channels], 3, 2, 1),
                            init,
                        ),
                        blocks: (0..stage.blocks).map(|_| ResidualBlock::new(stage.channels, init)).collect(),
                    });
                    channels_in = stage.channels;
                }
                channels_in
            }
        };
        let n_tokens = (side / patch_side).pow(2);
        Ok(Vit {
            stem,
            projection: Linear::new(d_patch, d_model, init),
            positions: init.truncated_normal([n_tokens, d_model], 0.02),
            transformer: self.transformer.init(init)?,
            patch_side,
        })
    }

    /// What a picture of `side` pixels costs.
    pub fn cost(&self, side: usize) -> CostTree {
        let d_model = self.transformer.d_model;
        let (mut parts, mut d_patch) = (Vec::new(), 3);
        match &self.stem {
            VisionStem::Patch(side) => d_patch = side * side * 3,
            VisionStem::Convolutions(stages) => {
                for (stage_idx, &StemStage { channels, blocks }) in stages.iter().enumerate() {
                    let map_side = side >> (stage_idx + 1);
                    let (n, shape) = (map_side * map_side, [map_side, map_side, channels]);
                    let halving = cost::convolution(n, 9, [d_patch, channels]);
                    let residual = cost::convolution(n, 9, [channels, channels]) * (2 * blocks as u64);
                    parts.push(CostTree::leaf(&format!("stem.{stage_idx}"), &shape, halving + residual));
                    d_patch = channels;
                }
            }
        }
        let n_tokens = (side / self.patch_side().max(1)).pow(2);
        let shape = [n_tokens, d_model];
        parts.push(CostTree::leaf("projection", &shape, cost::linear(n_tokens, d_patch, d_model, true)));
        parts.push(CostTree::leaf("positions", &shape, cost::table(n_tokens, d_model)));
        parts.push(self.transformer.cost(n_tokens));
        CostTree::of("vit", &shape, parts)
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Vit {
    stem: Vec<Stage>,
    projection: Linear,
    positions: Param<Tensor<2>>,
    transformer: Transformer,
    patch_side: usize,
}

#[derive(Module, Debug)]
struct Stage {
    halving: ConvolutionBlock,
    blocks: Vec<ResidualBlock>,
}

impl Stage {
    /// `[batch, height, width, channels_in]` -> `[batch, height / 2, width / 2, channels]`
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(self.halving.forward(map), |map, block| block.forward(map))
    }
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
        let map = if self.stem.is_empty() {
            ops::unfold(pixels, [self.patch_side; 2], [self.patch_side; 2], [0, 0])
        } else {
            self.stem.iter().fold(pixels, |map, stage| stage.forward(map))
        };
        let [_, height, width, channels] = map.dims();
        let n_tokens = height * width;
        let [n_positions, _] = self.positions.dims();
        assert!(
            height == width && n_tokens == n_positions,
            "a picture of {height} x {width} tokens, expected a square of {n_positions}"
        );
        let tokens = self.projection.forward(map.reshape([batch, n_tokens, channels]));
        let tokens = self
            .transformer
            .forward(add_positions(tokens, &self.positions), &AttentionMask::bidirectional(None));
        let is_pad = Tensor::<2, Bool>::full([batch, n_tokens], false, &tokens.device());
        TokenSequence { tokens, is_pad, modality: Modality::Image }
    }
}
