//! Convolutions over channels-last maps, as matrix products over unfolded patches.

use burn::module::Module;
use burn::prelude::*;

use super::initializer::Initializer;
use super::linear::{LayerNorm, Linear};
use super::ops;

/// A convolution, a normalisation over the channels and a GELU.
#[derive(Module, Debug)]
pub struct ConvolutionBlock {
    /// `[kernel_height * kernel_width * channels_in, channels_out]`
    weight: Linear,
    norm: LayerNorm,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl ConvolutionBlock {
    /// Glorot-uniform weights; `kernel`, `stride` and `padding` are height and width.
    pub fn new(
        channels: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        init: &mut Initializer,
    ) -> Self {
        let [channels_in, channels_out] = channels;
        Self {
            weight: Linear::new(kernel[0] * kernel[1] * channels_in, channels_out, init),
            norm: LayerNorm::new(channels_out, init),
            kernel,
            stride,
            padding,
        }
    }

    /// # Shapes
    /// `[batch, height, width, channels_in]` -> `[batch, height_out, width_out, channels_out]`, with
    /// `height_out = (height + 2 * padding - kernel) / stride + 1`
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let patches = ops::unfold(map, self.kernel, self.stride, self.padding);
        ops::gelu(self.norm.forward(self.weight.forward(patches)))
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
        let mut block = || ConvolutionBlock::new([channels, channels], [3, 3], [1, 1], [1, 1], init);
        Self { first: block(), second: block() }
    }

    /// # Shapes
    /// `[batch, height, width, channels]` -> the same
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.second.forward(self.first.forward(map.clone())) + map
    }
}
