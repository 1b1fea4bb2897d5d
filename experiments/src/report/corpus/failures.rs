//! The ledger of failed items, as far as one lies in the corpus's folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

const LEDGER_FILE: &str = "ledger.jsonl";
/// As many items are shown; all are counted.
const N_SHOWN: usize = 100;
/// More different kinds are counted as one.
const MAX_KINDS: usize = 100;
/// A longer line is no record.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// An item that did not get into the corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) id: String,
    /// File, line, part, or wherever it came from.
    pub(super) place: String,
    pub(super) kind: String,
    pub(super) reason: String,
}

/// What the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    pub(super) n: usize,
    pub(super) kinds: Vec<(String, usize)>,
    pub(super) shown: Vec<Failure>,
    /// What is wrong with the ledger itself.
    pub(super) problems: Vec<String>,
}

/// Reads the ledger of a folder; a folder without one has no failures.
pub(super) fn read(dir: &Path) -> Failures {
    let mut failures = Failures::default();
    let Ok(file) = File::open(dir.join(LEDGER_FILE)) else { return failures };
    let mut lines = BufReader::new(file);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for line_idx in 1.. {
        let mut line = Vec::new();
        match lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                failures.problems.push(format!("{LEDGER_FILE} line {line_idx}: {error}"));
                break;
            }
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let Ok(record) = serde_json::from_slice::<Map<String, Value>>(&line) else {
            // what it says instead is not shown: it may be anything
            failures.problems.push(format!("{LEDGER_FILE} line {line_idx}: expected a JSON object"));
            if failures.problems.len() >= 3 {
                break;
            }
            continue;
        };
        failures.n += 1;
        let failure = failure(&record);
        if kinds.len() < MAX_KINDS || kinds.contains_key(&failure.kind) {
            *kinds.entry(failure.kind.clone()).or_default() += 1;
        }
        if failures.shown.len() < N_SHOWN {
            failures.shown.push(failure);
        }
    }
    failures.kinds = kinds.into_iter().filter(|(kind, _)| !kind.is_empty()).collect();
    failures.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1));
    failures
}

fn failure(record: &Map<String, Value>) -> Failure {
    let word = |keys: &[&str]| {
        let value = keys.iter().find_map(|key| record.get(*key));
        match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    };
    let line = match word(&["line"]) {
        line if line.is_empty() => line,
        line => format!("line {line}"),
    };
    let place: Vec<String> = [word(&["file", "source", "url", "path"]), line, word(&["part"])]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let kind: Vec<String> =
        [word(&["stage"]), word(&["kind"])].into_iter().filter(|part| !part.is_empty()).collect();
    Failure {
        id: word(&["id"]),
        place: place.join(", "),
        kind: kind.join(": "),
        reason: word(&["reason", "problem", "error"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_either_ledger_are_read_and_others_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Failures::default());
        let ledger = concat!(
            "{\"id\":\"a\",\"file\":\"data.csv\",\"line\":7,\"reason\":\"expected a picture\"}\n\n",
            "{\"id\":\"b\",\"source\":\"b.png\",\"stage\":\"filter\",\"kind\":\"image_side\",\"reason\":\"too small\"}\n",
            "root:x:0:0\n",
            "{\"id\":\"c\",\"source\":\"c.png\",\"stage\":\"filter\",\"kind\":\"image_side\",\"reason\":\"too small\"}\n",
        );
        std::fs::write(dir.path().join(LEDGER_FILE), ledger).unwrap();
        let found = read(dir.path());
        assert_eq!((found.n, found.shown.len()), (3, 3));
        assert_eq!(found.shown[0].place, "data.csv, line 7");
        assert_eq!(found.kinds, [("filter: image_side".to_owned(), 2)]);
        assert_eq!(found.problems, ["ledger.jsonl line 4: expected a JSON object"]);
    }
}
