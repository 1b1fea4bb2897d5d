//! What is wrong with a file that was to be scored.

use std::fmt;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

/// A file that cannot be scored, with the place in it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{}{place}: {problem}", .path.display())]
pub(super) struct FileError {
    path: PathBuf,
    place: Place,
    problem: String,
    #[help]
    hint: Option<String>,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// The file as a whole.
    #[default]
    Whole,
    /// From 1 on.
    Line(usize),
    /// Of a JSON list, from 1 on.
    Entry(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, " line {line}"),
            Self::Entry(entry) => write!(f, " entry {entry}"),
        }
    }
}

impl FileError {
    pub(super) fn new(path: &Path, place: Place, problem: impl fmt::Display) -> Self {
        // a metric's message brings its hint along
        let problem = problem.to_string();
        let (problem, hint) = match problem.split_once("\nhint: ") {
            Some((problem, hint)) => (problem.to_owned(), Some(hint.to_owned())),
            None => (problem, None),
        };
        Self { path: path.to_owned(), place, problem, hint }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
