//! What a model was made to read at most.

use serde::Serialize;

/// One input of each kind that a model reads, as large as its config has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LargestSample {
    /// Tokens of a text.
    pub n_text_tokens: Option<usize>,
    /// Side of a picture in pixels.
    pub image_side: Option<usize>,
    /// Length of a sound.
    pub sound_s: Option<f64>,
}
