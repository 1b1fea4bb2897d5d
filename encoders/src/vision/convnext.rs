//! ConvNeXt: a convolutional network with the proportions of a transformer.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::Distribution;
use serde::{Deserialize, Serialize};

use super::{check_side, check_stages};
use crate::input::ImageInput;
use crate::layers::convolution::{Convolution, ConvolutionConfig};
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::depthwise::DepthwiseConvolution;
use crate::layers::feed_forward::{FeedForward, FeedForwardConfig};
use crate::layers::initializer::{Initializer, WeightDistribution};
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::{self, Activation};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Side of the squares that the stem maps.
const STEM_SIDE: usize = 4;
/// Side of a depthwise kernel.
const KERNEL: usize = 7;
/// The paper's, of every normalisation.
const EPSILON: f64 = 1e-6;
/// How weights start (the paper's appendix A.1).
const STD: f32 = 0.02;
/// Where the factors of what blocks add start (the same).
const LAYER_SCALE: f32 = 1e-6;

/// Sizes of a [`ConvNext`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNextConfig {
    /// Channels of each stage; each halves the map of the one before it.
    pub channels: Vec<usize>,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Probability that a picture skips the last block in training, growing to it linearly (Huang et al. 2016).
    #[serde(default)]
    pub drop_path: f64,
    /// Whether training keeps each block's input alone and computes the rest again in the backward pass (Chen et al. 2016).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint_blocks: bool,
}

/// See the module's documentation.
///
/// # Reference
/// Liu et al. 2022, "A ConvNet for the 2020s"; `transformers`' `ConvNextModel`.
///
/// # Differences from the reference
/// The last normalisation is over each place of the last map, which is a token; there over the mean of all.
#[derive(Module, Debug)]
pub struct ConvNext {
    stem: Convolution,
    stem_norm: Norm,
    stages: Vec<Stage>,
    norm: Norm,
    checkpoint_blocks: bool,
}

#[derive(Module, Debug)]
struct Stage {
    /// Not in the first.
    halving_norm: Option<Norm>,
    halving: Option<Convolution>,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    depthwise: DepthwiseConvolution,
    norm: Norm,
    feed_forward: FeedForward,
    scale: Param<Tensor<1>>,
    drop_path: f64,
}

impl Preset for ConvNextConfig {
    const PRESETS: &'static [&'static str] = &["tiny", "small", "base", "large", "xlarge"];

    /// The paper's, section 3.
    fn preset(name: &str) -> Option<Self> {
        let (first, third) = match name {
            "tiny" => (96, 9),
            "small" => (96, 27),
            "base" => (128, 27),
            "large" => (192, 27),
            "xlarge" => (256, 27),
            _ => return None,
        };
        let channels = [1, 2, 4, 8].map(|times| times * first).to_vec();
        Some(Self { channels, depths: vec![3, 3, third, 3], drop_path: 0.0, checkpoint_blocks: false })
    }
}

impl ConvNextConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { channels: vec![8, 16], depths: vec![1, 2], drop_path: 0.0, checkpoint_blocks: false }
    }

    /// Width of a token.
    pub fn d_model(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }

    /// Side of the square of pixels behind one token.
    pub fn patch_side(&self) -> usize {
        STEM_SIDE << self.channels.len().saturating_sub(1)
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, side: usize, init: &mut Initializer) -> Result<ConvNext, ConfigError> {
        check_stages("ConvNeXt", &self.channels, &self.depths)?;
        check_side(side, self.patch_side())?;
        if !(0.0..1.0).contains(&self.drop_path) {
            return Err(ConfigError::new(format!(
                "drop_path must be at least 0 and less than 1, got {}",
                self.drop_path
            )));
        }
        Ok(init.with_weights(WeightDistribution::TruncatedNormal(STD), |init| self.build(init)))
    }

    fn build(&self, init: &mut Initializer) -> ConvNext {
        let n_blocks = self.depths.iter().sum::<usize>();
        let norm =
            |channels: usize, init: &mut Initializer| Norm::new(NormKind::Layer, channels, EPSILON, init);
        let stem = ConvolutionConfig::square([3, self.channels[0]], STEM_SIDE, STEM_SIDE, 0).init(init);
        let stem_norm = norm(self.channels[0], init);
        let (mut stages, mut block_idx) = (Vec::with_capacity(self.depths.len()), 0);
        for (idx, (&channels, &depth)) in self.channels.iter().zip(&self.depths).enumerate() {
            let before = (idx > 0).then(|| self.channels[idx - 1]);
            let halving_norm = before.map(|before| norm(before, init));
            let halving =
                before.map(|before| ConvolutionConfig::square([before, channels], 2, 2, 0).init(init));
            let blocks = (0..depth).map(|_| {
                let drop_path = self.drop_path * block_idx as f64 / n_blocks.saturating_sub(1).max(1) as f64;
                block_idx += 1;
                Block::new(channels, drop_path, init)
            });
            stages.push(Stage { blocks: blocks.collect(), halving_norm, halving });
        }
        let norm = norm(self.d_model(), init);
        ConvNext { stem, stem_norm, stages, norm, checkpoint_blocks: self.checkpoint_blocks }
    }

    /// What a picture of `side` pixels costs.
    pub fn cost(&self, side: usize) -> CostTree {
        let mut map_side = side / STEM_SIDE;
        let first = self.channels.first().copied().unwrap_or(0);
        let n = map_side * map_side;
        let stem = cost::linear(n, STEM_SIDE * STEM_SIDE * 3, first, true) + cost::layer_norm(n, first);
        let mut parts = vec![CostTree::leaf("stem", &[map_side, map_side, first], stem)];
        let (mut blocks, mut places) = (Vec::new(), Vec::new());
        for (idx, (&channels, &depth)) in self.channels.iter().zip(&self.depths).enumerate() {
            if idx > 0 {
                let (n_before, before) = (map_side * map_side, self.channels[idx - 1]);
                map_side /= 2;
                let halving = cost::layer_norm(n_before, before)
                    + cost::linear(map_side * map_side, 4 * before, channels, true);
                let shape = [map_side, map_side, channels];
                parts.push(CostTree::leaf(&format!("stages.{idx}.halving"), &shape, halving));
            }
            let block = Block::cost(map_side * map_side, channels);
            let block =
                CostTree::leaf(&format!("stages.{idx}.blocks"), &[map_side, map_side, channels], block);
            blocks.push((block.repeated(depth), (map_side * map_side * channels) as u64));
            places.push(parts.len() + idx);
        }
        let blocks = match self.checkpoint_blocks {
            true => CostTree::each_checkpointed(blocks),
            false => blocks.into_iter().map(|(block, _)| block).collect(),
        };
        for (place, block) in places.into_iter().zip(blocks) {
            parts.insert(place, block);
        }
        let shape = [map_side * map_side, self.d_model()];
        parts.push(CostTree::leaf("norm", &shape, cost::layer_norm(shape[0], shape[1])));
        CostTree::of("convnext", &shape, parts)
    }
}

impl ConvNext {
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_model]`, row by row of the last map
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        let map = self.stem_norm.forward(self.stem.forward(input.pixels.clone()));
        let map = self.stages.iter().fold(map, |map, stage| stage.forward(map, self.checkpoint_blocks));
        let [batch, height, width, channels] = map.dims();
        let tokens = self.norm.forward(map.reshape([batch, height * width, channels]));
        TokenSequence::whole(tokens, Modality::Image)
    }
}

impl Stage {
    /// `[batch, height, width, channels_in]` -> `[batch, height / 2, width / 2, channels]`, the first as large as it was
    fn forward(&self, map: Tensor<4>, checkpoints: bool) -> Tensor<4> {
        let map = match (&self.halving_norm, &self.halving) {
            (Some(norm), Some(halving)) => halving.forward(norm.forward(map)),
            _ => map,
        };
        self.blocks.iter().fold(map, |map, block| match checkpoints {
            true => block.forward_checkpointed(map),
            false => block.forward(map.clone(), block.paths(&map)),
        })
    }
}

impl Block {
    fn new(channels: usize, drop_path: f64, init: &mut Initializer) -> Self {
        let feed_forward = FeedForwardConfig {
            d_model: channels,
            d_hidden: 4 * channels,
            activation: Activation::Gelu,
            is_gated: false,
            has_bias: true,
        };
        Self {
            depthwise: DepthwiseConvolution::new([KERNEL; 2], channels, STD, init),
            norm: Norm::new(NormKind::Layer, channels, EPSILON, init),
            feed_forward: feed_forward.init(init),
            scale: init.constant([channels], LAYER_SCALE),
            drop_path,
        }
    }

    fn cost(n: usize, channels: usize) -> Cost {
        let before_gelu = Cost { kept: (4 * n * channels) as u64, ..Cost::default() };
        let before_scale = Cost { kept: (n * channels) as u64, ..Cost::default() };
        DepthwiseConvolution::cost(n, KERNEL * KERNEL, channels)
            + cost::layer_norm(n, channels)
            + cost::linear(n, channels, 4 * channels, true)
            + before_gelu
            + cost::linear(n, 4 * channels, channels, true)
            + cost::table(1, channels)
            + before_scale
    }

    /// `[batch, 1, 1, 1]`, which pictures go through the block, by what they are then multiplied with; none where all do.
    fn paths(&self, map: &Tensor<4>) -> Option<Tensor<4>> {
        let device = map.device();
        if self.drop_path == 0.0 || !device.is_autodiff() {
            return None;
        }
        let keep = 1.0 - self.drop_path;
        let kept = Tensor::<4>::random([map.dims()[0], 1, 1, 1], Distribution::Bernoulli(keep), &device);
        Some(kept / keep)
    }

    /// `[batch, height, width, channels]` -> the same
    fn forward(&self, map: Tensor<4>, paths: Option<Tensor<4>>) -> Tensor<4> {
        let hidden = self.feed_forward.forward(self.norm.forward(self.depthwise.forward(map.clone())));
        let hidden = hidden * self.scale.val().unsqueeze::<4>();
        match paths {
            None => map + hidden,
            Some(paths) => map + hidden * paths,
        }
    }

    /// The same with the map alone kept for the backward pass.
    fn forward_checkpointed(&self, map: Tensor<4>) -> Tensor<4> {
        let paths = self.paths(&map).map(Tensor::without_autodiff);
        let [batch, height, width, channels] = map.dims();
        let shape = [batch, height * width, channels];
        let run = move |block: &Self, inputs: &[Tensor<3>]| {
            let map = inputs[0].clone().reshape([batch, height, width, channels]);
            block.forward(map, paths.clone()).reshape(shape)
        };
        ops::checkpointed(self, vec![map.reshape(shape)], run).reshape([batch, height, width, channels])
    }
}
