//! Self-attention with relative positions.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::activation::softmax;

use crate::layers::cost::{self, Cost};
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::sinusoids;

/// A key that must not be seen scores so.
const HIDDEN: f32 = -1e30;

/// Scores are `(q + u) k + (q + v) r`, `r` being a linear map of the sinusoids of the distance between query and key.
///
/// # Reference
/// Dai et al. 2019, "Transformer-XL", section 3.3; `transformers`' `Wav2Vec2ConformerSelfAttention`.
#[derive(Module, Debug)]
pub(super) struct RelativeAttention {
    query_key_value: Linear,
    position: Linear,
    /// `u`, `[d_model]`
    content_bias: Param<Tensor<1>>,
    /// `v`, `[d_model]`
    position_bias: Param<Tensor<1>>,
    out: Linear,
    n_heads: usize,
}

impl RelativeAttention {
    pub(super) fn new(d_model: usize, n_heads: usize, init: &mut Initializer) -> Self {
        Self {
            query_key_value: Linear::new(d_model, 3 * d_model, init),
            position: Linear::with_bias(false, d_model, d_model, init),
            content_bias: init.constant([d_model], 0.0),
            position_bias: init.constant([d_model], 0.0),
            out: Linear::new(d_model, d_model, init),
            n_heads,
        }
    }

    pub(super) fn cost(n: usize, d_model: usize, n_heads: usize) -> Cost {
        let n_distances = (2 * n).saturating_sub(1);
        // both kinds of scores and the values; scores of either kind and their softmax are kept
        let attend = Cost {
            parameters: 2 * d_model as u64,
            flops: 2 * ((2 * n + n_distances) * n * d_model) as u64,
            kept: (n_heads * n * (n_distances + 3 * n) + 5 * n * d_model) as u64,
            ..Cost::default()
        };
        cost::linear(n, d_model, 3 * d_model, true)
            + cost::linear(n_distances, d_model, d_model, false)
            + attend
            + cost::linear(n, d_model, d_model, true)
    }

    /// # Shapes
    /// `[batch, n_tokens, d_model]`, is_pad `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub(super) fn forward(&self, tokens: Tensor<3>, is_pad: &Tensor<2, Bool>) -> Tensor<3> {
        let [batch, n_tokens, d_model] = tokens.dims();
        let (n_heads, d_head) = (self.n_heads, d_model / self.n_heads);
        let distances = sinusoids::relative(n_tokens, d_model, &tokens.device());
        let qkv = self.query_key_value.forward(tokens);
        let part = |idx: usize| qkv.clone().narrow(2, idx * d_model, d_model);
        // [n_heads, batch, n_tokens, d_head]
        let heads = |x: Tensor<3>| x.reshape([batch, n_tokens, n_heads, d_head]).permute([2, 0, 1, 3]);
        let query = |bias: &Param<Tensor<1>>| heads(part(0) + bias.val().unsqueeze::<3>());
        let content = query(&self.content_bias).matmul(heads(part(1)).swap_dims(2, 3));
        let n_distances = 2 * n_tokens - 1;
        let distances = self.position.forward(distances).reshape([n_distances, n_heads, d_head]);
        let positions = query(&self.position_bias)
            .reshape([n_heads, batch * n_tokens, d_head])
            .matmul(distances.permute([1, 2, 0]))
            .reshape([n_heads, batch, n_tokens, n_distances]);
        let scores = (content + by_key(positions)) / (d_head as f32).sqrt();
        let shape = [n_heads, batch, n_tokens, n_tokens];
        let hidden = is_pad.clone().reshape([1, batch, 1, n_tokens]).expand(shape);
        let weights = softmax(scores.mask_fill(hidden, HIDDEN), 3);
        let attended = weights.matmul(heads(part(2))).permute([1, 2, 0, 3]);
        self.out.forward(attended.reshape([batch, n_tokens, d_model]))
    }
}

/// Scores by distance, from the largest down, as scores by key: row `i` moves to the left by `n - 1 - i`. A column more
/// makes one long line of the rows, in which each begins one place later than the one before it.
///
/// # Shapes
/// `[n_heads, batch, n, 2 * n - 1]` -> `[n_heads, batch, n, n]`
fn by_key(scores: Tensor<4>) -> Tensor<4> {
    let [n_heads, batch, n, n_distances] = scores.dims();
    let column = Tensor::zeros([n_heads, batch, n, 1], &scores.device());
    Tensor::cat(vec![column, scores], 3)
        .reshape([n_heads, batch, 2 * n, n])
        .narrow(2, 1, n_distances)
        .reshape([n_heads, batch, n, n_distances])
        .narrow(3, 0, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_by_key_is_that_of_its_distance() {
        let n = 4;
        // the score of a distance is the distance, and ten times the row on top
        let scores = (0..n).flat_map(|row| (0..2 * n - 1).map(move |k| (10 * row) as f32 + 3.0 - k as f32));
        let scores = TensorData::new(scores.collect::<Vec<_>>(), [1, 1, n, 2 * n - 1]);
        let got = by_key(Tensor::from_data(scores, &Device::flex())).into_data();
        let expected = (0..n).flat_map(|i| (0..n).map(move |j| (10 * i) as f32 + i as f32 - j as f32));
        assert_eq!(got.iter::<f32>().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
