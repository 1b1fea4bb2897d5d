//! A run: the folder that it fills, and the checkpoints that let it stop at any instant.

pub mod balance;
pub mod checkpoint;
mod conflict;
pub(crate) mod data;
mod error;
pub mod folder;
mod metrics;
mod momentum;
pub mod muon;
pub mod optimizer;
pub(crate) mod parameters;
pub(crate) mod pattern;
pub(crate) mod start;
pub(crate) mod teacher;
pub(crate) mod trained;
pub(crate) mod training;
mod window;
mod write;

pub use error::TrainError;
pub use metrics::{MetricsLog, read_metrics};
pub use pattern::PatternError;
pub use start::StartError;
pub use write::{WriteError, write_atomically};
