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

    /// What to multiply a branch by in training: 0 for samples that skip it, `1 / (1 - rate)` for the rest, so that the mean
    /// stays.
    ///
    /// # Shapes
    /// -> `[batch, 1, 1]`, or `[1, n_rows, 1]` of packed rows
    pub(super) fn dropped(&self, rate: f64) -> Option<Tensor<3>> {
        if rate == 0.0 || !self.device.is_autodiff() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(rate: f64, device: &Device) -> Option<Vec<f32>> {
        let mask = AttentionMask::bidirectional(None);
        let around = Surroundings {
            layout: Layout::Padded(&mask),
            batch: 20_000,
            n_tokens: 1,
            device: device.clone(),
            rotary: None,
            context: None,
            kinds: &[],
            routings: RefCell::default(),
        };
        around.dropped(rate).map(|factor| factor.into_data().iter::<f32>().collect())
    }

    #[test]
    fn dropped_branches_keep_their_mean_and_nothing_is_dropped_outside_training() {
        let training = Device::flex().autodiff();
        for rate in [0.1, 0.5, 0.8] {
            let factors = factors(rate, &training).expect("in training");
            let kept = (1.0 / (1.0 - rate)) as f32;
            assert!(factors.iter().all(|&factor| factor == 0.0 || (factor - kept).abs() < 1e-6), "{rate}");
            let mean = factors.iter().sum::<f32>() / factors.len() as f32;
            // five deviations of a mean of 20,000 draws
            let far = 5.0 * (rate / (1.0 - rate) / 20_000.0).sqrt() as f32;
            assert!((mean - 1.0).abs() < far, "{rate}: mean {mean}");
        }
        assert!(factors(0.0, &training).is_none());
        assert!(factors(0.5, &Device::flex()).is_none());
    }
}
