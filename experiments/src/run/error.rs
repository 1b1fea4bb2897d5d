//! What can stop a run.

use std::path::PathBuf;

use miette::Diagnostic;
use triptych_datasets::loader::LoaderError;

use super::checkpoint::CheckpointError;
use super::folder::RunError;
use super::parameters::ParameterError;
use super::write::WriteError;

/// Why training or loading a trained model stopped.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum TrainError {
    /// The run's folder.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Run(#[from] RunError),
    /// A checkpoint.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file that cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] WriteError),
    /// A batch.
    #[error("{0}")]
    Loader(#[from] LoaderError),
    /// A model's sizes.
    #[error("model: {0}")]
    Model(#[from] triptych_encoders::ConfigError),
    /// A checkpoint of another experiment.
    #[error("checkpoint {} belongs to a run with other settings", path.display())]
    #[diagnostic(help("name another folder with `--out`, or remove the checkpoint to start again"))]
    OtherConfig {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A checkpoint of another model.
    #[error("{} does not fit the model: {source}", path.display())]
    #[diagnostic(help("it was written by another version of the model: name another folder with `--out`"))]
    Parameters {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        source: ParameterError,
    },
    /// A run without a checkpoint.
    #[error("{} has no checkpoint", path.display())]
    #[diagnostic(help("train it first: `triptych train {}/config.toml --out {}`", path.display(), path.display()))]
    Untrained {
        /// The run's folder.
        path: PathBuf,
    },
    /// The loss blew up.
    #[error("the loss is not finite at step {step} (means since the last log line: {losses})")]
    #[diagnostic(help(
        "lower `train.optimizer.lr` or `train.optimizer.clip_norm`; the last checkpoint is unharmed"
    ))]
    NotFinite {
        /// The step.
        step: u64,
        /// Mean losses since the last line of the log.
        losses: String,
    },
}
