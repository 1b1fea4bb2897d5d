//! ResNet: convolutions that add to what they read.

use burn::module::Module;
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::{check_side, check_stages};
use crate::input::ImageInput;
use crate::layers::convolution::{Convolution, ConvolutionConfig};
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::map_norm::{MapNorm, MapNormKind};
use crate::layers::ops::{self, Activation};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// How much wider a bottleneck's output is than its inside.
const EXPANSION: usize = 4;

/// Sizes of a [`ResNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels inside the blocks of each stage; each stage halves the map of the one before it.
    pub channels: Vec<usize>,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Whether a block is a 1×1, a 3×3 and a 1×1 convolution that gives four times the channels, or two of 3×3.
    #[serde(default)]
    pub is_bottleneck: bool,
    /// What stands behind each convolution; groups of 32 if left out.
    #[serde(default = "groups_of_32")]
    pub norm: MapNormKind,
    /// Whether training keeps each block's input alone and computes the rest again in the backward pass (Chen et al. 2016).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint_blocks: bool,
}

fn groups_of_32() -> MapNormKind {
    MapNormKind::Group(32)
}

/// See the module's documentation.
///
/// # Reference
/// He et al. 2016, with the stride of a bottleneck in its 3×3 convolution as torchvision's `ResNet` has it.
///
/// # Differences from the reference
/// Batch normalisation would make a picture's features depend on its neighbours: group normalisation (Wu and He 2018)
/// stands for it in training from nothing, frozen statistics in weights that were trained with it. No classifier: the
/// places of the last map are the tokens.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: Normalised,
    blocks: Vec<Block>,
    checkpoint_blocks: bool,
}

/// A convolution and a normalisation.
#[derive(Module, Debug)]
struct Normalised {
    convolution: Convolution,
    norm: MapNorm,
}

#[derive(Module, Debug)]
struct Block {
    convolutions: Vec<Normalised>,
    /// Where channels or sides change.
    shortcut: Option<Normalised>,
}

/// One convolution of a block, and its shortcut's.
struct BlockPlan {
    convolutions: Vec<ConvolutionConfig>,
    shortcut: Option<ConvolutionConfig>,
}

impl Preset for ResNetConfig {
    const PRESETS: &'static [&'static str] = &["18", "34", "50", "101", "152"];

    /// The paper's, table 1.
    fn preset(name: &str) -> Option<Self> {
        let (depths, is_bottleneck) = match name {
            "18" => ([2, 2, 2, 2], false),
            "34" => ([3, 4, 6, 3], false),
            "50" => ([3, 4, 6, 3], true),
            "101" => ([3, 4, 23, 3], true),
            "152" => ([3, 8, 36, 3], true),
            _ => return None,
        };
        let channels = vec![64, 128, 256, 512];
        Some(Self {
            channels,
            depths: depths.to_vec(),
            is_bottleneck,
            norm: groups_of_32(),
            checkpoint_blocks: false,
        })
    }
}

impl ResNetConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self {
            channels: vec![4, 8],
            depths: vec![1, 2],
            is_bottleneck: false,
            norm: MapNormKind::Group(2),
            checkpoint_blocks: false,
        }
    }

    fn width(&self, channels: usize) -> usize {
        if self.is_bottleneck { EXPANSION * channels } else { channels }
    }

    /// Width of a token.
    pub fn d_model(&self) -> usize {
        self.channels.last().map_or(0, |&channels| self.width(channels))
    }

    /// Side of the square of pixels behind one token.
    pub fn patch_side(&self) -> usize {
        // the stem's convolution and its pooling halve too
        4 << self.channels.len().saturating_sub(1)
    }

    fn stem(&self) -> ConvolutionConfig {
        let channels = self.channels.first().copied().unwrap_or(0);
        ConvolutionConfig { has_bias: false, ..ConvolutionConfig::square([3, channels], 7, 2, 3) }
    }

    fn blocks(&self) -> Vec<BlockPlan> {
        let convolution = |channels: [usize; 2], side: usize, stride: usize| ConvolutionConfig {
            has_bias: false,
            ..ConvolutionConfig::square(channels, side, stride, side / 2)
        };
        let mut read = self.channels.first().copied().unwrap_or(0);
        let mut plans = Vec::new();
        for (stage_idx, (&inside, &depth)) in self.channels.iter().zip(&self.depths).enumerate() {
            for block_idx in 0..depth {
                let stride = if stage_idx > 0 && block_idx == 0 { 2 } else { 1 };
                let given = self.width(inside);
                let convolutions = if self.is_bottleneck {
                    vec![
                        convolution([read, inside], 1, 1),
                        convolution([inside, inside], 3, stride),
                        convolution([inside, given], 1, 1),
                    ]
                } else {
                    vec![convolution([read, inside], 3, stride), convolution([inside, inside], 3, 1)]
                };
                let changes = stride > 1 || read != given;
                let shortcut = changes.then(|| convolution([read, given], 1, stride));
                plans.push(BlockPlan { convolutions, shortcut });
                read = given;
            }
        }
        plans
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, side: usize, init: &mut Initializer) -> Result<ResNet, ConfigError> {
        check_stages("ResNet", &self.channels, &self.depths)?;
        check_side(side, self.patch_side())?;
        if let MapNormKind::Group(n_groups) = self.norm
            && let Some(channels) =
                self.channels.iter().find(|channels| n_groups == 0 || !channels.is_multiple_of(n_groups))
        {
            return Err(ConfigError::new(format!(
                "groups of channels must divide a stage's, got {n_groups} groups and {channels} channels"
            )));
        }
        let normalised = |config: &ConvolutionConfig, init: &mut Initializer| Normalised {
            convolution: config.init(init),
            norm: MapNorm::new(self.norm, config.channels[1], init),
        };
        let stem = normalised(&self.stem(), init);
        let blocks = self.blocks().into_iter().map(|plan| Block {
            convolutions: plan.convolutions.iter().map(|config| normalised(config, init)).collect(),
            shortcut: plan.shortcut.map(|config| normalised(&config, init)),
        });
        Ok(ResNet { blocks: blocks.collect(), stem, checkpoint_blocks: self.checkpoint_blocks })
    }

    /// What a picture of `side` pixels costs.
    pub fn cost(&self, side: usize) -> CostTree {
        let mut map_side = side / 2;
        let stem = self.stem();
        let stem_cost = normalised_cost(&stem, map_side);
        let mut parts = vec![CostTree::leaf("stem", &[map_side, map_side, stem.channels[1]], stem_cost)];
        map_side /= 2;
        let mut blocks = Vec::new();
        let mut n_input = (map_side * map_side * stem.channels[1]) as u64;
        for (idx, plan) in self.blocks().iter().enumerate() {
            let mut sum = Cost::default();
            let (mut inner_side, mut given) = (map_side, 0);
            for config in &plan.convolutions {
                inner_side /= config.stride[0];
                given = config.channels[1];
                sum = sum + normalised_cost(config, inner_side);
            }
            map_side = inner_side;
            if let Some(shortcut) = &plan.shortcut {
                sum = sum + normalised_cost(shortcut, map_side);
            }
            let block = CostTree::leaf(&format!("blocks.{idx}"), &[map_side, map_side, given], sum);
            blocks.push((block, n_input));
            n_input = (map_side * map_side * given) as u64;
        }
        parts.extend(match self.checkpoint_blocks {
            true => CostTree::each_checkpointed(blocks),
            false => blocks.into_iter().map(|(block, _)| block).collect(),
        });
        CostTree::of("resnet", &[map_side * map_side, self.d_model()], parts)
    }
}

/// Its patches, the map before the normalisation and that before the rectifier are kept.
fn normalised_cost(config: &ConvolutionConfig, side: usize) -> Cost {
    let ([channels_in, channels], n_taps) = (config.channels, config.kernel[0] * config.kernel[1]);
    let n = side * side;
    let kept = Cost { kept: (2 * n * channels) as u64, ..Cost::default() };
    cost::linear(n, n_taps * channels_in, channels, false) + cost::table(2, channels) + kept
}

impl ResNet {
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_model]`, row by row of the last map
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        let map = ops::activate(self.stem.forward(input.pixels.clone()), Activation::Relu);
        let map = self.blocks.iter().fold(pooled(map), |map, block| match self.checkpoint_blocks {
            true => block.forward_checkpointed(map),
            false => block.forward(map),
        });
        let [batch, height, width, channels] = map.dims();
        TokenSequence::whole(map.reshape([batch, height * width, channels]), Modality::Image)
    }
}

/// The greatest of each 3×3 places, of every second. What is rectified is nowhere less than the zeros around it.
///
/// # Shapes
/// `[batch, height, width, channels]` -> `[batch, height / 2, width / 2, channels]`
fn pooled(map: Tensor<4>) -> Tensor<4> {
    let channels = map.dims()[3];
    let windows = ops::unfold(map, [3, 3], [2, 2], [1, 1]);
    let [batch, height, width, _] = windows.dims();
    windows.reshape([batch, height, width, 9, channels]).max_dim(3).reshape([batch, height, width, channels])
}

impl Normalised {
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.convolution.forward(map))
    }
}

impl Block {
    /// `[batch, height, width, channels_in]` -> `[batch, height / stride, width / stride, channels]`
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let added = match &self.shortcut {
            Some(shortcut) => shortcut.forward(map.clone()),
            None => map.clone(),
        };
        let convolved = self.convolutions.iter().enumerate().fold(map, |map, (idx, convolution)| {
            let map = if idx > 0 { ops::activate(map, Activation::Relu) } else { map };
            convolution.forward(map)
        });
        ops::activate(convolved + added, Activation::Relu)
    }

    /// The same with the map alone kept for the backward pass.
    fn forward_checkpointed(&self, map: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = map.dims();
        let run = move |block: &Self, inputs: &[Tensor<3>]| {
            let map = block.forward(inputs[0].clone().reshape([batch, height, width, channels]));
            let [batch, height, width, channels] = map.dims();
            map.reshape([batch, height * width, channels])
        };
        let places = ops::checkpointed(self, vec![map.reshape([batch, height * width, channels])], run);
        let [_, n_places, channels] = places.dims();
        // a block halves both sides or none
        let is_halved = n_places < height * width;
        let [height, width] = [height, width].map(|side| if is_halved { side.div_ceil(2) } else { side });
        places.reshape([batch, height, width, channels])
    }
}
