//! The shared backbone: token sequences of any subset of text, image and audio to one fused sequence, with a
//! causal text segment that makes it a decoder too.

pub mod backbone;
pub mod sequence;
