//! Heads: what is read off the encoders and the backbone.

pub mod distilled;
pub mod linear_probe;
pub mod matching;
pub mod pair;
pub mod patch_decoder;
pub mod retrieval;
pub mod sigmoid;
pub mod zero_shot;
