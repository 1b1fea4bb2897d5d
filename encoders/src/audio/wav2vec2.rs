//! wav2vec 2.0's encoder: convolutions over a waveform, a transformer over their outputs.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::audio::SAMPLES_PER_FRAME;

use super::hidden_behind;
use super::waveform::{PositionConvolution, WaveformConvolutions, WaveformConvolutionsConfig, WaveformNorm};
use crate::input::{AudioInput, padding};
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::initializer::{Initializer, WeightDistribution};
use crate::layers::linear::Linear;
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::{Activation, AttentionMask};
use crate::layers::transformer::{BlockConfig, Transformer, TransformerConfig};
use crate::{ConfigError, Modality, Preset, TokenSequence};

/// Sizes of a [`Wav2vec2`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wav2vec2Config {
    /// Over the waveform.
    pub convolutions: WaveformConvolutionsConfig,
    /// Kernel and groups of the convolution that gives positions.
    pub position_kernel: usize,
    /// See there.
    pub position_groups: usize,
    /// The blocks; post-norm in the base size, pre-norm in the large one.
    pub transformer: TransformerConfig,
}

/// Convolutions over a waveform, and a transformer over their outputs.
///
/// # Reference
/// Baevski et al. 2020; `transformers`' `Wav2Vec2Model`.
#[derive(Module, Debug)]
pub struct Wav2vec2 {
    convolutions: WaveformConvolutions,
    norm: Norm,
    projection: Linear,
    mask: Option<Param<Tensor<1>>>,
    positions: PositionConvolution,
    /// Before post-norm blocks.
    first_norm: Option<Norm>,
    transformer: Transformer,
    #[module(skip)]
    config: WaveformConvolutionsConfig,
}

impl Preset for Wav2vec2Config {
    const PRESETS: &'static [&'static str] = &["base", "large"];

    /// The paper's, section 4.2, with the norms of its published code.
    fn preset(name: &str) -> Option<Self> {
        let ([d_model, depth], norm_first) = match name {
            "base" => ([768, 12], false),
            "large" => ([1024, 24], true),
            _ => return None,
        };
        let weights = WeightDistribution::TruncatedNormal(0.02);
        let block = BlockConfig { norm_first, weights, ..BlockConfig::default() };
        let kernels = [[10, 5], [3, 2], [3, 2], [3, 2], [3, 2], [2, 2], [2, 2]];
        Some(Self {
            convolutions: WaveformConvolutionsConfig {
                layers: kernels.map(|[kernel, stride]| [512, kernel, stride]).to_vec(),
                norm: if norm_first { WaveformNorm::EachOverChannels } else { WaveformNorm::FirstOverTime },
                has_bias: norm_first,
                activation: Activation::Gelu,
            },
            position_kernel: 128,
            position_groups: 16,
            transformer: TransformerConfig::new(d_model, depth, d_model / 64).with_block(block),
        })
    }
}

impl Wav2vec2Config {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self {
            convolutions: WaveformConvolutionsConfig {
                layers: vec![[4, 10, 8], [8, 9, 8], [8, 6, 5]],
                norm: WaveformNorm::FirstOverTime,
                has_bias: false,
                activation: Activation::Gelu,
            },
            position_kernel: 4,
            position_groups: 2,
            transformer: TransformerConfig::tiny()
                .with_block(BlockConfig { norm_first: false, ..BlockConfig::default() }),
        }
    }

    /// Frames of 10 ms behind one token.
    pub fn frames_per_token(&self) -> usize {
        let [stride, _] = self.convolutions.stride_and_width();
        stride / SAMPLES_PER_FRAME
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together, the sound is no waveform, or tokens do not begin with frames.
    pub fn init(&self, n_mels: usize, init: &mut Initializer) -> Result<Wav2vec2, ConfigError> {
        if n_mels != SAMPLES_PER_FRAME {
            return Err(ConfigError::new(format!(
                "wav2vec2 reads a waveform: expected frames of {SAMPLES_PER_FRAME} samples (features `waveform`, n_mels \
                 {SAMPLES_PER_FRAME}), got n_mels {n_mels}"
            )));
        }
        let layers = &self.convolutions.layers;
        if let Some([_, kernel, stride]) = layers.iter().find(|[_, kernel, stride]| kernel < stride) {
            return Err(ConfigError::new(format!(
                "a convolution over a waveform must read all of it: expected a kernel of at least the stride {stride}, \
                 got {kernel}"
            )));
        }
        let [stride, _] = self.convolutions.stride_and_width();
        if stride == 0 || !stride.is_multiple_of(SAMPLES_PER_FRAME) {
            return Err(ConfigError::new(format!(
                "the strides over a waveform must multiply to a multiple of {SAMPLES_PER_FRAME} samples, the 10 ms of a \
                 frame, got {stride}"
            )));
        }
        self.build(init)
    }

    /// The same for waveforms of any length.
    pub(crate) fn build(&self, init: &mut Initializer) -> Result<Wav2vec2, ConfigError> {
        let (d_model, block) = (self.transformer.d_model, &self.transformer.block);
        let convolutions = self.convolutions.init(init)?;
        let norm = |d: usize, init: &mut Initializer| Norm::new(NormKind::Layer, d, block.norm_epsilon, init);
        Ok(Wav2vec2 {
            convolutions,
            norm: norm(self.n_channels(), init),
            projection: Linear::new(self.n_channels(), d_model, init),
            mask: None,
            positions: PositionConvolution::new(d_model, self.position_kernel, self.position_groups, init)?,
            first_norm: (!block.norm_first).then(|| norm(d_model, init)),
            transformer: self.transformer.init(init)?,
            config: self.convolutions.clone(),
        })
    }

    fn n_channels(&self) -> usize {
        self.convolutions.layers.last().map_or(0, |&[channels, _, _]| channels)
    }

    /// What a sound of `n_frames` frames of 10 ms costs.
    pub fn cost(&self, n_frames: usize) -> CostTree {
        let d_model = self.transformer.d_model;
        let n_tokens = n_frames.div_ceil(self.frames_per_token().max(1));
        let (mut parts, mut n, mut channels_in) = (Vec::new(), self.convolutions.n_samples(n_tokens), 1);
        let WaveformConvolutionsConfig { layers, norm, has_bias, .. } = &self.convolutions;
        for (idx, &[channels, kernel, stride]) in layers.iter().enumerate() {
            n = n.saturating_sub(kernel) / stride.max(1) + 1;
            let before_activation = Cost { kept: (n * channels) as u64, ..Cost::default() };
            let mut cost = cost::linear(n, kernel * channels_in, channels, *has_bias) + before_activation;
            if idx == 0 || *norm == WaveformNorm::EachOverChannels {
                cost = cost + cost::layer_norm(n, channels);
            }
            parts.push(CostTree::leaf(&format!("convolutions.{idx}"), &[n, channels], cost));
            channels_in = channels;
        }
        let shape = [n_tokens, d_model];
        let norm = cost::layer_norm(n_tokens, d_model);
        parts.push(CostTree::leaf("norm", &[n_tokens, channels_in], cost::layer_norm(n_tokens, channels_in)));
        parts.push(CostTree::leaf("projection", &shape, cost::linear(n_tokens, channels_in, d_model, true)));
        // a group reads and gives its own channels alone
        let width = d_model / self.position_groups.max(1);
        let groups =
            cost::linear(n_tokens, self.position_kernel * width, width, true) * self.position_groups as u64;
        parts.push(CostTree::leaf("positions", &shape, groups));
        if !self.transformer.block.norm_first {
            parts.push(CostTree::leaf("first_norm", &shape, norm));
        }
        parts.push(self.transformer.cost(n_tokens));
        CostTree::of("wav2vec2", &shape, parts)
    }
}

impl Wav2vec2 {
    /// The same with the vector that stood for masked tokens in pre-training.
    #[must_use]
    pub fn with_mask(self, d_model: usize, init: &mut Initializer) -> Self {
        Self { mask: Some(init.truncated_normal([d_model], 0.02)), ..self }
    }

    /// The same without it.
    #[must_use]
    pub(crate) fn without_mask(self) -> Self {
        Self { mask: None, ..self }
    }

    /// As the published models were run: rows are filled up with zeros behind their `lengths` in samples. In a model whose
    /// first convolution is normalised over time the filling changes a row's outputs.
    ///
    /// # Shapes
    /// `[batch, n_samples]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When the waveform is shorter than the kernels.
    pub fn forward(&self, waveform: Tensor<2>, lengths: &[usize]) -> TokenSequence {
        let features = self.convolutions.forward(waveform, None);
        let n_tokens = features.dims()[1];
        let lengths = lengths.iter().map(|&n| self.config.n_tokens(n).min(n_tokens)).collect::<Vec<_>>();
        self.contextualised(features, &lengths)
    }

    /// Frames of a waveform, whatever stands behind a row's end: each token stands for a whole number of frames, and the
    /// last one hears silence behind the end. A normalisation over time is over what the row's tokens are made of.
    ///
    /// # Shapes
    /// `[batch, n_frames, samples_per_frame]` -> `[batch, n_tokens, d_model]`
    pub fn forward_frames(&self, input: &AudioInput) -> TokenSequence {
        let [batch, n_frames, per_frame] = input.frames.dims();
        let frames = input.frames.clone().reshape([batch, n_frames, 1, per_frame]);
        let waveform = hidden_behind(&input.lengths, frames).reshape([batch, n_frames * per_frame]);
        let [stride, _] = self.config.stride_and_width();
        let n_tokens = (n_frames * per_frame).div_ceil(stride);
        let n_missing = self.config.n_samples(n_tokens) - n_frames * per_frame;
        let waveform = match n_missing {
            0 => waveform,
            _ => {
                Tensor::cat(vec![waveform.clone(), Tensor::zeros([batch, n_missing], &waveform.device())], 1)
            }
        };
        let lengths = self.token_lengths(&input.lengths);
        let n_first =
            lengths.iter().map(|&n| self.config.n_first(self.config.n_samples(n))).collect::<Vec<_>>();
        self.contextualised(self.convolutions.forward(waveform, Some(&n_first)), &lengths)
    }

    /// Tokens that carry sound, of each row.
    pub fn token_lengths(&self, frame_lengths: &[usize]) -> Vec<usize> {
        let [stride, _] = self.config.stride_and_width();
        frame_lengths.iter().map(|length| (length * SAMPLES_PER_FRAME).div_ceil(stride)).collect()
    }

    /// `[batch, n_tokens, channels]` -> `[batch, n_tokens, d_model]`
    fn contextualised(&self, features: Tensor<3>, lengths: &[usize]) -> TokenSequence {
        let tokens = self.projection.forward(self.norm.forward(features));
        let [batch, n_tokens, d_model] = tokens.dims();
        let is_pad = padding(lengths, n_tokens, &tokens.device());
        // the convolution for positions reads over the end
        let hidden = is_pad.clone().reshape([batch, n_tokens, 1]).expand([batch, n_tokens, d_model]);
        let tokens = self.positions.forward(tokens.mask_fill(hidden, 0.0));
        let tokens = match &self.first_norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        TokenSequence::new(self.transformer.forward(tokens, &mask), is_pad, Modality::Audio)
    }
}
