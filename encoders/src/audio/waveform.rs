//! The convolutions of wav2vec 2.0: a waveform to a sequence, and positions from the sequence itself.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::hidden_behind;
use crate::ConfigError;
use crate::layers::convolution::{Convolution, ConvolutionConfig};
use crate::layers::initializer::Initializer;
use crate::layers::norm::{Norm, NormKind};
use crate::layers::ops::{self, Activation};

/// Sizes of [`WaveformConvolutions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveformConvolutionsConfig {
    /// Channels, kernel and stride of each convolution.
    pub layers: Vec<[usize; 3]>,
    /// How their outputs are normalised.
    pub norm: WaveformNorm,
    /// Whether they add a bias.
    pub has_bias: bool,
    /// The non-linearity behind each.
    pub activation: Activation,
}

/// How the outputs of the convolutions are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveformNorm {
    /// Those of the first, each channel over time.
    FirstOverTime,
    /// Those of each, over the channels.
    EachOverChannels,
}

/// Strided convolutions over a waveform.
#[derive(Module, Debug)]
pub struct WaveformConvolutions {
    layers: Vec<Convolution>,
    norms: Vec<Norm>,
    #[module(skip)]
    norm: WaveformNorm,
    #[module(skip)]
    activation: Activation,
}

impl WaveformConvolutionsConfig {
    /// Random weights.
    ///
    /// # Errors
    /// When there is no layer, or one of no size.
    pub fn init(&self, init: &mut Initializer) -> Result<WaveformConvolutions, ConfigError> {
        if self.layers.is_empty() || self.layers.iter().flatten().any(|&size| size == 0) {
            return Err(ConfigError::new(format!("a waveform needs convolutions, got {:?}", self.layers)));
        }
        let mut channels_in = 1;
        let mut layers = Vec::with_capacity(self.layers.len());
        for &[channels, kernel, stride] in &self.layers {
            let config = ConvolutionConfig::over_time([channels_in, channels], kernel, stride, 0);
            layers.push(ConvolutionConfig { has_bias: self.has_bias, ..config }.init(init));
            channels_in = channels;
        }
        let n_norms = match self.norm {
            WaveformNorm::FirstOverTime => 1,
            WaveformNorm::EachOverChannels => self.layers.len(),
        };
        let norms = self.layers[..n_norms]
            .iter()
            .map(|&[channels, _, _]| Norm::new(NormKind::Layer, channels, Norm::EPSILON, init));
        Ok(WaveformConvolutions {
            norms: norms.collect(),
            layers,
            norm: self.norm,
            activation: self.activation,
        })
    }

    /// Samples from one token to the next, and samples that a token is made of.
    pub fn stride_and_width(&self) -> [usize; 2] {
        self.layers.iter().fold([1, 1], |[stride, width], &[_, kernel, step]| {
            [stride * step, width + kernel.saturating_sub(1) * stride]
        })
    }

    /// Samples that `n_tokens` are made of.
    pub fn n_samples(&self, n_tokens: usize) -> usize {
        let [stride, width] = self.stride_and_width();
        (n_tokens * stride + width).saturating_sub(stride)
    }

    /// Outputs of the first convolution over a waveform of `n_samples`.
    pub(super) fn n_first(&self, n_samples: usize) -> usize {
        let Some(&[_, kernel, stride]) = self.layers.first() else { return 0 };
        n_samples.checked_sub(kernel).map_or(0, |rest| rest / stride.max(1) + 1)
    }

    /// Tokens of a waveform of `n_samples`.
    pub fn n_tokens(&self, n_samples: usize) -> usize {
        self.layers.iter().fold(n_samples, |n, &[_, kernel, stride]| match n.checked_sub(kernel) {
            Some(rest) => rest / stride.max(1) + 1,
            None => 0,
        })
    }
}

impl WaveformConvolutions {
    /// A normalisation over time is over the first `n_first` outputs of the first convolution, of each row, where they are
    /// given, and over all otherwise.
    ///
    /// # Shapes
    /// `[batch, n_samples]` -> `[batch, n_tokens, channels]`
    ///
    /// # Panics
    /// When the waveform is shorter than the kernels.
    pub(super) fn forward(&self, waveform: Tensor<2>, n_first: Option<&[usize]>) -> Tensor<3> {
        let [batch, n_samples] = waveform.dims();
        let mut map = waveform.reshape([batch, n_samples, 1, 1]);
        for (idx, layer) in self.layers.iter().enumerate() {
            map = layer.forward(map);
            map = match (self.norm, self.norms.get(idx)) {
                (WaveformNorm::EachOverChannels, Some(norm)) => norm.forward(map),
                (WaveformNorm::FirstOverTime, Some(norm)) => over_time(map, norm, n_first),
                (_, None) => map,
            };
            map = ops::activate(map, self.activation);
        }
        let [_, n_tokens, _, channels] = map.dims();
        map.reshape([batch, n_tokens, channels])
    }
}

/// Each channel to mean 0 and variance 1 over the first `lengths` places of each row, or over all, then scaled and
/// shifted: group normalisation of one channel a group (Wu and He 2018).
fn over_time(map: Tensor<4>, norm: &Norm, lengths: Option<&[usize]>) -> Tensor<4> {
    let [batch, n, _, channels] = map.dims();
    let mean = |map: Tensor<4>| match lengths {
        None => map.mean_dim(1),
        Some(lengths) => {
            let counts = lengths.iter().map(|&length| length.clamp(1, n) as f32).collect::<Vec<_>>();
            let counts = Tensor::from_data(TensorData::new(counts, [batch, 1, 1, 1]), &map.device());
            hidden_behind(lengths, map).sum_dim(1) / counts
        }
    };
    let centred = map.clone() - mean(map);
    let variance = mean(centred.clone().square());
    let scaled = centred / (variance + Norm::EPSILON).sqrt() * norm.gamma.val().reshape([1, 1, 1, channels]);
    match &norm.beta {
        Some(beta) => scaled + beta.val().reshape([1, 1, 1, channels]),
        None => scaled,
    }
}

/// Positions by a convolution over the tokens in groups of channels, added to them.
#[derive(Module, Debug)]
pub struct PositionConvolution {
    /// `[n_groups, kernel * d_in_group, d_in_group]`
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
    kernel: usize,
}

impl PositionConvolution {
    /// Random weights.
    ///
    /// # Errors
    /// When the groups do not divide the width.
    pub(super) fn new(
        d_model: usize,
        kernel: usize,
        n_groups: usize,
        init: &mut Initializer,
    ) -> Result<Self, ConfigError> {
        if n_groups == 0 || kernel == 0 || !d_model.is_multiple_of(n_groups) {
            let got = format!("{n_groups} groups, kernel {kernel}, width {d_model}");
            return Err(ConfigError::new(format!("groups of channels must divide the width, got {got}")));
        }
        let width = d_model / n_groups;
        // the paper's reference: deviation sqrt(4 / (kernel * d_model))
        let deviation = (4.0 / (kernel * d_model) as f32).sqrt();
        Ok(Self {
            weight: init.truncated_normal([n_groups, kernel * width, width], deviation),
            bias: init.constant([d_model], 0.0),
            kernel,
        })
    }

    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    pub(super) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, n_tokens, d_model] = tokens.dims();
        let weight = self.weight.val();
        let [n_groups, d_patch, width] = weight.dims();
        let map = tokens.clone().reshape([batch, n_tokens, 1, d_model]);
        // an even kernel gives one too many at the end
        let patches = ops::unfold(map, [self.kernel, 1], [1, 1], [self.kernel / 2, 0]).narrow(1, 0, n_tokens);
        // [n_groups, batch * n_tokens, kernel * width]
        let patches = patches
            .reshape([batch * n_tokens, self.kernel, n_groups, width])
            .permute([2, 0, 1, 3])
            .reshape([n_groups, batch * n_tokens, d_patch]);
        let positions = patches.matmul(weight).permute([1, 0, 2]).reshape([batch, n_tokens, d_model]);
        let positions = positions + self.bias.val().unsqueeze::<3>();
        tokens + ops::activate(positions, Activation::Gelu)
    }
}
