//! What can be wrong with published files.

use std::io;
use std::path::{Path, PathBuf};

/// A published file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system does not hand it over, or does not take it.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `open`, `map`, `read`, `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It holds something else than it should.
    #[error("{}, {place}: expected {expected}, got {got}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What should stand there.
        expected: String,
        /// What stands there.
        got: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// A name that would lead out of the folder.
    #[error("{}, {place}: expected the name of a file in that folder, got {got}", path.display())]
    Outside {
        /// The file that names it, or the folder.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// The name, and where it leads.
        got: String,
    },
    /// A tensor that the checkpoint does not have.
    #[error("{}: expected a tensor named {name}, got none of that name", path.display())]
    NoTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

impl CheckpointError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn content(
        path: &Path,
        place: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        let (place, expected, got) = (place.into(), expected.into(), got.into());
        Self::Content { path: path.to_owned(), place, expected, got, hint: None }
    }

    /// The same with what to do about it, where its content is wrong.
    pub(crate) fn with_hint(mut self, advice: &'static str) -> Self {
        if let Self::Content { hint, .. } = &mut self {
            *hint = Some(advice);
        }
        self
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Content { hint, .. } => hint.map(ToOwned::to_owned),
            Self::Outside { .. } => {
                Some("a checkpoint's files lie beside each other: copy them into one folder".to_owned())
            }
            _ => None,
        }
    }
}

/// A text from a file as it may stand in a message: on one line and not endless.
pub(crate) fn quoted(text: &str) -> String {
    const MOST_CHARACTERS: usize = 80;
    let mut quoted = text.chars().take(MOST_CHARACTERS).flat_map(char::escape_debug).collect::<String>();
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        quoted.push_str("...");
    }
    format!("`{quoted}`")
}
