//! A corpus to batches, in worker threads, in an order that depends on the seed alone.
//!
//! ```text
//! samples -> groups -> streams, mixed by weight (shares) -> batches of so many rows (rows)
//!                                                        or of rows of like length (measure, lengths)
//! batch k -> samples drawn, decoded, changed (fetch) in threads (workers) -> collated -> HostBatch
//! ```

mod collate;
mod config;
mod evaluate;
mod fetch;
mod lengths;
mod measure;
mod plan;
mod position;
mod rows;
mod shares;
mod train;
mod workers;

use std::path::PathBuf;

pub use collate::{audio_batch, image_batch, question_batch, text_batch};
pub use config::{Fill, LengthOf, LoaderConfig, OnBad, Selection, Stream, TextChoice, TextOptions};
pub use evaluate::{EvalBatch, EvalLoader};
pub use fetch::BadSample;
pub use position::LoaderPosition;
pub use train::TrainLoader;
#[cfg(feature = "remote")]
pub(crate) use workers::OrderedWorkers;

/// A loader that cannot start or go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// A value of the configuration is out of its range.
    #[error("loader.{problem}")]
    Config {
        /// Which, what was expected and what was found.
        problem: String,
    },
    /// There is not enough for one batch.
    #[error("expected at least {expected} groups for a batch, got {got} among {n_selected} selected samples")]
    TooFewGroups {
        /// The batch size.
        expected: usize,
        /// Groups among the selected samples.
        got: usize,
        /// Selected samples.
        n_selected: usize,
    },
    /// A sample cannot be used, and the configuration says to stop.
    #[error(transparent)]
    BadSample(#[from] BadSample),
    /// The noise that training adds cannot be read.
    #[error("loader.audio.augment.noise_folder: {problem}")]
    Noise {
        /// The folder.
        folder: PathBuf,
        /// Which file, what was expected and what was found.
        problem: String,
    },
    /// Code of ours, or of a decoder, gave up.
    #[error("a loader thread panicked at batch {batch_idx}: {message}")]
    Panicked {
        /// Which batch it was making.
        batch_idx: u64,
        /// Its last words.
        message: String,
    },
    /// The threads ended after an earlier error.
    #[error("the loader has stopped after an earlier error")]
    Stopped,
}

impl LoaderError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooFewGroups { .. } => {
                Some("lower the batch size, or select more of the corpus".to_owned())
            }
            Self::BadSample(_) => Some(
                "delete the corpus's folder and prepare it again, or set `data.on_bad` to \"skip\" to train without \
                 such samples"
                    .to_owned(),
            ),
            Self::Noise { folder, .. } => Some(format!(
                "{} must hold recordings alone, the noise that `data.audio.augment.noise` adds; leave `noise_folder` \
                 out, and noise of `noise_colour` is made instead",
                folder.display()
            )),
            _ => None,
        }
    }
}
