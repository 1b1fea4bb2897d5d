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
    /// `[batch, d_model]`, a vector for the whole, from encoders that make one in another way than by the mean.
    pub summary: Option<Tensor<2>>,
}

impl TokenSequence {
    /// Tokens whose mean stands for the whole.
    pub fn new(tokens: Tensor<3>, is_pad: Tensor<2, Bool>, modality: Modality) -> Self {
        Self { tokens, is_pad, modality, summary: None }
    }

    /// Tokens of which none is padding.
    pub fn whole(tokens: Tensor<3>, modality: Modality) -> Self {
        let [batch, n_tokens, _] = tokens.dims();
        let is_pad = Tensor::<2, Bool>::full([batch, n_tokens], false, &tokens.device());
        Self::new(tokens, is_pad, modality)
    }

    /// The same with a vector for the whole.
    #[must_use]
    pub fn with_summary(self, summary: Tensor<2>) -> Self {
        Self { summary: Some(summary), ..self }
    }

    /// The vector for the whole: the summary, or the mean where there is none.
    ///
    /// # Shapes
    /// -> `[batch, d_model]`
    pub fn pooled(&self) -> Tensor<2> {
        self.summary.clone().unwrap_or_else(|| self.mean())
    }

    /// The last token that is not padding, of rows that are filled from the start; 0 for a row of padding alone.
    ///
    /// # Shapes
    /// -> `[batch, d_model]`
    pub fn last(&self) -> Tensor<2> {
        let [batch, n_tokens, d_model] = self.tokens.dims();
        let device = self.tokens.device();
        let is_pad = self.is_pad.to_data().iter::<bool>().collect::<Vec<_>>();
        let lengths = is_pad.chunks_exact(n_tokens.max(1)).map(|row| row.iter().filter(|pad| !**pad).count());
        let lengths = lengths.collect::<Vec<_>>();
        let rows = lengths.iter().enumerate();
        let rows = rows.map(|(row, n)| (row * n_tokens + n.saturating_sub(1)) as i64).collect::<Vec<_>>();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &device);
        let last = self.tokens.clone().reshape([batch * n_tokens, d_model]).select(0, rows);
        let is_empty = lengths.iter().map(|&n| n == 0).collect::<Vec<_>>();
        let is_empty = Tensor::<2, Bool>::from_data(TensorData::new(is_empty, [batch, 1]), &device);
        last.mask_fill(is_empty.expand([batch, d_model]), 0.0)
    }

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
        Self { tokens: self.tokens.detach(), summary: self.summary.map(Tensor::detach), ..self }
    }

    /// The rows `rows` of the batch.
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            tokens: self.tokens.clone().select(0, rows.clone()),
            is_pad: select_rows(&self.is_pad, rows),
            modality: self.modality,
            summary: self.summary.as_ref().map(|summary| summary.clone().select(0, rows.clone())),
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
