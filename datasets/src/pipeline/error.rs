//! What can be wrong with a preparation.

use std::path::{Path, PathBuf};

use crate::shard::CorpusError;
use crate::text::TokenizerError;

/// A corpus that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The recipe says something that it cannot.
    #[error(transparent)]
    Recipe(#[from] Box<RecipeProblem>),
    /// What is asked for does not go together.
    #[error("{problem}")]
    Usage {
        /// What was expected and what was found.
        problem: String,
        /// What to do about it.
        hint: String,
    },
    /// The system refused to read or write.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the cache is not as it was written.
    #[error("{}: {problem}", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// Another process prepares the same corpus.
    #[error("another process is preparing {}", dir.display())]
    Busy {
        /// The corpus's folder.
        dir: PathBuf,
    },
    /// A bad item, where none was to be tolerated.
    #[error("sample {id:?} of {origin}: {reason}")]
    BadItem {
        /// Its identifier.
        id: String,
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A corpus cannot be read or written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The tokenizer cannot be trained, read or written.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model that compares pictures, sounds and texts failed.
    #[error("the model that compares samples with texts failed: {reason}")]
    Model {
        /// Its words.
        reason: String,
    },
    /// The caller asked for an end; what is finished is kept.
    #[error("stopped; what was finished is kept")]
    Stopped,
}

impl PipelineError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn cache(path: &Path, problem: impl Into<String>) -> Self {
        Self::Cache { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: hint.into() }
    }

    /// Whether the command or the recipe is wrong, so that nothing was begun.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Recipe(_) | Self::Usage { .. })
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recipe(problem) => problem.hint.clone(),
            Self::Usage { hint, .. } if !hint.is_empty() => Some(hint.clone()),
            Self::Cache { path, .. } => {
                let dir = path.parent().unwrap_or(path);
                Some(format!("delete the folder {} and prepare again", dir.display()))
            }
            Self::Busy { .. } => Some("wait for its end, or choose another folder".to_owned()),
            Self::BadItem { .. } => {
                Some("without `--strict` bad samples go to the ledger and the rest goes on".to_owned())
            }
            Self::Corpus(error) => error.hint(),
            Self::Stopped => Some("the same command goes on from there".to_owned()),
            _ => None,
        }
    }
}

/// Something wrong at a known place of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", path.display())]
pub struct RecipeProblem {
    /// The recipe.
    pub path: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What was expected and what was found.
    pub message: String,
    /// The nearest valid key, or what may stand there.
    pub hint: Option<String>,
}
