//! Convolutions over channels-last maps, as matrix products over unfolded patches.

use burn::module::Module;
use burn::prelude::*;

use super::initializer::Initializer;
use super::linear::Linear;
use super::norm::Norm;
use super::ops::{self, Activation};

/// A convolution.
#[derive(Module, Debug)]
pub struct Convolution {
    /// `[kernel_height * kernel_width * channels_in, channels_out]`
    weight: Linear,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

/// Sizes of a [`Convolution`]; pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionConfig {
    /// Channels that it reads and gives.
    pub channels: [usize; 2],
    /// Size of the patches that it reads.
    pub kernel: [usize; 2],
    /// Steps between them.
    pub stride: [usize; 2],
    /// Zeros on both sides.
    pub padding: [usize; 2],
    /// Whether it adds a bias.
    pub has_bias: bool,
}

impl ConvolutionConfig {
    /// A convolution over time, for maps `[batch, n_frames, 1, channels]`.
    pub fn over_time(channels: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Self {
        Self { channels, kernel: [kernel, 1], stride: [stride, 1], padding: [padding, 0], has_bias: true }
    }

    /// A convolution with a square kernel.
    pub fn square(channels: [usize; 2], side: usize, stride: usize, padding: usize) -> Self {
        Self { channels, kernel: [side; 2], stride: [stride; 2], padding: [padding; 2], has_bias: true }
    }

    /// Random weights.
    pub fn init(&self, init: &mut Initializer) -> Convolution {
        let Self { channels: [channels_in, channels_out], kernel, stride, padding, has_bias } = *self;
        let d_patch = kernel[0] * kernel[1] * channels_in;
        Convolution {
            weight: Linear::with_bias(has_bias, d_patch, channels_out, init),
            kernel,
            stride,
            padding,
        }
    }
}

impl Convolution {
    /// # Shapes
    /// `[batch, height, width, channels_in]` -> `[batch, height_out, width_out, channels_out]`, with
    /// `height_out = (height + 2 * padding - kernel) / stride + 1`
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.weight.forward(ops::unfold(map, self.kernel, self.stride, self.padding))
    }
}

/// A convolution, a normalisation over the channels and a GELU.
#[derive(Module, Debug)]
pub struct ConvolutionBlock {
    convolution: Convolution,
    norm: Norm,
}

impl ConvolutionBlock {
    /// Random weights.
    pub fn new(config: &ConvolutionConfig, init: &mut Initializer) -> Self {
        Self { convolution: config.init(init), norm: Norm::layer(config.channels[1], init) }
    }

    /// # Shapes
    /// As [`Convolution::forward`].
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        ops::activate(self.norm.forward(self.convolution.forward(map)), Activation::Gelu)
    }
}

/// Two convolutions of 3×3 that add to what they read (He et al. 2016), with layer normalisation for batch
/// normalisation, so that a picture's features do not depend on its neighbours in the batch.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    first: ConvolutionBlock,
    second: ConvolutionBlock,
}

impl ResidualBlock {
    /// Keeps the number of channels and the size of the map.
    pub fn new(channels: usize, init: &mut Initializer) -> Self {
        let config = ConvolutionConfig::square([channels; 2], 3, 1, 1);
        let mut block = || ConvolutionBlock::new(&config, init);
        Self { first: block(), second: block() }
    }

    /// # Shapes
    /// `[batch, height, width, channels]` -> the same
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.second.forward(self.first.forward(map.clone())) + map
    }
}
