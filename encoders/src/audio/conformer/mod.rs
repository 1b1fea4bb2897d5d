//! The Conformer: a transformer whose blocks convolve too.

mod attention;
mod block;
mod config;

use block::Block;
use burn::module::Module;
use burn::prelude::*;
pub use config::ConformerConfig;

use super::hidden_behind;
use crate::input::{AudioInput, padding};
use crate::layers::convolution::Convolution;
use crate::layers::linear::Linear;
use crate::layers::ops::{self, Activation};
use crate::{Modality, TokenSequence};

/// Of the stem's convolutions, over time and bands.
const STEM_KERNEL: usize = 3;
const STEM_STRIDE: usize = 2;

/// Two convolutions over time and bands, each halving both, and Conformer blocks.
///
/// # Reference
/// Gulati et al. 2020, sections 2.1 to 2.4.
///
/// # Differences from the reference
/// A layer normalisation stands behind the depthwise convolution in place of batch normalisation, so that a sound's
/// features do not depend on its neighbours in the batch; no dropout.
#[derive(Module, Debug)]
pub struct Conformer {
    first: Convolution,
    second: Convolution,
    projection: Linear,
    blocks: Vec<Block>,
    checkpoint_blocks: bool,
}

impl Conformer {
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_frames / 4, d_model]`, rounded up
    pub fn forward(&self, input: &AudioInput) -> TokenSequence {
        let [batch, n_frames, n_mels] = input.frames.dims();
        let device = input.frames.device();
        let mut lengths = input.lengths.clone();
        let mut map = hidden_behind(&lengths, input.frames.clone().reshape([batch, n_frames, n_mels, 1]));
        for convolution in [&self.first, &self.second] {
            map = ops::activate(convolution.forward(map), Activation::Relu);
            lengths = lengths.iter().map(|length| length.div_ceil(STEM_STRIDE)).collect();
            map = hidden_behind(&lengths, map);
        }
        let [_, n_tokens, n_bands, channels] = map.dims();
        let tokens = self.projection.forward(map.reshape([batch, n_tokens, n_bands * channels]));
        let is_pad = padding(&lengths, n_tokens, &device);
        let step = |tokens: Tensor<3>, block: &Block| {
            if !self.checkpoint_blocks {
                return block.forward(tokens, &is_pad);
            }
            let is_pad = is_pad.clone().without_autodiff();
            ops::checkpointed(block, vec![tokens], move |block, inputs| {
                block.forward(inputs[0].clone(), &is_pad)
            })
        };
        let tokens = self.blocks.iter().fold(tokens, step);
        TokenSequence::new(tokens, is_pad, Modality::Audio)
    }

    /// Tokens that carry sound, of each row.
    pub fn token_lengths(&self, frame_lengths: &[usize]) -> Vec<usize> {
        frame_lengths.iter().map(|length| length.div_ceil(ConformerConfig::FRAMES_PER_TOKEN)).collect()
    }
}
