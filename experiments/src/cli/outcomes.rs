//! What became of each of several files: the good ones are told, the others named, and the rest goes on.

use std::path::Path;

use miette::{Diagnostic, IntoDiagnostic};
use serde_json::{Value, json};

use crate::diagnostic::print;

/// Some files could not be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{n_failed} of {n_files} files cannot be used; the reasons are above")]
struct UnusableFiles {
    n_failed: usize,
    n_files: usize,
}

/// The outcomes so far. As text they are printed as they come, as JSON all at the end.
pub(super) struct Outcomes {
    is_json: bool,
    records: Vec<Value>,
    n_failed: usize,
}

impl Outcomes {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, records: Vec::new(), n_failed: 0 }
    }

    /// Whether they are printed as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    /// `text` is what was written about the file at `path`; `details` are further fields of its JSON object.
    pub(super) fn done(&mut self, path: &Path, text: &str, details: Value) -> miette::Result<()> {
        let mut record = json!({"file": path.to_string_lossy(), "text": text});
        if let (Value::Object(record), Value::Object(details)) = (&mut record, details) {
            record.extend(details);
        }
        self.records.push(record);
        if self.is_json { Ok(()) } else { print(&format!("{}: {text}\n", path.display())) }
    }

    /// The file at `path` cannot be used.
    pub(super) fn failed(&mut self, path: &Path, problem: &dyn std::error::Error) {
        eprintln!("error: {}: {problem}", path.display());
        self.n_failed += 1;
        self.records.push(json!({"file": path.to_string_lossy(), "problem": problem.to_string()}));
    }

    /// Prints what is left to print.
    ///
    /// # Errors
    /// When a file could not be used.
    pub(super) fn conclude(self) -> miette::Result<()> {
        if self.is_json {
            print(&format!("{}\n", serde_json::to_string_pretty(&self.records).into_diagnostic()?))?;
        }
        match self.n_failed {
            0 => Ok(()),
            n_failed => Err(UnusableFiles { n_failed, n_files: self.records.len() }.into()),
        }
    }
}
