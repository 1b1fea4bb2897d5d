//! The backbone's output: one sequence, with a span for everything that went in.

use std::ops::Range;

use burn::prelude::*;
use triptych_encoders::Modality;
use triptych_encoders::layers::experts::Routing;

/// What a span of the fused sequence came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// An encoder's tokens.
    Encoded(Modality),
    /// The causal text at the end.
    Causal,
}

/// A segment and its places in the sequence.
pub type Span = (Segment, Range<usize>);

/// Fused tokens and where each input's lie.
#[derive(Clone, Debug)]
pub struct FusedSequence {
    /// `[batch, n_tokens, d_model]`
    pub tokens: Tensor<3>,
    /// `[batch, n_tokens]`, true = ignore
    pub is_pad: Tensor<2, Bool>,
    /// In the order of the tokens.
    pub spans: Vec<Span>,
    /// What the routers of a mixture of experts did; `None` without one, and in decoding.
    pub routing: Option<Routing>,
}

impl FusedSequence {
    /// The tokens of one input, if it was there.
    ///
    /// # Shapes
    /// -> `[batch, n_span, d_model]`
    pub fn span(&self, segment: Segment) -> Option<Tensor<3>> {
        let (_, range) = self.spans.iter().find(|(candidate, _)| *candidate == segment)?;
        Some(self.tokens.clone().narrow(1, range.start, range.len()))
    }
}
