//! The layers under the encoders.

pub mod convolution;
pub mod cost;
pub mod embedding;
pub mod initializer;
pub mod linear;
pub mod ops;
pub mod transformer;
