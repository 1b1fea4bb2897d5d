//! Heads: what is read off the encoders and the backbone.

pub mod patch_decoder;
pub mod retrieval;
