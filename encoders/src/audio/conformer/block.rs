//! One block of a Conformer.

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::activation::sigmoid;

use super::attention::RelativeAttention;
use super::config::ConformerConfig;
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::depthwise::DepthwiseConvolution;
use crate::layers::feed_forward::{FeedForward, FeedForwardConfig};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::layers::ops::{self, Activation};

/// Half a feed-forward, attention, convolution, half a feed-forward, each added to what it reads, and a normalisation.
#[derive(Module, Debug)]
pub(super) struct Block {
    first_norm: Norm,
    first: FeedForward,
    attention_norm: Norm,
    attention: RelativeAttention,
    convolution: ConvolutionModule,
    second_norm: Norm,
    second: FeedForward,
    norm: Norm,
}

/// A gated map of each token, a depthwise convolution over time, a normalisation, SiLU, another map.
#[derive(Module, Debug)]
struct ConvolutionModule {
    norm: Norm,
    gated: Linear,
    depthwise: DepthwiseConvolution,
    depthwise_norm: Norm,
    out: Linear,
}

/// Four times as wide in between (section 2.3).
fn feed_forward(d_model: usize) -> FeedForwardConfig {
    let d_hidden = 4 * d_model;
    FeedForwardConfig { d_model, d_hidden, activation: Activation::Silu, is_gated: false, has_bias: true }
}

impl Block {
    pub(super) fn new(config: &ConformerConfig, init: &mut Initializer) -> Self {
        let ConformerConfig { d_model, n_heads, kernel, .. } = *config;
        let mut norm = || Norm::layer(d_model, init);
        let [first_norm, attention_norm, second_norm, last] = [norm(), norm(), norm(), norm()];
        Self {
            first_norm,
            first: feed_forward(d_model).init(init),
            attention_norm,
            attention: RelativeAttention::new(d_model, n_heads, init),
            convolution: ConvolutionModule::new(d_model, kernel, init),
            second_norm,
            second: feed_forward(d_model).init(init),
            norm: last,
        }
    }

    pub(super) fn cost(config: &ConformerConfig, n: usize) -> CostTree {
        let ConformerConfig { d_model, n_heads, kernel, .. } = *config;
        let shape = [n, d_model];
        let norm = cost::layer_norm(n, d_model);
        let before = |width: usize| Cost { kept: (n * width) as u64, ..Cost::default() };
        let feed_forward = norm
            + cost::linear(n, d_model, 4 * d_model, true)
            + before(4 * d_model)
            + cost::linear(n, 4 * d_model, d_model, true);
        // both halves of the gated map and the gate's logistic are kept
        let convolution = norm * 2
            + cost::linear(n, d_model, 2 * d_model, true)
            + before(3 * d_model)
            + DepthwiseConvolution::cost(n, kernel, d_model)
            + before(d_model)
            + cost::linear(n, d_model, d_model, true);
        let parts = vec![
            CostTree::leaf("feed_forwards", &shape, feed_forward * 2),
            CostTree::leaf("attention", &shape, norm + RelativeAttention::cost(n, d_model, n_heads)),
            CostTree::leaf("convolution", &shape, convolution),
            CostTree::leaf("norm", &shape, norm),
        ];
        CostTree::of("blocks", &shape, parts)
    }

    /// # Shapes
    /// `[batch, n_tokens, d_model]`, is_pad `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub(super) fn forward(&self, tokens: Tensor<3>, is_pad: &Tensor<2, Bool>) -> Tensor<3> {
        let half = |norm: &Norm, feed_forward: &FeedForward, tokens: Tensor<3>| {
            tokens.clone() + feed_forward.forward(norm.forward(tokens)) * 0.5
        };
        let tokens = half(&self.first_norm, &self.first, tokens);
        let attended = self.attention.forward(self.attention_norm.forward(tokens.clone()), is_pad);
        let tokens = tokens + attended;
        let tokens = self.convolution.forward(tokens.clone(), is_pad) + tokens;
        self.norm.forward(half(&self.second_norm, &self.second, tokens))
    }
}

impl ConvolutionModule {
    fn new(d_model: usize, kernel: usize, init: &mut Initializer) -> Self {
        Self {
            norm: Norm::layer(d_model, init),
            gated: Linear::new(d_model, 2 * d_model, init),
            depthwise: DepthwiseConvolution::new([kernel, 1], d_model, 1.0 / (kernel as f32).sqrt(), init),
            depthwise_norm: Norm::layer(d_model, init),
            out: Linear::new(d_model, d_model, init),
        }
    }

    /// `[batch, n_tokens, d_model]` -> the same
    fn forward(&self, tokens: Tensor<3>, is_pad: &Tensor<2, Bool>) -> Tensor<3> {
        let [batch, n_tokens, d_model] = tokens.dims();
        let doubled = self.gated.forward(self.norm.forward(tokens));
        let gate = sigmoid(doubled.clone().narrow(2, d_model, d_model));
        let hidden = is_pad.clone().reshape([batch, n_tokens, 1]).expand([batch, n_tokens, d_model]);
        // the convolution must not read over the end of a row
        let tokens = (doubled.narrow(2, 0, d_model) * gate).mask_fill(hidden, 0.0);
        let map = self.depthwise.forward(tokens.reshape([batch, n_tokens, 1, d_model]));
        let map = ops::activate(self.depthwise_norm.forward(map), Activation::Silu);
        self.out.forward(map.reshape([batch, n_tokens, d_model]))
    }
}
