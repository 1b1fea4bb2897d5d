//! A run: the folder that it fills, and the checkpoints that let it stop at any instant.

pub mod checkpoint;
pub mod folder;
mod metrics;
mod write;

pub use metrics::{MetricsLog, read_metrics};
pub use write::{WriteError, write_atomically};
