//! Heads: what is read off the encoders and the backbone.

pub mod linear_probe;
pub mod retrieval;
pub mod zero_shot;
