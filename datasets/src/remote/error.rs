//! Why something could not be fetched.

use std::io;
use std::path::{Path, PathBuf};

/// A download that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No server answered, or it stopped in the middle.
    #[error("{url}: no answer: {problem}")]
    Network {
        /// What was asked for.
        url: String,
        /// What the system said.
        problem: String,
    },
    /// A server answered with something else than the file.
    #[error("{url}: expected the file, got HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
        /// The pause that it asks for.
        retry_after_s: Option<u64>,
    },
    /// A repository that is not there, or is hidden.
    #[cfg(feature = "hub")]
    #[error("{endpoint} has no {kind} {repo:?} at revision {revision:?}, or does not show it")]
    NoRepository {
        /// The hub.
        endpoint: String,
        /// What it would hold.
        kind: super::RepoKind,
        /// `OWNER/NAME`.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// A repository that one must be let into.
    #[cfg(feature = "hub")]
    #[error("{endpoint} does not let {who} read the {kind} {repo:?} (HTTP status {status})")]
    Denied {
        /// The hub.
        endpoint: String,
        /// What it holds.
        kind: super::RepoKind,
        /// `OWNER/NAME`.
        repo: String,
        /// `the given token` or `anyone without a token`.
        who: &'static str,
        /// The answer.
        status: u16,
    },
    /// Offline, and the cache does not hold it.
    #[error("offline (HF_HUB_OFFLINE is set), and {} does not hold {what}", cache.display())]
    Offline {
        /// The hub's cache.
        cache: PathBuf,
        /// What was looked for.
        what: String,
    },
    /// More than was allowed.
    #[error("{url}: expected at most {limit} bytes, got {got}")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
        /// What was announced, or had come when it was stopped.
        got: u64,
    },
    /// Another kind of file than was asked for.
    #[error("{url}: expected {expected}, got {got}")]
    Kind {
        /// What was asked for.
        url: String,
        /// What would be taken.
        expected: &'static str,
        /// What the first bytes are.
        got: String,
    },
    /// The bytes are not those that were promised.
    #[error("{url}: expected {expected}, got {got}")]
    Hash {
        /// What was asked for.
        url: String,
        /// Kind and digits of the hash promised.
        expected: String,
        /// Those of what came.
        got: String,
    },
    /// A list or an answer does not follow its format.
    #[error("{what}, {place}: {problem}")]
    Malformed {
        /// The file or the address.
        what: String,
        /// Line, column or field.
        place: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A name that would lead out of the folder.
    #[error("{what}: expected a file name inside the folder, got {name:?}")]
    UnsafeName {
        /// Whose listing.
        what: String,
        /// The name.
        name: String,
    },
    /// The system refused to read or write here.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Some files of several failed; the first of them.
    #[error("{n_failed} of {n_files} files failed, the first: {first}")]
    Several {
        /// How many failed.
        n_failed: usize,
        /// How many there are.
        n_files: usize,
        /// One of them.
        first: Box<FetchError>,
    },
}

impl FetchError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the same request may go well a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 416 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether it is this machine's fault, so that no other download will go better.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// One word for a ledger to count by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Network { .. } => "network",
            Self::Status { .. } => "status",
            #[cfg(feature = "hub")]
            Self::NoRepository { .. } => "no_repository",
            #[cfg(feature = "hub")]
            Self::Denied { .. } => "denied",
            Self::Offline { .. } => "offline",
            Self::TooLarge { .. } => "too_large",
            Self::Kind { .. } => "kind",
            Self::Hash { .. } => "hash",
            Self::Malformed { .. } => "malformed",
            Self::UnsafeName { .. } => "unsafe_name",
            Self::Io { .. } => "io",
            Self::Several { first, .. } => first.kind(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Network { .. } => {
                "is there a network, and does a proxy or firewall let this through? The same command goes on where it \
                 stopped"
            }
            #[cfg(feature = "hub")]
            Self::NoRepository { .. } => {
                "check the spelling of owner, name and `--revision`; what is private needs a token in HF_TOKEN"
            }
            #[cfg(feature = "hub")]
            Self::Denied { who: "the given token", .. } => {
                "accept its terms on its web page with the token's account, or use another token in HF_TOKEN"
            }
            #[cfg(feature = "hub")]
            Self::Denied { .. } => {
                "make a token on the hub's web page, accept its terms there, and set HF_TOKEN to it"
            }
            Self::Offline { .. } => {
                "unset HF_HUB_OFFLINE where there is a network, or fill the cache there first"
            }
            Self::Hash { .. } => "the file changed or was damaged on its way: run the same command again",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space on that disk; the same command goes on where it stopped"
            }
            Self::Several { first, .. } => return first.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
