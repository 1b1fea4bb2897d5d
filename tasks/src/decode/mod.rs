//! From scores to token ids.

pub mod causal;
pub mod ctc;

/// A decoded row.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Token ids without begin and end marks.
    pub ids: Vec<u32>,
    /// Mean log-probability of the tokens, end mark included.
    pub confidence: f32,
}
