//! The layers under the encoders.

pub mod convolution;
pub mod cost;
pub mod depthwise;
pub mod embedding;
pub mod experts;
pub mod feed_forward;
pub mod initializer;
pub mod linear;
pub mod map_norm;
pub mod norm;
pub mod ops;
pub mod rotary;
pub mod sinusoids;
pub mod transformer;
