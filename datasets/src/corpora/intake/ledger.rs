//! What was not imported: `ledger.jsonl`, one line an item with its place and the reason.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::shard::CorpusError;

/// In the corpus's folder, where anything failed.
pub(crate) const LEDGER_FILE: &str = "ledger.jsonl";

/// Where an item is described or stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, relative to the source.
    pub file: String,
    /// Its line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The part of it that is meant, where it has no lines: a member, a row, a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, part: None }
    }

    /// A line of a file, from 1.
    pub fn line(file: impl Into<String>, line: u64) -> Self {
        Self { line: Some(line), ..Self::file(file) }
    }

    /// A part of a file.
    pub fn part(file: impl Into<String>, part: impl Into<String>) -> Self {
        Self { part: Some(part.into()), ..Self::file(file) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if let Some(part) = &self.part {
            write!(f, ", {part}")?;
        }
        Ok(())
    }
}

/// An item that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What it would have been called, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it is described or stored.
    #[serde(flatten)]
    pub place: Place,
    /// What was expected and what was found.
    pub reason: String,
}

impl Failure {
    /// An item whose name is not known.
    pub fn at(place: Place, reason: impl Into<String>) -> Self {
        Self { id: None, place, reason: reason.into() }
    }

    /// An item by its name.
    pub fn of(id: impl Into<String>, place: Place, reason: impl Into<String>) -> Self {
        Self { id: Some(id.into()), place, reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{} ({id:?}): {}", self.place, self.reason),
            None => write!(f, "{}: {}", self.place, self.reason),
        }
    }
}

/// The ledger while it is written; there is no file before the first failure.
pub(crate) struct Ledger {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Ledger {
    /// Begins one in a folder, in place of an older one.
    pub(crate) fn create(dir: &Path) -> Result<Self, CorpusError> {
        let path = dir.join(LEDGER_FILE);
        match fs::remove_file(&path) {
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(CorpusError::io("remove", &path, e))
            }
            _ => Ok(Self { path, file: None }),
        }
    }

    pub(crate) fn write(&mut self, failure: &Failure) -> Result<(), CorpusError> {
        let write = |e| CorpusError::io("write", &self.path, e);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.path).map_err(write)?)),
        };
        let mut line = serde_json::to_vec(failure).map_err(|e| write(e.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(write)
    }

    /// The file, if there is one.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>, CorpusError> {
        let Some(mut file) = self.file else { return Ok(None) };
        file.flush().map_err(|e| CorpusError::io("write", &self.path, e))?;
        Ok(Some(self.path))
    }
}
