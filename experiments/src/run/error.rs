//! What can stop a run.

use std::fmt;
use std::path::PathBuf;

use miette::Diagnostic;
use triptych_datasets::corpora::ImportError;
use triptych_datasets::loader::LoaderError;
use triptych_datasets::shard::CorpusError;
use triptych_datasets::text::TokenizerError;
use triptych_tasks::metrics::MetricError;

use super::checkpoint::CheckpointError;
use super::folder::RunError;
use super::parameters::ParameterError;
use super::pattern::PatternError;
use super::start::StartError;
use super::write::WriteError;
use crate::evaluate::{ClassifyError, InferenceError, PredictionsError, ScoresError};
use crate::probe::ProbesError;
use crate::report::ReportError;

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
    #[diagnostic(transparent)]
    Loader(Hinted<LoaderError>),
    /// The corpus.
    #[error("{0}")]
    #[diagnostic(transparent)]
    Import(Hinted<ImportError>),
    /// The corpus within a run's folder, when it is only read.
    #[error("{source}")]
    #[diagnostic(help(
        "`triptych train {}/config.toml --out {}` prepares it again and leaves the rest as it is",
        run.display(), run.display()
    ))]
    RunCorpus {
        /// What is wrong with it.
        source: CorpusError,
        /// The run's folder.
        run: PathBuf,
    },
    /// The tokenizer.
    #[error(transparent)]
    #[diagnostic(help(
        "remove the file to train it anew from the corpus; a model trained with the old one needs the old one"
    ))]
    Tokenizer(TokenizerError),
    /// The weights to start from.
    #[error("{0}")]
    #[diagnostic(transparent)]
    Start(Hinted<StartError>),
    /// A pattern of parameters' names.
    #[error(transparent)]
    #[diagnostic(help("`triptych model describe CONFIG --parameters` lists their names"))]
    Pattern(#[from] PatternError),
    /// A figure that is undefined.
    #[error("evaluation: {0}")]
    Metric(#[from] MetricError),
    /// A model whose scores are NaN.
    #[error("evaluation: {0}")]
    Inference(#[from] InferenceError),
    /// Scores on disk.
    #[error(transparent)]
    Scores(#[from] ScoresError),
    /// Predictions on disk.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Predictions(#[from] PredictionsError),
    /// Probes on disk.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Probes(#[from] ProbesError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A hold-out that selects nothing.
    #[error("hold-out `{name}` selects no sample of the corpus")]
    #[diagnostic(help("mend `evaluate.holdouts`: its splits and tags must be some of the corpus's own"))]
    EmptyHoldout {
        /// Its name.
        name: String,
    },
    /// Nothing to learn answers from.
    #[error("objective `{objective}`: no training sample of {} has a question that it could learn from", corpus.display())]
    #[diagnostic(help(
        "give lines of the corpus's manifest a `question` with `answers`, or leave the objective out; `triptych data \
         import manifest --schema` shows how"
    ))]
    NoQuestions {
        /// The objective.
        objective: String,
        /// The corpus's folder.
        corpus: PathBuf,
    },
    /// A hold-out that cannot be classified.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Classify(#[from] ClassifyError),
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
    /// A teacher that cannot teach.
    #[error("{} cannot teach the objective `{objective}`: {problem}", path.display())]
    #[diagnostic(help("name another run as `train.teacher`, or leave the objective out"))]
    Teacher {
        /// The teacher's folder.
        path: PathBuf,
        /// What is to be learned from it.
        objective: &'static str,
        /// Why it cannot be.
        problem: String,
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

/// A library's error whose hint becomes the program's.
#[derive(Debug)]
pub struct Hinted<E> {
    /// Boxed: a broken file's error says a lot, and most results are good.
    error: Box<E>,
    hint: Option<String>,
}

impl<E: fmt::Display> fmt::Display for Hinted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: std::error::Error> std::error::Error for Hinted<E> {}

impl<E: std::error::Error> Diagnostic for Hinted<E> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }
}

impl From<LoaderError> for TrainError {
    fn from(error: LoaderError) -> Self {
        Self::Loader(Hinted { hint: error.hint(), error: Box::new(error) })
    }
}

impl From<ImportError> for TrainError {
    fn from(error: ImportError) -> Self {
        Self::Import(Hinted { hint: error.hint(), error: Box::new(error) })
    }
}

impl From<StartError> for TrainError {
    fn from(error: StartError) -> Self {
        Self::Start(Hinted { hint: error.hint(), error: Box::new(error) })
    }
}

impl From<TokenizerError> for TrainError {
    fn from(error: TokenizerError) -> Self {
        match error {
            // nothing is wrong with the tokenizer when the disk is full
            TokenizerError::Io { action: "write", path, source } => {
                Self::Write(WriteError::new(&path, source))
            }
            error => Self::Tokenizer(error),
        }
    }
}
