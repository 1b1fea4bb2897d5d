//! Attention in plain tensor operations, for every backend without a kernel of ours.

use burn::prelude::*;
use burn::tensor::{DType, activation::softmax};

use super::AttentionMask;

pub(super) fn attention(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask) -> Tensor<3> {
    let [_, n_tokens, width] = qkv.dims();
    let d_model = width / 3;
    let hidden = mask.hidden(n_tokens, &qkv.device());
    let [q, k, v] = [0, 1, 2].map(|part| heads(qkv.clone().narrow(2, part * d_model, d_model), n_heads));
    attend(q, k, v, hidden)
}

pub(super) fn cross_attention(
    q: Tensor<3>,
    kv: Tensor<3>,
    n_heads: usize,
    is_pad: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [batch, _, d_model] = q.dims();
    let n_key = kv.dims()[1];
    let hidden = is_pad.map(|is_pad| is_pad.reshape([batch, 1, 1, n_key]));
    let [k, v] = [0, 1].map(|part| heads(kv.clone().narrow(2, part * d_model, d_model), n_heads));
    attend(heads(q, n_heads), k, v, hidden)
}

/// `[batch, n_tokens, d_model]` to `[batch, n_heads, n_tokens, d_head]`.
fn heads(x: Tensor<3>, n_heads: usize) -> Tensor<4> {
    let [batch, n_tokens, d_model] = x.dims();
    x.reshape([batch, n_tokens, n_heads, d_model / n_heads]).swap_dims(1, 2)
}

fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, hidden: Option<Tensor<4, Bool>>) -> Tensor<3> {
    let [batch, n_heads, n_query, d_head] = q.dims();
    let n_key = k.dims()[2];
    let scale = 1.0 / (d_head as f64).sqrt();
    // scaled before the product: float16 overflows otherwise
    let scores = (q * scale).matmul(k.swap_dims(2, 3));
    let probabilities = match hidden {
        None => softmax(scores, 3),
        Some(hidden) => {
            let hidden = hidden.expand([batch, n_heads, n_query, n_key]);
            // finite, so that a row without a visible key holds no NaN; filled with zeros afterwards
            let lowest = if scores.dtype() == DType::F16 { -6e4 } else { -1e30 };
            softmax(scores.mask_fill(hidden.clone(), lowest), 3).mask_fill(hidden, 0.0)
        }
    };
    // [batch, n_query, d_model]
    probabilities.matmul(v).swap_dims(1, 2).reshape([batch, n_query, n_heads * d_head])
}
