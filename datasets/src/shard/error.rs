//! What can be wrong with a corpus on disk.

use std::path::{Path, PathBuf};

/// A corpus that cannot be made, opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
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
    /// The folder has no index.
    #[error("{} is not a complete corpus: expected the file index.json, got none", dir.display())]
    NotACorpus {
        /// The folder.
        dir: PathBuf,
    },
    /// The index was written by a newer program.
    #[error("{}: expected a corpus of format {expected} or older, got format {got}", path.display())]
    Newer {
        /// The index.
        path: PathBuf,
        /// The newest format that this program reads.
        expected: u32,
        /// The format of the corpus.
        got: u64,
    },
    /// A file that the index lists is absent.
    #[error("{}: expected a file of {expected} bytes, got none", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Its size by the index.
        expected: u64,
    },
    /// A file has another size than the index says.
    #[error("{}: expected {expected} bytes, got {got}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size by the index.
        expected: u64,
        /// Its size on disk.
        got: u64,
    },
    /// Bytes are not those that were written.
    #[error("{}, {place}: expected blake3 {expected}, got {got}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// The hash by the index.
        expected: String,
        /// The hash of what is there.
        got: String,
    },
    /// A file does not follow its format.
    #[error("{}, {place}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column, byte or member.
        place: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A sample that cannot be written as it is.
    #[error("sample {id:?}: {problem}")]
    BadSample {
        /// Its identifier.
        id: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// An object store does not give what it should.
    #[error("{address}: {problem}")]
    Remote {
        /// The corpus in it.
        address: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Corpora cannot be joined under this name.
    #[error("expected corpora of different names, none of them empty, got {name:?} twice or not at all")]
    PartName {
        /// The name.
        name: String,
    },
    /// A corpus has no sample of that number.
    #[error("sample number {idx} does not exist: the corpus has {n_samples}")]
    NoSuchSample {
        /// The number asked for.
        idx: usize,
        /// Number of samples.
        n_samples: usize,
    },
}

impl CorpusError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn malformed(path: &Path, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), place: place.into(), problem: problem.into() }
    }

    pub(crate) fn duplicate(id: &str) -> Self {
        let problem = "expected an identifier that no earlier sample has".to_owned();
        Self::BadSample { id: id.to_owned(), problem }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        use std::io::ErrorKind;
        let remake = |path: &Path| {
            let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
            format!("delete the folder {} and prepare the corpus again", dir.display())
        };
        match self {
            Self::Io { path, source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    Some("free some space on that disk, or choose a folder on another one".to_owned())
                }
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    Some("choose a folder that you may write to, or change its permissions".to_owned())
                }
                ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                    Some(format!("{} is in the way: move it, or choose another folder", path.display()))
                }
                _ => None,
            },
            Self::NotACorpus { dir } => Some(format!(
                "its making was interrupted or it was never made: prepare the corpus into {} again",
                dir.display()
            )),
            Self::Newer { .. } => {
                Some("use a newer version of the program, or prepare the corpus again".to_owned())
            }
            Self::Missing { path, .. }
            | Self::Size { path, .. }
            | Self::Hash { path, .. }
            | Self::Malformed { path, .. } => Some(remake(path)),
            Self::Remote { problem, .. } if problem.contains("not enabled") => Some(
                "build the program with the store's feature: `--features s3`, `gcs`, `azure` or `http`"
                    .to_owned(),
            ),
            Self::Remote { .. } => Some(
                "check the address, the network and the store's credentials in the environment".to_owned(),
            ),
            Self::BadSample { .. } | Self::PartName { .. } | Self::NoSuchSample { .. } => None,
        }
    }
}
