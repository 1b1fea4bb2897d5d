//! JSON: lines of objects, lists of objects, objects of texts by id, and the captions of COCO.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::{Entry, ID, scalar};
use crate::cli::score::error::{FileError, Place};

/// One object a line; empty lines are passed over.
pub(super) fn lines(path: &Path, text: &str) -> Result<Vec<Entry>, FileError> {
    let mut entries = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = Place::Line(line_idx + 1);
        let value = serde_json::from_str(line)
            .map_err(|error| FileError::new(path, place, format!("expected a JSON object, got: {error}")))?;
        entries.push(entry(path, place, value)?);
    }
    Ok(entries)
}

/// A whole file of JSON.
pub(super) fn list(path: &Path, text: &str) -> Result<Vec<Entry>, FileError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let error_place = Place::Line(error.line().max(1));
        FileError::new(path, error_place, format!("expected JSON, got: {error}"))
            .hint("one object a line is read from files that end in .jsonl")
    })?;
    match value {
        Value::Array(values) => {
            let numbered = values.into_iter().enumerate();
            numbered.map(|(idx, value)| entry(path, Place::Entry(idx + 1), value)).collect()
        }
        Value::Object(mut fields) => match fields.remove("annotations") {
            Some(Value::Array(annotations)) => {
                if annotations.iter().any(|annotation| annotation.get("answers").is_some()) {
                    let numbered = annotations.into_iter().enumerate();
                    return numbered.map(|(idx, value)| entry(path, Place::Entry(idx + 1), value)).collect();
                }
                coco(path, annotations)
            }
            Some(other) => {
                let problem = format!("expected `annotations` to be a list, got {}", kind(&other));
                Err(FileError::new(path, Place::Whole, problem))
            }
            None => by_id(path, text),
        },
        other => {
            let problem = format!("expected a JSON list or object, got {}", kind(&other));
            Err(FileError::new(path, Place::Whole, problem))
        }
    }
}

/// An object whose keys are ids and whose values are texts. An id that stands twice stays two entries.
fn by_id(path: &Path, text: &str) -> Result<Vec<Entry>, FileError> {
    let Members(members) = serde_json::from_str(text).map_err(|error| {
        FileError::new(path, Place::Line(error.line().max(1)), format!("expected JSON, got: {error}"))
    })?;
    let texts = |(idx, (id, value)): (usize, (String, Value))| {
        let place = Place::Entry(idx + 1);
        let is_text = match &value {
            Value::String(_) => true,
            Value::Array(texts) => texts.iter().all(Value::is_string),
            _ => false,
        };
        if !is_text {
            let problem = format!("expected a text or a list of texts for id {id:?}, got {}", kind(&value));
            return Err(FileError::new(path, place, problem));
        }
        Ok(Entry { place, id: Some(id), fields: Map::from_iter([("texts".to_owned(), value)]) })
    };
    members.into_iter().enumerate().map(texts).collect()
}

/// The members of an object as they stand, where a map would keep the last of equal ones.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The annotations of a COCO file of captions: the captions of an image become one entry, in the order of the images.
fn coco(path: &Path, annotations: Vec<Value>) -> Result<Vec<Entry>, FileError> {
    let mut place_of: HashMap<String, usize> = HashMap::new();
    let mut images: Vec<(String, Place, Vec<Value>)> = Vec::new();
    for (idx, annotation) in annotations.into_iter().enumerate() {
        let place = Place::Entry(idx + 1);
        let missing = |name: &str| FileError::new(path, place, format!("expected an `{name}`, got none"));
        let id = annotation.get("image_id").and_then(scalar).ok_or_else(|| missing("image_id"))?;
        let Some(Value::String(caption)) = annotation.get("caption") else {
            return Err(FileError::new(path, place, "expected a `caption`, got none"));
        };
        let image_idx = *place_of.entry(id.clone()).or_insert(images.len());
        if image_idx == images.len() {
            images.push((id, place, Vec::new()));
        }
        images[image_idx].2.push(json!(caption));
    }
    let entry = |(id, place, captions): (String, Place, Vec<Value>)| Entry {
        place,
        id: Some(id),
        fields: Map::from_iter([("captions".to_owned(), Value::Array(captions))]),
    };
    Ok(images.into_iter().map(entry).collect())
}

fn entry(path: &Path, place: Place, value: Value) -> Result<Entry, FileError> {
    let mut fields = match value {
        Value::Object(fields) => fields,
        other => {
            let problem = format!("expected a JSON object, got {}", kind(&other));
            return Err(FileError::new(path, place, problem));
        }
    };
    let Some(value) = ID.iter().find_map(|name| fields.remove(*name)) else {
        return Ok(Entry { place, id: None, fields });
    };
    match value {
        Value::String(_) | Value::Number(_) => Ok(Entry { place, id: scalar(&value), fields }),
        other => {
            let problem = format!("expected an id that is a string or a number, got {}", kind(&other));
            Err(FileError::new(path, place, problem))
        }
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
