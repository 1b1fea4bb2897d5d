//! What every encoder gives: a sequence of tokens a sample, whatever the modality.

use burn::prelude::*;

/// The kinds of input that the encoders read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Modality {
    /// Written language.
    Text,
    /// Pictures.
    Image,
    /// Sound.
    Audio,
}

impl Modality {
    /// Every modality, in the order of the fusion backbone's embeddings.
    pub const ALL: [Self; 3] = [Self::Text, Self::Image, Self::Audio];

    /// Position in [`Self::ALL`].
    pub fn idx(self) -> usize {
        self as usize
    }

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
        }
    }
}

/// An encoder's output.
#[derive(Clone, Debug)]
pub struct TokenSequence {
    /// `[batch, n_tokens, d_model]`
    pub tokens: Tensor<3>,
    /// `[batch, n_tokens]`, true = ignore
    pub is_pad: Tensor<2, Bool>,
    /// Where the tokens come from.
    pub modality: Modality,
}

impl TokenSequence {
    /// Mean over the tokens that are not padding; 0 for a row of padding alone.
    ///
    /// # Shapes
    /// -> `[batch, d_model]`
    pub fn mean(&self) -> Tensor<2> {
        let [batch, n_tokens, d_model] = self.tokens.dims();
        let present = self.is_pad.clone().bool_not().float();
        let count = present.clone().sum_dim(1).clamp_min(1.0);
        // one row of weights times the tokens: `[batch, 1, n_tokens] x [batch, n_tokens, d_model]`
        let weights = (present / count).reshape([batch, 1, n_tokens]);
        weights.matmul(self.tokens.clone()).reshape([batch, d_model])
    }

    /// The same tokens without a gradient to their encoder.
    #[must_use]
    pub fn detach(self) -> Self {
        Self { tokens: self.tokens.detach(), ..self }
    }

    /// The rows `rows` of the batch.
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            tokens: self.tokens.clone().select(0, rows.clone()),
            is_pad: select_rows(&self.is_pad, rows),
            modality: self.modality,
        }
    }
}

/// The rows `rows` of a mask.
///
/// # Differences from the reference
/// Burn 0.22.1's `select` of a bool tensor on the CPU gives another dtype, which then fits no other mask.
pub fn select_rows(mask: &Tensor<2, Bool>, rows: &Tensor<1, Int>) -> Tensor<2, Bool> {
    mask.clone().int().select(0, rows.clone()).bool()
}
