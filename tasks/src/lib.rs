//! What is learned, predicted and scored: the whole model, objectives, heads, decoding and metrics.

pub mod decode;
pub mod heads;
pub mod metrics;
pub mod model;
pub mod objectives;
