//! From scores to texts: searches over whatever gives the scores of a next token, and over the frames of CTC.

mod beam;
pub mod causal;
mod constraint;
pub mod ctc;
mod error;
mod joint;
pub mod logits;
mod next_token;
pub mod ngram;
mod sample;
pub mod whisper;

pub use beam::BeamSearch;
pub use constraint::{Constraint, Phrases};
pub use error::DecodeError;
pub use next_token::{NextToken, Rules};
pub use sample::Sampling;

/// A decoded row.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Token ids without begin and end marks.
    pub ids: Vec<u32>,
    /// Mean log-probability of the tokens, end mark included.
    pub confidence: f32,
}

/// One of the texts that were found for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Token ids without begin and end marks.
    pub ids: Vec<u32>,
    /// Natural log-probability of the text, end mark included.
    pub log_probability: f64,
    /// What it is ranked by.
    pub score: f64,
}

impl Text {
    /// Mean log-probability of the tokens, end mark included.
    pub fn confidence(&self) -> f32 {
        (self.log_probability / (self.ids.len() + 1) as f64) as f32
    }
}

impl From<Text> for Decoded {
    fn from(text: Text) -> Self {
        Self { confidence: text.confidence(), ids: text.ids }
    }
}

#[cfg(test)]
mod tests;
