//! The one transformer of the project: blocks of multi-head attention and feed-forward, pre-norm unless they are told
//! otherwise, with a cache of keys and values for decoding.

mod block;
mod checkpoint;
mod config;
mod cross;
mod surroundings;
mod woven;

use std::cell::RefCell;

use block::Block;
use burn::module::Module;
use burn::prelude::*;
pub use config::{BlockConfig, TransformerConfig};
use surroundings::{Layout, Surroundings};
pub use woven::BlockKeys;

use super::experts::{Kind, Routing};
use super::norm::Norm;
use super::ops::{self, AttentionMask, Packing};
use super::rotary::Rotary;

/// Blocks, and a last normalisation where they are pre-norm.
#[derive(Module, Debug)]
pub struct Transformer {
    blocks: Vec<Block>,
    norm: Option<Norm>,
    d_head: usize,
    rotary_base: Option<f64>,
    has_experts: bool,
    checkpoint_blocks: bool,
}

/// Another sequence that every block attends to.
#[derive(Clone, Debug)]
pub struct Context {
    /// `[batch, n_context, d_context]`
    pub tokens: Tensor<3>,
    /// `[batch, n_context]`, true = ignore
    pub is_pad: Option<Tensor<2, Bool>>,
}

/// Keys and values that decoding has computed so far.
#[derive(Clone, Debug)]
pub struct KeyValueCache {
    /// One tensor a block: `[batch, n_tokens, 2 * n_key_heads * d_head]`.
    blocks: Vec<Tensor<3>>,
    /// The context's, one tensor a block: `[batch, n_context, 2 * d_model]`.
    context_keys: Vec<Tensor<3>>,
    context: Option<Context>,
}

impl Transformer {
    /// What stands where there is padding is of no meaning.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    ///
    /// # Panics
    /// When the blocks were made to attend to another sequence, or have experts for kinds of tokens.
    pub fn forward(&self, tokens: Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
        self.forward_among(tokens, mask, &[]).0
    }

    /// The same with the tokens' kinds, which follow each other, for blocks with experts; and what their routers did.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    pub fn forward_among(
        &self,
        tokens: Tensor<3>,
        mask: &AttentionMask,
        kinds: &[Kind],
    ) -> (Tensor<3>, Option<Routing>) {
        let (mut tapped, routing) = self.forward_tapped(tokens, mask, kinds, &[]);
        (tapped.pop().expect("the last output is always there"), routing)
    }

    /// The same with what the first `n` blocks give for every `n` of `depths`, in rising order and normalised as the output
    /// is, which comes last; 0 gives the input. Depths beyond the last block are left out.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> as many of the same as there are depths, and one
    pub fn forward_tapped(
        &self,
        tokens: Tensor<3>,
        mask: &AttentionMask,
        kinds: &[Kind],
        depths: &[usize],
    ) -> (Vec<Tensor<3>>, Option<Routing>) {
        if self.has_experts {
            let around = self.around(&tokens, Layout::Padded(mask), None, kinds, 0);
            let tapped = self.run_tapped(tokens, &around, depths);
            return (tapped, Routing::mean(around.routings.into_inner()));
        }
        let Some(packing) = Packing::of(&tokens, mask) else {
            let around = self.around(&tokens, Layout::Padded(mask), None, &[], 0);
            return (self.run_tapped(tokens, &around, depths), None);
        };
        let around = self.around(&tokens, Layout::Packed(&packing), None, &[], 0);
        let tapped = self.run_tapped(ops::pack(tokens, &packing), &around, depths);
        (tapped.into_iter().map(|tokens| ops::unpack(tokens, &packing)).collect(), None)
    }

    /// The same with every block attending to `context` too.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    pub fn forward_attending(&self, tokens: Tensor<3>, mask: &AttentionMask, context: &Context) -> Tensor<3> {
        let around = self.around(&tokens, Layout::Padded(mask), Some(context), &[], 0);
        self.run(tokens, &around)
    }

    fn run(&self, tokens: Tensor<3>, around: &Surroundings) -> Tensor<3> {
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| self.step(block, tokens, around));
        self.finish(tokens)
    }

    fn run_tapped(&self, tokens: Tensor<3>, around: &Surroundings, depths: &[usize]) -> Vec<Tensor<3>> {
        let (mut tokens, mut tapped) = (tokens, Vec::with_capacity(depths.len() + 1));
        for (n_before, block) in self.blocks.iter().enumerate() {
            if depths.contains(&n_before) {
                tapped.push(self.finish(tokens.clone()));
            }
            tokens = self.step(block, tokens, around);
        }
        tapped.push(self.finish(tokens));
        tapped
    }

    fn step(&self, block: &Block, tokens: Tensor<3>, around: &Surroundings) -> Tensor<3> {
        match self.checkpoint_blocks {
            true => block.forward_checkpointed(tokens, around),
            false => block.forward(tokens, around),
        }
    }

    fn around<'a>(
        &self,
        tokens: &Tensor<3>,
        layout: Layout<'a>,
        context: Option<&'a Context>,
        kinds: &'a [Kind],
        start: usize,
    ) -> Surroundings<'a> {
        let ([batch, n_tokens, _], device) = (tokens.dims(), tokens.device());
        let rotary = self.rotary_base.map(|base| {
            let rotary = Rotary::new(base, self.d_head, start, n_tokens, &device);
            match layout {
                Layout::Padded(_) => rotary,
                Layout::Packed(packing) => {
                    rotary.arranged(|table| ops::pack(table.repeat_dim(0, batch), packing))
                }
            }
        });
        Surroundings { layout, batch, n_tokens, device, rotary, context, kinds, routings: RefCell::default() }
    }

    /// Runs the tokens that decoding starts behind, and keeps their keys and values.
    ///
    /// # Shapes
    /// `[batch, n_prefix, d_model]`, of which `mask` hides the padding
    pub fn prefill(
        &self,
        prefix: Tensor<3>,
        mask: &AttentionMask,
        context: Option<Context>,
        kinds: &[Kind],
    ) -> (Tensor<3>, KeyValueCache) {
        let mut tokens = prefix;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let context_keys: Vec<_> = match &context {
            Some(context) => {
                self.blocks.iter().filter_map(|block| block.context_keys(&context.tokens)).collect()
            }
            None => Vec::new(),
        };
        let around = self.around(&tokens, Layout::Padded(mask), context.as_ref(), kinds, 0);
        for (idx, block) in self.blocks.iter().enumerate() {
            let (next, key_value) = block.forward_keeping_keys(tokens, &around, context_keys.get(idx));
            tokens = next;
            blocks.push(key_value);
        }
        (self.finish(tokens), KeyValueCache { blocks, context_keys, context })
    }

    /// Runs one more token a row behind everything in the cache, and adds it there. To experts for kinds of tokens it is
    /// of the first kind: what is decoded is text.
    ///
    /// # Shapes
    /// `token` is `[batch, 1, d_model]`; `is_pad` `[batch, n_cached + 1]` covers the cache and the token.
    pub fn forward_cached(
        &self,
        token: Tensor<3>,
        is_pad: Option<&Tensor<2, Bool>>,
        cache: &mut KeyValueCache,
    ) -> Tensor<3> {
        let mut token = token;
        let KeyValueCache { blocks, context_keys, context } = cache;
        let n_cached = blocks.first().map_or(0, |keys| keys.dims()[1]);
        let mask = AttentionMask::bidirectional(None);
        let around = self.around(&token, Layout::Padded(&mask), context.as_ref(), &[(0, 0..1)], n_cached);
        for (idx, (block, key_value)) in self.blocks.iter().zip(blocks).enumerate() {
            token = block.forward_cached(token, is_pad, key_value, &around, context_keys.get(idx));
        }
        self.finish(token)
    }
}

impl KeyValueCache {
    /// Keeps the rows `rows` of the batch, in that order; a row may be taken more than once (beam search).
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let take =
            |keys: &[Tensor<3>]| keys.iter().map(|keys| keys.clone().select(0, rows.clone())).collect();
        Self {
            blocks: take(&self.blocks),
            context_keys: take(&self.context_keys),
            context: self.context.as_ref().map(|context| context.select(rows)),
        }
    }
}

impl Context {
    /// The rows `rows` of the batch.
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            tokens: self.tokens.clone().select(0, rows.clone()),
            is_pad: self.is_pad.as_ref().map(|is_pad| crate::select_rows(is_pad, rows)),
        }
    }
}
