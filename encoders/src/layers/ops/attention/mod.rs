//! Multi-head scaled dot-product attention: within a sequence and across two.

mod composite;
mod mask;
mod packing;
#[cfg(test)]
mod tests;
mod tiles;

use std::sync::Arc;

use burn::prelude::*;

use super::kernel::{fused, runs_on};
use tiles::{Attention, HiddenKeys, SampleRows};

pub use mask::AttentionMask;
pub use packing::{Packing, pack, packed_attention, unpack};

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
    let [batch, n_tokens, width] = qkv.dims();
    assert!(
        n_heads > 0 && width % (3 * n_heads) == 0,
        "attention: width {width} of queries, keys and values is not divisible by 3 * {n_heads} heads"
    );
    if let Some(is_pad) = &mask.is_pad {
        assert_eq!(is_pad.dims(), [batch, n_tokens], "attention: shapes of padding and tokens differ");
    }
    if !runs_on(&qkv) {
        return composite::attention(qkv, n_heads, mask);
    }
    let kernel = Attention {
        n_heads,
        d_head: width / (3 * n_heads),
        samples: SampleRows::equal(batch, n_tokens, n_tokens, mask.n_prefix),
        hidden: hidden_keys(mask.is_pad.clone()),
    };
    fused!(kernel; qkv)
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
    let [batch, n_query, d_model] = q.dims();
    let n_key = kv.dims()[1];
    assert!(
        n_heads > 0 && d_model % n_heads == 0,
        "cross_attention: width {d_model} is not divisible by {n_heads} heads"
    );
    assert_eq!(kv.dims(), [batch, n_key, 2 * d_model], "cross_attention: shape of keys and values");
    if let Some(is_pad) = &is_pad {
        assert_eq!(is_pad.dims(), [batch, n_key], "cross_attention: shapes of padding and keys differ");
    }
    if !runs_on(&q) {
        return composite::cross_attention(q, kv, n_heads, is_pad);
    }
    let kernel = Attention {
        n_heads,
        d_head: d_model / n_heads,
        samples: SampleRows::equal(batch, n_query, n_key, usize::MAX),
        hidden: hidden_keys(is_pad),
    };
    fused!(kernel; q, kv)
}

fn hidden_keys(is_pad: Option<Tensor<2, Bool>>) -> Option<Arc<HiddenKeys>> {
    let is_pad = is_pad?;
    let n_key = is_pad.dims()[1];
    let is_pad: Vec<bool> = is_pad.into_data().iter::<bool>().collect();
    HiddenKeys::new(&is_pad, n_key).map(Arc::new)
}
