//! What a block needs to know beside its tokens.

use std::cell::RefCell;

use burn::prelude::*;
use burn::tensor::Distribution;

use super::Context;
use crate::layers::experts::{Experts, Kind, Routing};
use crate::layers::feed_forward::FeedForward;
use crate::layers::ops::{self, AttentionMask, Packing};
use crate::layers::rotary::Rotary;

/// Where the tokens stand, what they see, and which samples skip a block.
pub(super) struct Surroundings<'a> {
    pub(super) layout: Layout<'a>,
    /// Samples of the batch, and the device that they are on.
    pub(super) batch: usize,
    pub(super) n_tokens: usize,
    pub(super) device: Device,
    pub(super) rotary: Option<Rotary>,
    pub(super) context: Option<&'a Context>,
    /// Which tokens are of which kind, where experts tell them apart.
    pub(super) kinds: &'a [Kind],
    /// What the routers of the blocks did.
    pub(super) routings: RefCell<Vec<Routing>>,
}

/// How the tokens lie.
#[derive(Clone, Copy)]
pub(super) enum Layout<'a> {
    /// `[batch, n_tokens, d_model]`
    Padded(&'a AttentionMask),
    /// `[1, n_rows, d_model]`, without the padding.
    Packed(&'a Packing),
}

impl Surroundings<'_> {
    pub(super) fn attend(&self, qkv: Tensor<3>, n_heads: usize) -> Tensor<3> {
        match self.layout {
            Layout::Padded(mask) => ops::attention(qkv, n_heads, mask),
            Layout::Packed(packing) => ops::packed_attention(qkv, n_heads, packing),
        }
    }

    /// The feed-forward half of a block with experts.
    pub(super) fn through(&self, experts: &Experts, first: &FeedForward, tokens: Tensor<3>) -> Tensor<3> {
        let is_pad = match self.layout {
            Layout::Padded(mask) => mask.is_pad.as_ref(),
            Layout::Packed(_) => None,
        };
        let is_pad = is_pad.map(|is_pad| is_pad.to_data().iter::<bool>().collect());
        match experts.forward_routed(first, tokens.clone(), is_pad) {
            Some((tokens, routing)) => {
                self.routings.borrow_mut().push(routing);
                tokens
            }
            None => experts.forward_by_kind(first, tokens, self.kinds),
        }
    }

    /// Whether samples skip branches at this rate: in training alone.
    pub(super) fn drops(&self, rate: f64) -> bool {
        rate > 0.0 && self.device.is_autodiff()
    }

    /// What to multiply a branch by: 0 for samples that skip it, `1 / (1 - rate)` for the rest, so that the mean stays.
    ///
    /// # Shapes
    /// -> `[batch, 1, 1]`, or `[1, n_rows, 1]` of packed rows
    pub(super) fn dropped(&self, rate: f64) -> Option<Tensor<3>> {
        if !self.drops(rate) {
            return None;
        }
        let keep = 1.0 - rate;
        let draw = Distribution::Bernoulli(keep);
        let factor = Tensor::<3>::random([self.batch, 1, 1], draw, &self.device) / keep;
        Some(match self.layout {
            Layout::Padded(_) => factor,
            Layout::Packed(packing) => ops::pack(factor.repeat_dim(1, self.n_tokens), packing),
        })
    }
}
