//! Convolutions that keep the channels apart.

use burn::module::{Module, Param};
use burn::prelude::*;

use super::cost::{self, Cost};
use super::initializer::Initializer;
use super::ops;

/// A depthwise convolution of stride 1 that keeps the size of the map.
#[derive(Module, Debug)]
pub struct DepthwiseConvolution {
    /// `[kernel_height, kernel_width, channels]`
    weight: Param<Tensor<3>>,
    /// `[channels]`
    bias: Param<Tensor<1>>,
}

impl DepthwiseConvolution {
    /// Truncated normal weights of deviation `std`; the sides of the kernel, height and width, must be odd.
    pub fn new([height, width]: [usize; 2], channels: usize, std: f32, init: &mut Initializer) -> Self {
        Self {
            weight: init.truncated_normal([height, width, channels], std),
            bias: init.constant([channels], 0.0),
        }
    }

    /// What it costs at `n` places; its input is kept.
    pub fn cost(n: usize, n_taps: usize, channels: usize) -> Cost {
        let per_place =
            Cost { flops: 2 * (n_taps * channels) as u64, kept: channels as u64, ..Cost::default() };
        per_place * n as u64 + cost::table(n_taps + 1, channels)
    }

    /// # Shapes
    /// `[batch, height, width, channels]` -> the same
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let [height, width, _] = self.weight.dims();
        ops::depthwise_conv2d(map, self.weight.val(), self.bias.val(), [height / 2, width / 2])
    }
}
