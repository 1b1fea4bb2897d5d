//! Blocks whose insides are computed again in the backward pass.

use std::cell::RefCell;

use burn::prelude::*;

use super::Context;
use super::block::{Block, Paths};
use super::surroundings::{Layout, Surroundings};
use crate::layers::experts::Kind;
use crate::layers::ops::{AttentionMask, Packing, checkpointed};
use crate::layers::rotary::Rotary;

/// [`Surroundings`] that outlive the forward pass, outside any graph.
#[derive(Clone)]
struct Kept {
    layout: KeptLayout,
    batch: usize,
    n_tokens: usize,
    rotary: Option<Rotary>,
    context_is_pad: Option<Tensor<2, Bool>>,
    kinds: Vec<Kind>,
    paths: Paths,
}

#[derive(Clone)]
enum KeptLayout {
    Padded(Box<AttentionMask>),
    Packed(Packing),
}

impl Block {
    /// As [`Block::forward`], with the tokens and the context alone kept for the backward pass. Which samples skip the block
    /// is drawn here, once.
    pub(super) fn forward_checkpointed(&self, tokens: Tensor<3>, around: &Surroundings) -> Tensor<3> {
        let kept = Kept::of(around, self.draw_paths(around));
        let context = around.context.map(|context| context.tokens.clone());
        let inputs = std::iter::once(tokens).chain(context).collect();
        checkpointed(self, inputs, move |block, inputs| kept.forward(block, inputs))
    }
}

impl Kept {
    fn of(around: &Surroundings, paths: Paths) -> Self {
        let layout = match around.layout {
            Layout::Padded(mask) => {
                let is_pad = mask.is_pad.clone().map(Tensor::without_autodiff);
                KeptLayout::Padded(Box::new(AttentionMask { is_pad, n_prefix: mask.n_prefix }))
            }
            Layout::Packed(packing) => KeptLayout::Packed(packing.clone()),
        };
        let context_is_pad = around.context.and_then(|context| context.is_pad.clone());
        Self {
            layout,
            batch: around.batch,
            n_tokens: around.n_tokens,
            rotary: around.rotary.clone().map(|rotary| rotary.arranged(Tensor::without_autodiff)),
            context_is_pad: context_is_pad.map(Tensor::without_autodiff),
            kinds: around.kinds.to_vec(),
            paths: paths.map(|path| path.map(Tensor::without_autodiff)),
        }
    }

    fn forward(&self, block: &Block, inputs: &[Tensor<3>]) -> Tensor<3> {
        let context = inputs
            .get(1)
            .map(|tokens| Context { tokens: tokens.clone(), is_pad: self.context_is_pad.clone() });
        let around = Surroundings {
            layout: match &self.layout {
                KeptLayout::Padded(mask) => Layout::Padded(mask),
                KeptLayout::Packed(packing) => Layout::Packed(packing),
            },
            batch: self.batch,
            n_tokens: self.n_tokens,
            device: inputs[0].device(),
            rotary: self.rotary.clone(),
            context: context.as_ref(),
            kinds: &self.kinds,
            routings: RefCell::default(),
        };
        block.forward_on_paths(inputs[0].clone(), &around, None, &self.paths).0
    }
}
