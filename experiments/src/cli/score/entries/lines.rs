//! One text a line: plain, or with the utterance's id in parentheses at the end (`.trn`, as NIST's sclite reads it).

use std::path::Path;

use serde_json::{Map, json};

use super::Entry;
use crate::cli::score::error::{FileError, Place};

/// Every line is a text, empty ones too.
pub(super) fn plain(text: &str) -> Vec<Entry> {
    let entry = |(line_idx, line): (usize, &str)| Entry {
        place: Place::Line(line_idx + 1),
        id: None,
        fields: Map::from_iter([("text".to_owned(), json!(line))]),
    };
    text.lines().enumerate().map(entry).collect()
}

/// `words of the utterance (speaker-number)`; the tag `speaker` is what stands before the first `-` or `_` of the id.
/// Lines that begin with `;;` are comments.
pub(super) fn trn(path: &Path, text: &str) -> Result<Vec<Entry>, FileError> {
    let mut entries = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        let place = Place::Line(line_idx + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with(";;") {
            continue;
        }
        let parts = line.strip_suffix(')').and_then(|line| line.rsplit_once('('));
        let Some((words, id)) = parts.filter(|(_, id)| !id.trim().is_empty()) else {
            let problem = "expected an id in parentheses at the end, such as `hello world (ann-001)`";
            return Err(FileError::new(path, place, problem));
        };
        let id = id.trim();
        let speaker = id.split(['-', '_']).next().unwrap_or(id);
        let fields = [("text".to_owned(), json!(words.trim())), ("speaker".to_owned(), json!(speaker))];
        entries.push(Entry { place, id: Some(id.to_owned()), fields: Map::from_iter(fields) });
    }
    Ok(entries)
}
