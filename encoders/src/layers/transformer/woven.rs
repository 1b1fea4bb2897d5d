//! One block at a time, for stacks that are woven together: each block attends to what the other stack has come to.

use burn::prelude::*;

use super::surroundings::Layout;
use super::{Context, KeyValueCache, Transformer};
use crate::layers::ops::AttentionMask;

/// What the attentions of one block keep for decoding.
#[derive(Clone, Debug)]
pub struct BlockKeys {
    /// `[batch, n_tokens, 2 * n_key_heads * d_head]`
    own: Tensor<3>,
    /// `[batch, n_context, 2 * d_model]`
    context: Option<Tensor<3>>,
}

impl Transformer {
    /// Number of blocks.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// The block `idx`, attending to `context` too. [`Self::finish`] follows the last one.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    ///
    /// # Panics
    /// When there is no such block.
    pub fn forward_block(
        &self,
        idx: usize,
        tokens: Tensor<3>,
        mask: &AttentionMask,
        context: &Context,
    ) -> Tensor<3> {
        let around = self.around(&tokens, Layout::Padded(mask), Some(context), &[], 0);
        self.step(&self.blocks[idx], tokens, &around)
    }

    /// The same, with the keys and values that [`KeyValueCache::of_blocks`] makes a cache of.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    ///
    /// # Panics
    /// When there is no such block.
    pub fn prefill_block(
        &self,
        idx: usize,
        tokens: Tensor<3>,
        mask: &AttentionMask,
        context: &Context,
    ) -> (Tensor<3>, BlockKeys) {
        let block = &self.blocks[idx];
        let context_keys = block.context_keys(&context.tokens);
        let around = self.around(&tokens, Layout::Padded(mask), Some(context), &[], 0);
        let (tokens, own) = block.forward_keeping_keys(tokens, &around, context_keys.as_ref());
        (tokens, BlockKeys { own, context: context_keys })
    }

    /// The last normalisation of pre-norm blocks; of others nothing.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same
    pub fn finish(&self, tokens: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }
}

impl KeyValueCache {
    /// The keys and values of every block in turn, for [`Transformer::forward_cached`]. Of `context` only the padding is
    /// read.
    pub fn of_blocks(keys: Vec<BlockKeys>, context: Context) -> Self {
        let (blocks, context_keys): (Vec<_>, Vec<_>) =
            keys.into_iter().map(|keys| (keys.own, keys.context)).unzip();
        Self { blocks, context_keys: context_keys.into_iter().flatten().collect(), context: Some(context) }
    }
}
