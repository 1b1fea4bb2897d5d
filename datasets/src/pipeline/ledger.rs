//! What did not get into the corpus, and why: `ledger.jsonl`, one line an item.

use serde::{Deserialize, Serialize};

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The sample.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// The stage that took it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// One word for counting, such as `image_side`.
    pub kind: String,
    /// What was expected and what was found.
    pub reason: String,
    /// Whether it is broken, not only unwanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_bad: bool,
}

/// Why a stage takes an item out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub kind: String,
    pub reason: String,
    pub is_bad: bool,
}

impl Fault {
    /// It is well, but not wanted.
    pub(crate) fn unwanted(kind: &str, reason: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), reason: reason.into(), is_bad: false }
    }

    /// It is broken.
    pub(crate) fn bad(kind: &str, reason: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), reason: reason.into(), is_bad: true }
    }
}
