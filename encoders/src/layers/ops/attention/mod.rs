//! Multi-head scaled dot-product attention: within a sequence and across two.

mod composite;
mod mask;

use burn::prelude::*;

pub use mask::AttentionMask;

/// Multi-head self-attention on packed queries, keys and values: `softmax(q kᵀ / sqrt(d_head)) v`, a head.
///
/// A padded key is never attended to; its content changes neither outputs nor gradients (it must be finite). A row
/// that sees no key gives zeros, with a zero gradient.
///
/// # Shapes
/// - qkv: `[batch, n_tokens, 3 * d_model]`: queries, keys, values, each with its heads side by side
/// - output: `[batch, n_tokens, d_model]`
///
/// # Panics
/// When `3 * n_heads` does not divide the width or the mask's shape does not fit.
pub fn attention(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask) -> Tensor<3> {
    composite::attention(qkv, n_heads, mask)
}

/// Multi-head attention of queries on the keys and values of another sequence: pooling by learned queries, and
/// decoding with a cache of keys and values.
///
/// A padded key is never attended to; a query that sees no key gives zeros, with a zero gradient.
///
/// # Shapes
/// - q: `[batch, n_query, d_model]`
/// - kv: `[batch, n_key, 2 * d_model]`: keys, values, each with its heads side by side
/// - is_pad: `[batch, n_key]`, true = ignore
/// - output: `[batch, n_query, d_model]`
///
/// # Panics
/// When `n_heads` does not divide `d_model` or the shapes do not fit.
pub fn cross_attention(
    q: Tensor<3>,
    kv: Tensor<3>,
    n_heads: usize,
    is_pad: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    composite::cross_attention(q, kv, n_heads, is_pad)
}
