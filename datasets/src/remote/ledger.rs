//! What became of every address, a line each, written as it happens.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::FetchError;

/// The ledger's file in the folder.
pub(super) const LEDGER: &str = "ledger.jsonl";

/// A line of `ledger.jsonl`. Of several lines with one address the last holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// What was asked for.
    pub url: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// It lies in the folder.
    Ok {
        /// Where, from the folder on.
        file: String,
        /// Its size.
        n_bytes: u64,
        /// Its hash, hexadecimal.
        sha256: String,
        /// What the server called it.
        content_type: Option<String>,
    },
    /// It does not.
    Failed {
        /// One word to count by.
        kind: String,
        /// The whole reason.
        reason: String,
    },
}

/// The ledger of a folder, open for more lines.
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    known: HashMap<String, Outcome>,
}

impl Ledger {
    /// Reads what is there. A last line that was cut off is dropped.
    pub(super) fn open(dir: &Path) -> Result<Self, FetchError> {
        let path = dir.join(LEDGER);
        let mut known = HashMap::new();
        let mut n_whole = 0;
        if path.exists() {
            let text = fs::read(&path).map_err(|e| FetchError::io("read", &path, e))?;
            for (line_idx, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
                let is_whole = line.ends_with(b"\n");
                if is_whole && !line.trim_ascii().is_empty() {
                    let line: LedgerLine =
                        serde_json::from_slice(line).map_err(|e| FetchError::Malformed {
                            what: path.display().to_string(),
                            place: format!("line {}", line_idx + 1),
                            problem: e.to_string(),
                        })?;
                    known.insert(line.url, line.outcome);
                }
                n_whole += if is_whole { line.len() as u64 } else { 0 };
            }
        }
        let open = |e| FetchError::io("open", &path, e);
        // opened to write rather than to append, as it may have to be cut first
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(false).open(&path).map_err(open)?;
        file.set_len(n_whole).map_err(open)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(open)?;
        Ok(Self { path, file, known })
    }

    pub(super) fn outcome(&self, url: &str) -> Option<&Outcome> {
        self.known.get(url)
    }

    /// Writes a line; after a crash it is there or not, never half.
    pub(super) fn record(&mut self, line: LedgerLine) -> Result<(), FetchError> {
        let mut json = serde_json::to_vec(&line).unwrap_or_default();
        json.push(b'\n');
        self.file.write_all(&json).map_err(|e| FetchError::io("write", &self.path, e))?;
        self.known.insert(line.url, line.outcome);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &str) -> Outcome {
        Outcome::Failed { kind: "status".to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn last_line_of_an_address_holds_and_half_a_line_is_dropped() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut ledger = Ledger::open(dir.path()).expect("it is new");
        for reason in ["first", "second"] {
            let line = LedgerLine { url: "http://a".to_owned(), outcome: failed(reason) };
            ledger.record(line).expect("the folder is writable");
        }
        let path = dir.path().join(LEDGER);
        let whole = fs::read(&path).expect("it is there");
        fs::write(&path, [&whole[..], b"{\"url\": \"http://b\", \"sta"].concat()).expect("it is writable");
        let mut ledger = Ledger::open(dir.path()).expect("half a line is dropped");
        assert_eq!(ledger.outcome("http://a"), Some(&failed("second")));
        assert_eq!(ledger.outcome("http://b"), None);
        let line = LedgerLine { url: "http://b".to_owned(), outcome: failed("third") };
        ledger.record(line).expect("the folder is writable");
        let ledger = Ledger::open(dir.path()).expect("every line is whole");
        assert_eq!(ledger.outcome("http://b"), Some(&failed("third")));
    }

    #[test]
    fn broken_lines_are_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join(LEDGER), "\nnonsense\n").expect("the folder is writable");
        let error = Ledger::open(dir.path()).map(|_| ()).expect_err("the second line is broken");
        assert!(error.to_string().contains("ledger.jsonl, line 2: "), "{error}");
    }
}
