//! Heads: what is read off the encoders and the backbone.

pub mod retrieval;
