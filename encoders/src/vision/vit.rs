//! Vision transformer over the tokens of a patch projection or of a convolutional stem.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::Distribution;
use serde::{Deserialize, Serialize};

use super::check_side;
use super::pooling::{AttentionPooling, VisionPooling};
use super::positions::interpolated;
use crate::input::ImageInput;
use crate::layers::convolution::{ConvolutionBlock, ConvolutionConfig, ResidualBlock};
use crate::layers::cost::{self, CostTree};
use crate::layers::initializer::{Initializer, WeightDistribution};
use crate::layers::linear::Linear;
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::{self, AttentionMask};
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Sizes of a [`Vit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// How pixels become tokens.
    pub stem: VisionStem,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// What stands for a picture as a whole; the mean of its tokens if left out.
    #[serde(default, skip_serializing_if = "VisionPooling::is_mean")]
    pub pooling: VisionPooling,
    /// Whether the map that makes tokens has a bias; CLIP's has none.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub projection_bias: bool,
    /// Whether tokens are normalised before the blocks, as CLIP's are.
    #[serde(default, skip_serializing_if = "is_no")]
    pub norm_tokens: bool,
    /// Share of a picture's tokens that training leaves out, others each time (Li et al. 2023, "Scaling language-image
    /// pre-training via masking"). They count as padding, so do not combine it with predicting masked patches.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub patch_dropout: f64,
}

fn is_zero(rate: &f64) -> bool {
    *rate == 0.0
}

fn yes() -> bool {
    true
}

fn is_yes(flag: &bool) -> bool {
    *flag
}

fn is_no(flag: &bool) -> bool {
    !*flag
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
            pooling: VisionPooling::default(),
            projection_bias: true,
            norm_tokens: false,
            patch_dropout: 0.0,
        }
    }

    /// A published one over patches.
    pub(crate) fn over_patches(
        patch_side: usize,
        transformer: TransformerConfig,
        pooling: VisionPooling,
    ) -> Self {
        Self { stem: VisionStem::Patch(patch_side), transformer, pooling, ..Self::tiny() }
    }

    /// A token that stands for the whole, or none.
    fn n_class(&self) -> usize {
        usize::from(self.pooling == VisionPooling::Class)
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
        check_side(side, patch_side)?;
        if !(0.0..1.0).contains(&self.patch_dropout) {
            return Err(ConfigError::new(format!(
                "patch_dropout must be at least 0 and less than 1, got {}",
                self.patch_dropout
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
            projection: Linear::with_bias(self.projection_bias, d_patch, d_model, init),
            positions: init.truncated_normal([self.n_class() + n_tokens, d_model], 0.02),
            norm: self
                .norm_tokens
                .then(|| Norm::new(NormKind::Layer, d_model, self.transformer.block.norm_epsilon, init)),
            transformer: self.transformer.init(init)?,
            class: (self.n_class() > 0).then(|| init.truncated_normal([d_model], 0.02)),
            pooling: (self.pooling == VisionPooling::Attention)
                .then(|| AttentionPooling::new(&self.transformer, init)),
            patch_side,
            patch_dropout: self.patch_dropout,
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
        let projection = cost::linear(n_tokens, d_patch, d_model, self.projection_bias);
        parts.push(CostTree::leaf("projection", &shape, projection));
        let n_class = self.n_class();
        parts.push(CostTree::leaf("positions", &shape, cost::table(n_class + n_tokens, d_model)));
        if self.norm_tokens {
            let norm = cost::layer_norm(n_class + n_tokens, d_model);
            parts.push(CostTree::leaf("norm", &shape, norm));
        }
        parts.push(self.transformer.cost(n_class + n_tokens));
        match self.pooling {
            VisionPooling::Mean => {}
            VisionPooling::Class => parts.push(CostTree::leaf("class", &[d_model], cost::table(1, d_model))),
            VisionPooling::Attention => {
                let pooling = AttentionPooling::cost(&self.transformer, n_tokens);
                parts.push(CostTree::leaf("pooling", &[d_model], pooling));
            }
        }
        CostTree::of("vit", &shape, parts)
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Vit {
    stem: Vec<Stage>,
    projection: Linear,
    positions: Param<Tensor<2>>,
    norm: Option<Norm>,
    transformer: Transformer,
    class: Option<Param<Tensor<1>>>,
    pooling: Option<AttentionPooling>,
    patch_side: usize,
    patch_dropout: f64,
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
    /// The same with a place for each patch of square pictures of `side` pixels: where there were more or fewer they are
    /// interpolated once.
    ///
    /// # Errors
    /// When patches do not divide the pictures.
    pub(crate) fn with_side(self, side: usize) -> Result<Self, ConfigError> {
        check_side(side, self.patch_side)?;
        let (positions, grid) = (self.positions.val(), side / self.patch_side);
        let n_class = usize::from(self.class.is_some());
        let n_places = positions.dims()[0] - n_class;
        if n_places == grid * grid {
            return Ok(self);
        }
        let places = positions.clone().narrow(0, n_class, n_places);
        let places = interpolated(places, [n_places.isqrt(); 2], [grid; 2]);
        let positions = match n_class {
            0 => places,
            _ => Tensor::cat(vec![positions.narrow(0, 0, n_class), places], 0),
        };
        Ok(Self { positions: Param::from_tensor(positions.detach()), ..self })
    }

    /// Positions are interpolated where the picture has another size than the encoder was made for.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_model]`, with
    /// `n_tokens = (height / patch_side) * (width / patch_side)`
    ///
    /// # Panics
    /// When the patches do not divide the picture.
    pub fn forward(&self, input: &ImageInput) -> TokenSequence {
        let tokens = self.embedded(input);
        let [batch, n_placed, _] = tokens.dims();
        let n_class = usize::from(self.class.is_some());
        let n_tokens = n_placed - n_class;
        let is_pad = self.left_out([batch, n_tokens], &tokens.device());
        let mask = is_pad.clone().map(|is_pad| match n_class {
            0 => is_pad,
            _ => Tensor::cat(vec![Tensor::full([batch, n_class], false, &is_pad.device()), is_pad], 1),
        });
        let tokens = self.transformer.forward(tokens, &AttentionMask::bidirectional(mask));
        let class = (n_class > 0).then(|| tokens.clone().narrow(1, 0, 1).squeeze_dim::<2>(1));
        let tokens = if n_class > 0 { tokens.narrow(1, n_class, n_tokens) } else { tokens };
        let pooled = self.pooling.as_ref().map(|pooling| pooling.forward(tokens.clone(), is_pad.clone()));
        let sequence = match is_pad {
            Some(is_pad) => TokenSequence::new(tokens, is_pad, Modality::Image),
            None => TokenSequence::whole(tokens, Modality::Image),
        };
        TokenSequence { summary: class.or(pooled), ..sequence }
    }

    /// The class token where there is one, and every patch behind it, row by row.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_class + n_tokens, d_model]`
    ///
    /// # Panics
    /// When the patches do not divide the picture.
    pub(crate) fn hidden(&self, input: &ImageInput) -> Tensor<3> {
        self.transformer.forward(self.embedded(input), &AttentionMask::bidirectional(None))
    }

    /// The tokens of some patches alone: the others are not there at all, and what the stem of theirs could tell of them is the
    /// caller's to blank.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]`, of each picture as many patches -> `[batch, n_visible, d_model]`, in their order
    ///
    /// # Reference
    /// He et al. 2022 (MAE), section 3, "MAE encoder".
    ///
    /// # Panics
    /// When the patches do not divide the picture, or the pictures have not as many visible ones each, at least one.
    pub fn forward_visible(&self, input: &ImageInput, visible: &[Vec<usize>]) -> TokenSequence {
        let tokens = self.embedded(input);
        let [batch, n_placed, d_model] = tokens.dims();
        let n_class = usize::from(self.class.is_some());
        let n_visible = visible.first().map_or(0, Vec::len);
        assert!(
            n_visible > 0 && visible.len() == batch && visible.iter().all(|places| places.len() == n_visible),
            "as many visible patches of every picture"
        );
        let rows = visible.iter().enumerate().flat_map(|(row, places)| {
            let kept = (0..n_class).chain(places.iter().map(move |place| n_class + place));
            kept.map(move |place| (row * n_placed + place) as i64)
        });
        let rows = rows.collect::<Vec<_>>();
        let n_kept = n_class + n_visible;
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch * n_kept]), &tokens.device());
        let tokens = tokens.reshape([batch * n_placed, d_model]).select(0, rows);
        let tokens = tokens.reshape([batch, n_kept, d_model]);
        let tokens = self.transformer.forward(tokens, &AttentionMask::bidirectional(None));
        TokenSequence::whole(tokens.narrow(1, n_class, n_visible), Modality::Image)
    }

    /// Pixels through the stem, with positions, and the class token in front where there is one, normalised where they are.
    fn embedded(&self, input: &ImageInput) -> Tensor<3> {
        let pixels = input.pixels.clone();
        let ([batch, height, width, _], patch_side) = (pixels.dims(), self.patch_side);
        assert!(
            height.is_multiple_of(patch_side) && width.is_multiple_of(patch_side),
            "a picture of {height} x {width} pixels, expected multiples of the patch's side {patch_side}"
        );
        let map = if self.stem.is_empty() {
            ops::unfold(pixels, [patch_side; 2], [patch_side; 2], [0, 0])
        } else {
            self.stem.iter().fold(pixels, |map, stage| stage.forward(map))
        };
        let [_, rows, columns, channels] = map.dims();
        let tokens = self.projection.forward(map.reshape([batch, rows * columns, channels]));
        let tokens = self.placed(tokens, [rows, columns]);
        match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }

    /// Adds positions, and the class token where there is one, in front.
    fn placed(&self, tokens: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let [batch, _, d_model] = tokens.dims();
        let positions = self.positions.val();
        let n_class = usize::from(self.class.is_some());
        let n_places = positions.dims()[0] - n_class;
        let places =
            interpolated(positions.clone().narrow(0, n_class, n_places), [n_places.isqrt(); 2], grid);
        let tokens = tokens + places.unsqueeze::<3>();
        let Some(class) = &self.class else { return tokens };
        let class = class.val().unsqueeze::<2>() + positions.narrow(0, 0, n_class);
        Tensor::cat(vec![class.reshape([1, 1, d_model]).repeat_dim(0, batch), tokens], 1)
    }

    /// The tokens that this step does without, in training: as many of each picture, at least one less than all.
    ///
    /// # Shapes
    /// -> `[batch, n_tokens]`, true = left out
    fn left_out(&self, [batch, n_tokens]: [usize; 2], device: &Device) -> Option<Tensor<2, Bool>> {
        let n_dropped = (self.patch_dropout * n_tokens as f64).round() as usize;
        let n_dropped = n_dropped.min(n_tokens.saturating_sub(1));
        if n_dropped == 0 || !device.is_autodiff() {
            return None;
        }
        let draws = Tensor::<2>::random([batch, n_tokens], Distribution::Uniform(0.0, 1.0), device);
        let draws = draws.into_data().iter::<f32>().collect::<Vec<_>>();
        let mut left_out = vec![false; batch * n_tokens];
        for (draws, left_out) in draws.chunks_exact(n_tokens).zip(left_out.chunks_exact_mut(n_tokens)) {
            let mut order: Vec<usize> = (0..n_tokens).collect();
            order.sort_by(|&a, &b| draws[a].total_cmp(&draws[b]));
            order[..n_dropped].iter().for_each(|&token| left_out[token] = true);
        }
        Some(Tensor::from_data(TensorData::new(left_out, [batch, n_tokens]), device))
    }
}

impl Preset for VitConfig {
    const PRESETS: &'static [&'static str] =
        &["Ti/16", "S/16", "S/32", "B/16", "B/32", "L/14", "L/16", "H/14"];

    /// `B`, `L` and `H` of Dosovitskiy et al. 2021, table 1; `Ti` and `S` of Touvron et al. 2021, "Training data-efficient
    /// image transformers", table 1; with a class token.
    fn preset(name: &str) -> Option<Self> {
        Self::PRESETS.iter().find(|known| **known == name)?;
        let (size, side) = name.split_once('/')?;
        let [d_model, depth, n_heads] = match size {
            "Ti" => [192, 12, 3],
            "S" => [384, 12, 6],
            "B" => [768, 12, 12],
            "L" => [1024, 24, 16],
            "H" => [1280, 32, 16],
            _ => return None,
        };
        let weights = WeightDistribution::TruncatedNormal(0.02);
        let block = BlockConfig { norm_epsilon: 1e-6, weights, ..BlockConfig::default() };
        Some(Self {
            stem: VisionStem::Patch(side.parse().ok()?),
            transformer: TransformerConfig::new(d_model, depth, n_heads).with_block(block),
            pooling: VisionPooling::Class,
            projection_bias: true,
            norm_tokens: false,
            patch_dropout: 0.0,
        })
    }
}
