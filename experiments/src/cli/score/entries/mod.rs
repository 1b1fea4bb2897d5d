//! Files of texts and labels, whatever their format, as lists of entries.

mod delimited;
mod json;
mod lines;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::{FileError, Place};

/// The names under which a text may stand.
const TEXT: [&str; 6] = ["text", "caption", "texts", "captions", "answer", "answers"];
/// The names under which an id may stand.
pub(super) const ID: [&str; 3] = ["id", "question_id", "image_id"];

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    pub(super) path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

/// One entry: a line, a row, or an element of a JSON list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) id: Option<String>,
    /// Everything but the id.
    pub(super) fields: Map<String, Value>,
}

impl Entries {
    /// Reads a file by the format that its ending names; every other ending is one text a line.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = read_bytes(path)?;
        if bytes.starts_with(triptych_datasets::npy::MAGIC) {
            return Err(FileError::new(path, Place::Whole, "expected texts or labels, got a NumPy matrix"));
        }
        let text = utf8(path, bytes)?;
        let entries = match ending(path).as_str() {
            "json" => json::list(path, &text)?,
            "jsonl" | "ndjson" => json::lines(path, &text)?,
            "csv" => delimited::rows(path, &text, b',')?,
            "tsv" => delimited::rows(path, &text, b'\t')?,
            "trn" => lines::trn(path, &text)?,
            _ => lines::plain(&text),
        };
        if entries.is_empty() {
            return Err(FileError::new(path, Place::Whole, "expected at least one entry, got an empty file"));
        }
        if let Some(odd) = entries.iter().find(|entry| entry.id.is_some() != entries[0].id.is_some()) {
            let (place, problem) = if odd.id.is_none() {
                (odd.place, "has no id, the entries before it have")
            } else {
                (odd.place, "has an id, the entries before it have none")
            };
            return Err(FileError::new(path, place, problem).hint("give all of them an id, or none"));
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// Whether entries are told apart by id; by their order otherwise.
    pub(super) fn have_ids(&self) -> bool {
        self.entries.first().is_some_and(|entry| entry.id.is_some())
    }

    pub(super) fn error(&self, entry_idx: usize, problem: impl std::fmt::Display) -> FileError {
        FileError::new(
            &self.path,
            self.entries.get(entry_idx).map_or(Place::Whole, |entry| entry.place),
            problem,
        )
    }

    /// The value of an entry's tag: a field of its own, or one inside of `tags`.
    pub(super) fn tag(&self, entry_idx: usize, tag: &str) -> Result<String, FileError> {
        let entry = &self.entries[entry_idx];
        entry.tag(tag).ok_or_else(|| {
            let known = entry.tag_names().join(", ");
            let error = self.error(entry_idx, format!("expected a tag `{tag}`, got none"));
            if known.is_empty() { error } else { error.hint(format!("this entry has: {known}")) }
        })
    }
}

impl Entry {
    /// The text or texts; none when there is no such field or it holds something else.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match TEXT.iter().find_map(|name| self.fields.get(*name))? {
            Value::String(text) => Some(vec![text]),
            // VQA's answers are objects, with who gave them
            Value::Array(texts) => {
                texts.iter().map(|text| text.as_str().or_else(|| text.get("answer")?.as_str())).collect()
            }
            _ => None,
        }
    }

    fn tag(&self, tag: &str) -> Option<String> {
        let inside = self.fields.get("tags").and_then(|tags| tags.get(tag));
        inside.or_else(|| self.fields.get(tag)).and_then(scalar)
    }

    fn tag_names(&self) -> Vec<&str> {
        let own = self
            .fields
            .iter()
            .filter(|(name, value)| !TEXT.contains(&name.as_str()) && scalar(value).is_some());
        let inside = self.fields.get("tags").and_then(Value::as_object).into_iter().flatten();
        own.chain(inside).map(|(name, _)| name.as_str()).collect()
    }
}

/// A value that can stand for an id or a tag.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

pub(super) fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|error| FileError::new(path, Place::Whole, format!("cannot be read: {error}")))
}

/// The text without the byte order mark that some programs begin with.
fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, FileError> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        FileError::new(path, Place::Line(line), "expected text in UTF-8, got other bytes")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(name: &str, content: &[u8]) -> Result<Entries, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        Entries::read(&path)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn listed(name: &str, content: &str) -> Vec<(String, Vec<String>)> {
        let entries = read(name, content.as_bytes()).unwrap().entries;
        let owned = |entry: &Entry| entry.texts().unwrap().into_iter().map(str::to_owned).collect();
        entries.iter().map(|entry| (entry.id.clone().unwrap_or_default(), owned(entry))).collect()
    }

    #[test]
    fn every_format_gives_the_same_entries() {
        let expected = vec![("a".to_owned(), vec!["x y".to_owned()]), ("7".to_owned(), vec!["z".to_owned()])];
        for (name, content) in [
            ("a.jsonl", "{\"id\":\"a\",\"text\":\"x y\"}\n\n{\"id\":7,\"texts\":[\"z\"],\"room\":3}\n"),
            ("a.json", r#"[{"image_id":"a","caption":"x y"},{"image_id":7,"caption":"z"}]"#),
            ("a.json", r#"{"a": "x y", "7": ["z"]}"#),
            ("a.csv", "\u{feff}id,text\r\na,x y\r\n7,\"z\"\r\n"),
            ("a.tsv", "text\tid\nx y\ta\nz\t7\n"),
            ("a.trn", "x y (a)\nz (7)\n"),
        ] {
            assert_eq!(listed(name, content), expected, "{name}");
        }
        let plain = listed("a.txt", "x y\n\nz");
        assert_eq!(plain.iter().map(|(_, texts)| texts[0].as_str()).collect::<Vec<_>>(), ["x y", "", "z"]);
    }

    #[test]
    fn captions_of_one_image_come_together() {
        let coco = r#"{"images":[],"annotations":[{"image_id":2,"caption":"a"},{"image_id":1,"caption":"b"},
            {"image_id":2,"caption":"c"}]}"#;
        let expected = vec![
            ("2".to_owned(), vec!["a".to_owned(), "c".to_owned()]),
            ("1".to_owned(), vec!["b".to_owned()]),
        ];
        assert_eq!(listed("a.json", coco), expected);
    }

    #[test]
    fn tags_stand_beside_the_text_or_in_tags() {
        let entries = read("a.jsonl", br#"{"id":1,"text":"x","speaker":"s1","tags":{"room":2}}"#).unwrap();
        assert_eq!(entries.tag(0, "speaker").unwrap(), "s1");
        assert_eq!(entries.tag(0, "room").unwrap(), "2");
        let message = entries.tag(0, "age").unwrap_err().to_string();
        assert!(message.ends_with("line 1: expected a tag `age`, got none"), "{message}");
        let utterances = read("a.trn", b"x (ann-001)\ny (bob_2)\nz (cid)\n").unwrap();
        let speakers: Vec<String> = (0..3).map(|idx| utterances.tag(idx, "speaker").unwrap()).collect();
        assert_eq!(speakers, ["ann", "bob", "cid"]);
    }

    #[test]
    fn an_id_that_stands_twice_is_not_lost() {
        let ids = |text: &str| listed("a.json", text).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(r#"{"a": "x", "b": "y", "a": "z"}"#), ["a", "b", "a"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "[\\[\\]{}\"':,a-z0-9 ()\\-\t\r\n\u{feff}\u{e9}]{0,60}") {
            for (name, read) in [
                ("a.json", json::list as fn(&Path, &str) -> Result<Vec<Entry>, FileError>),
                ("a.jsonl", json::lines),
                ("a.trn", lines::trn),
                ("a.csv", |path, text| delimited::rows(path, text, b',')),
            ] {
                let _ = read(Path::new(name), &text);
            }
        }
    }

    #[test]
    fn broken_files_are_refused_with_their_place() {
        for (name, content, message) in [
            (
                "a.jsonl",
                "{\"id\":1,\"text\":\"x\"}\n{\"id\":2,",
                "a.jsonl line 2: expected a JSON object, got: EOF",
            ),
            ("a.jsonl", "[1]", "a.jsonl line 1: expected a JSON object, got a list"),
            (
                "a.jsonl",
                "{\"id\":[1]}",
                "a.jsonl line 1: expected an id that is a string or a number, got a list",
            ),
            ("a.json", "[{\"id\":1},\n2]", "a.json entry 2: expected a JSON object, got a number"),
            ("a.json", "{\"id\"", "a.json line 1: expected JSON, got: EOF"),
            ("a.json", "3", "a.json: expected a JSON list or object, got a number"),
            (
                "a.json",
                r#"{"annotations":[{"caption":"x"}]}"#,
                "a.json entry 1: expected an `image_id`, got none",
            ),
            ("a.csv", "id,text\na,b,c\n", "a.csv line 2: expected 2 columns as in the header, got 3"),
            ("a.csv", "id,id\na,b\n", "a.csv line 1: column `id` stands twice in the header"),
            ("a.trn", "x (a)\ny\n", "a.trn line 2: expected an id in parentheses at the end"),
            ("a.txt", "", "a.txt: expected at least one entry, got an empty file"),
            (
                "a.jsonl",
                "{\"id\":1}\n{\"text\":\"x\"}",
                "a.jsonl line 2: has no id, the entries before it have",
            ),
        ] {
            let error = read(name, content.as_bytes()).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        assert_eq!(
            read("a.txt", b"ok\n\xff").unwrap_err(),
            "a.txt line 2: expected text in UTF-8, got other bytes"
        );
        assert_eq!(
            read("a.txt", b"\x93NUMPY\x01\x00").unwrap_err(),
            "a.txt: expected texts or labels, got a NumPy matrix"
        );
    }
}
