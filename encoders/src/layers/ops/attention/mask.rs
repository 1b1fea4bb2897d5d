//! Which keys a query sees.

use burn::prelude::*;

/// What each row of a sequence may attend to: never padding; a row of the prefix (`row < n_prefix`) the whole
/// prefix and nothing behind it; a row behind the prefix the whole prefix and every row up to itself.
///
/// With a prefix of 2 in 5 rows (`x` = visible):
///
/// ```text
///        keys 0 1 2 3 4
/// row 0       x x . . .
/// row 1       x x . . .
/// row 2       x x x . .
/// row 3       x x x x .
/// row 4       x x x x x
/// ```
#[derive(Clone, Debug)]
pub struct AttentionMask {
    /// `[batch, n_tokens]`, true = ignore.
    pub is_pad: Option<Tensor<2, Bool>>,
    /// Number of leading rows that see each other in both directions. At least the sequence's length:
    /// bidirectional; 0: causal.
    pub n_prefix: usize,
}

impl AttentionMask {
    /// Every row sees every key that is not padding.
    pub fn bidirectional(is_pad: Option<Tensor<2, Bool>>) -> Self {
        Self { is_pad, n_prefix: usize::MAX }
    }

    /// Every row sees the keys up to itself that are not padding.
    pub fn causal(is_pad: Option<Tensor<2, Bool>>) -> Self {
        Self { is_pad, n_prefix: 0 }
    }

    /// The first `n_prefix` rows see each other, the rest is causal and sees the whole prefix.
    pub fn prefix(is_pad: Option<Tensor<2, Bool>>, n_prefix: usize) -> Self {
        Self { is_pad, n_prefix }
    }

    /// Number of keys, from the first, of `n_tokens` in sight that row `row_idx` may see; padding among them is left out
    /// elsewhere.
    pub(super) fn n_visible(n_prefix: usize, n_tokens: usize, row_idx: usize) -> usize {
        (row_idx + 1).max(n_prefix).min(n_tokens)
    }

    /// The hidden pairs, `[batch or 1, 1, n_tokens, n_tokens]`, true = hidden; `None` when every row sees every key.
    pub(super) fn hidden(&self, n_tokens: usize, device: &Device) -> Option<Tensor<4, Bool>> {
        let order = (self.n_prefix < n_tokens).then(|| {
            let pairs: Vec<bool> = (0..n_tokens * n_tokens)
                .map(|i| i % n_tokens >= Self::n_visible(self.n_prefix, n_tokens, i / n_tokens))
                .collect();
            Tensor::<4, Bool>::from_data(TensorData::new(pairs, [1, 1, n_tokens, n_tokens]), device)
        });
        let padding = self.is_pad.clone().map(|is_pad| {
            let batch = is_pad.dims()[0];
            is_pad.reshape([batch, 1, 1, n_tokens])
        });
        match (order, padding) {
            (Some(order), Some(padding)) => {
                let full = [padding.dims()[0], 1, n_tokens, n_tokens];
                Some(order.expand(full).bool_or(padding.expand(full)))
            }
            (order, padding) => order.or(padding),
        }
    }
}
