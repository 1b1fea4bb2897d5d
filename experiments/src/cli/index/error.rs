//! What is wrong with embeddings or an index, told with its hint.

use std::fmt::Display;
use std::path::Path;

use miette::Diagnostic;

/// Embeddings or an index that cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub(super) struct IndexFailure {
    message: String,
    #[help]
    hint: Option<String>,
}

impl IndexFailure {
    /// A message may bring its hint along, behind a line break.
    pub(super) fn new(problem: impl Display) -> Self {
        let problem = problem.to_string();
        match problem.split_once("\nhint: ") {
            Some((message, hint)) => Self { message: message.to_owned(), hint: Some(hint.to_owned()) },
            None => Self { message: problem, hint: None },
        }
    }

    /// The same with the file that it is about.
    pub(super) fn of_file(path: &Path, problem: impl Display) -> Self {
        Self::new(format!("{}: {problem}", path.display()))
    }

    /// At a line, from 1 on.
    pub(super) fn at_line(path: &Path, line: usize, problem: impl Display) -> Self {
        Self::new(format!("{} line {line}: {problem}", path.display()))
    }
}
