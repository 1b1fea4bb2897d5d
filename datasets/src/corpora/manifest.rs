//! `manifest`: one JSON object a line, the general way in. `manifest.schema.json` beside this file describes it.
//!
//! Source: the manifest, or a folder with a `manifest.jsonl`; packed with gzip or zstd too. Paths in it are relative to the
//! folder that it lies in, and stay in it. A line may have any of:
//!
//! | key | value |
//! |---|---|
//! | `id` | text, unique; the number of the line without it |
//! | `image`, `audio` | path of a picture, of a sound |
//! | `start_s`, `end_s` | the part of the sound that is meant, in seconds; it is cut out and stored as WAV |
//! | `text`, `texts` | a caption or transcript, or several; the first is the one that a model learns to write |
//! | `question`, `answer` or `answers` | a question about the picture or the sound, and what people answered, one each |
//! | `questions` | several: a list of objects with `question` and `answer` or `answers` |
//! | `speaker`, `language` | become tags of that name |
//! | `split` | `train`, `validation` or `test` (`val`, `dev` and the like too) |
//! | `group` | what it means: samples of one group stay in one split, and one's picture goes with another's sound |
//! | `tags` | an object of texts, numbers, true or false |

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::split::split_of_name;
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, parse_options};
use crate::sample::Question;

/// The JSON schema of a line.
pub const SCHEMA: &str = include_str!("manifest.schema.json");

const FILE_NAMES: [&str; 3] = ["manifest.jsonl", "manifest.jsonl.gz", "manifest.jsonl.zst"];
const MAX_LINE_BYTES: u64 = 16 << 20;
const KEYS: [&str; 17] = [
    "id",
    "image",
    "audio",
    "text",
    "texts",
    "question",
    "answer",
    "answers",
    "questions",
    "start_s",
    "end_s",
    "speaker",
    "language",
    "split",
    "group",
    "tags",
    "$schema",
];

const QUESTION_KEYS: [&str; 3] = ["question", "answer", "answers"];

/// The format.
pub(super) struct Manifest;

/// What becomes of a key that no line may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownKeys {
    /// The line fails: it is probably misspelt.
    #[default]
    Refuse,
    /// It becomes a tag, if it is a text, a number, true or false.
    Tag,
    /// It is left out.
    Ignore,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    unknown_keys: UnknownKeys,
}

impl Format for Manifest {
    fn name(&self) -> &'static str {
        "manifest"
    }

    fn about(&self) -> &'static str {
        "JSON lines with any of image, audio, text, start_s, end_s, speaker, split ... (`--schema` prints the schema)"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { unknown_keys } = parse_options("manifest", options)?;
        let file = match source.named_file() {
            Some(file) => file.to_owned(),
            None => source
                .first_file(&FILE_NAMES)
                .ok_or_else(|| source.unfit("expected a manifest, or a folder with a manifest.jsonl"))?,
        };
        let lines = Lines::open(source, &file, MAX_LINE_BYTES)?;
        let is_blank = |line: &Result<(Place, String), Failure>| {
            line.as_ref().is_ok_and(|(_, text)| text.trim().is_empty())
        };
        let samples = lines
            .filter(move |line| !is_blank(line))
            .map(move |line| line.and_then(|(place, text)| sample(place, &text, unknown_keys)));
        Ok(Box::new(samples))
    }
}

fn sample(place: Place, line: &str, unknown_keys: UnknownKeys) -> Result<RawSample, Failure> {
    let value: Value = serde_json::from_str(line).map_err(|e| {
        Failure::at(place.clone(), format!("expected a JSON object, column {}: {e}", e.column()))
    })?;
    let Value::Object(fields) = value else {
        return Err(Failure::at(place, format!("expected a JSON object, got {}", kind(&value))));
    };
    let id = match fields.get("id") {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        None | Some(Value::Null) => format!("{:09}", place.line.unwrap_or(0)),
        Some(other) => return Err(wrong(&place, "id", "a text", other)),
    };
    let fail = |reason: String| Failure::of(id.clone(), place.clone(), reason);
    let fields = Fields { fields: &fields, place: &place };
    let mut raw = RawSample::new(id.clone(), place.clone());
    raw.image = fields.text("image")?.map(RawMedia::File);
    raw.audio = fields.text("audio")?.map(RawMedia::File);
    raw.texts.extend(fields.text("text")?);
    raw.texts.extend(fields.texts("texts")?);
    raw.questions = fields.questions()?;
    raw.group = fields.text("group")?;
    if let Some(name) = fields.text("split")? {
        let split = split_of_name(&name);
        let problem = || fail(format!("`split`: expected train, validation or test, got {name:?}"));
        raw.split = Some(split.ok_or_else(problem)?);
    }
    raw.tags = fields.tags()?;
    for key in ["speaker", "language"] {
        if let Some(value) = fields.text(key)? {
            raw.tag(key, &value);
        }
    }
    raw.span_s = match (fields.number("start_s")?, fields.number("end_s")?) {
        (None, None) => None,
        (start_s, end_s) => Some((start_s.unwrap_or(0.0), end_s)),
    };
    for (key, value) in fields.fields.iter().filter(|(key, _)| !KEYS.contains(&key.as_str())) {
        match (unknown_keys, scalar(value)) {
            (UnknownKeys::Refuse, _) => {
                return Err(fail(format!("unknown key `{key}`, expected some of {}", KEYS[..16].join(", "))));
            }
            (UnknownKeys::Tag, Some(value)) => raw.tag(key, &value),
            (UnknownKeys::Tag | UnknownKeys::Ignore, _) => {}
        }
    }
    if raw.image.is_none() && raw.audio.is_none() && raw.texts.is_empty() {
        return Err(fail("expected at least one of image, audio, text, texts, got none of them".to_owned()));
    }
    Ok(raw)
}

/// The fields of a line by their types.
struct Fields<'a> {
    fields: &'a serde_json::Map<String, Value>,
    place: &'a Place,
}

impl Fields<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            // speakers and groups are often numbered, and how many there are is often asked
            Some(Value::Number(number)) if matches!(key, "speaker" | "group" | "answer") => {
                Ok(Some(number.to_string()))
            }
            Some(other) => Err(wrong(self.place, key, "a text", other)),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Failure> {
        let list = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(wrong(self.place, key, "a list of texts", other)),
        };
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            // how many there are is often what is asked
            Value::Number(number) if key == "answers" => Ok(number.to_string()),
            other => Err(wrong(self.place, key, "a list of texts", other)),
        };
        list.iter().map(text).collect()
    }

    /// The question of the line itself, then those of its list.
    fn questions(&self) -> Result<Vec<Question>, Failure> {
        let mut questions = Vec::from_iter(self.question("")?);
        let list = match self.get("questions") {
            None => return Ok(questions),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(wrong(self.place, "questions", "a list of objects", other)),
        };
        for (idx, value) in list.iter().enumerate() {
            let name = format!("questions[{idx}]");
            let Value::Object(fields) = value else {
                return Err(wrong(self.place, &name, "an object", value));
            };
            if let Some(key) = fields.keys().find(|key| !QUESTION_KEYS.contains(&key.as_str())) {
                let reason = format!("`{name}`: unknown key `{key}`, expected {}", QUESTION_KEYS.join(", "));
                return Err(Failure::at(self.place.clone(), reason));
            }
            let asked = Fields { fields, place: self.place }.question(&format!("{name}."))?;
            questions.push(asked.ok_or_else(|| {
                Failure::at(self.place.clone(), format!("`{name}`: expected a question, got none"))
            })?);
        }
        Ok(questions)
    }

    /// `question` with `answer` or `answers`; `name` leads to them, in messages.
    fn question(&self, name: &str) -> Result<Option<Question>, Failure> {
        let mut answers = Vec::from_iter(self.text("answer")?);
        answers.extend(self.texts("answers")?);
        let fail = |reason: String| Err(Failure::at(self.place.clone(), reason));
        match self.text("question")? {
            Some(_) if answers.is_empty() => {
                fail(format!("`{name}question`: expected an `answer` or `answers` to it, got none"))
            }
            Some(question) => Ok(Some(Question { question, answers })),
            None if answers.is_empty() => Ok(None),
            None => fail(format!("`{name}answers`: expected the `question` that they answer, got none")),
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong(self.place, key, "seconds", value)),
        }
    }

    fn tags(&self) -> Result<BTreeMap<String, String>, Failure> {
        let tags = match self.get("tags") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(tags)) => tags,
            Some(other) => return Err(wrong(self.place, "tags", "an object", other)),
        };
        let tag = |(key, value): (&String, &Value)| match scalar(value) {
            Some(text) => Ok((key.clone(), text)),
            None => Err(wrong(self.place, &format!("tags.{key}"), "a text, a number, true or false", value)),
        };
        tags.iter().filter(|(_, value)| !value.is_null()).map(tag).collect()
    }
}

/// A value that can be a tag.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn wrong(place: &Place, key: &str, expected: &str, got: &Value) -> Failure {
    Failure::at(place.clone(), format!("`{key}`: expected {expected}, got {}", kind(got)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
