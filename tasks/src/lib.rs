//! What is learned, predicted, scored and found: the whole model, objectives, heads, decoding, metrics and search.

pub mod decode;
pub mod heads;
pub mod index;
pub mod metrics;
pub mod model;
pub mod objectives;
