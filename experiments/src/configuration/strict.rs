//! Tree to `T` by serde, with errors that know which key was wrong and where it was written.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{ConfigError, Problem};
use super::layer::Layer;
use super::tree::{Entry, Node, Place, Value};

/// Makes a `T` of the merged tree.
pub(super) fn deserialise<T: DeserializeOwned>(tree: &Node, layers: &[Layer]) -> Result<T, ConfigError> {
    T::deserialize(tree).map_err(|error| error.into_problem(tree, layers).into())
}

/// What serde had to object to.
#[derive(Debug)]
enum Objection {
    UnknownKey { key: String, valid: &'static [&'static str] },
    UnknownVariant { variant: String, valid: &'static [&'static str] },
    MissingKey(&'static str),
    Mismatch { expected: String, got: String },
    Other(String),
}

/// An objection, and where: the keys that lead there and the place, filled in on the way up.
#[derive(Debug)]
pub(super) struct StrictError {
    objection: Objection,
    /// Innermost key first.
    path: Vec<String>,
    place: Option<Place>,
}

impl StrictError {
    fn new(objection: Objection) -> Self {
        StrictError { objection, path: Vec::new(), place: None }
    }

    fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    fn below(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }

    fn into_problem(self, tree: &Node, layers: &[Layer]) -> Problem {
        let place = self.place.unwrap_or_else(|| tree.place.clone());
        let keys: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        let path = keys.join(".").replace(".[", "[");
        let problem = match layers.get(place.layer) {
            Some(layer) => Problem::new(&layer.name, &layer.text, place.span),
            None => Problem::new("config", "", 0..0),
        };
        let inside = if path.is_empty() { "at the top".to_owned() } else { format!("in `{path}`") };
        match self.objection {
            Objection::UnknownKey { key, valid } => {
                let problem = problem.with_message(format!("unknown key `{key}` {inside}"));
                problem.with_suggestion(&key, valid, "valid here")
            }
            Objection::UnknownVariant { variant, valid } => {
                let problem = problem.with_message(format!("`{path}` cannot be `{variant}`"));
                problem.with_suggestion(&variant, valid, "one of")
            }
            Objection::MissingKey(key) => {
                let full: Vec<&str> = keys.iter().copied().chain([key]).collect();
                problem
                    .with_message(format!("missing key `{key}` {inside}"))
                    .with_label("expected here")
                    .with_hint(format!("add it to the file or give `--set {}=...`", full.join(".")))
            }
            Objection::Mismatch { expected, got } => {
                let expected = plain(&expected);
                let subject = if path.is_empty() { "the config".to_owned() } else { format!("`{path}`") };
                problem
                    .with_message(format!("{subject} must be {expected}, got {got}"))
                    .with_label(format!("expected {expected}"))
            }
            Objection::Other(message) if path.is_empty() => problem.with_message(message).with_label("here"),
            Objection::Other(message) => {
                problem.with_message(format!("`{path}`: {message}")).with_label("here")
            }
        }
    }
}

/// Rust's names of types in the words of a config file.
fn plain(expected: &str) -> String {
    match expected {
        "usize" | "u64" | "u128" => "a whole number, 0 or more".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        "string or map" => "a name, or a table with one key".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        _ if expected.starts_with("a nonzero ") => "a whole number, 1 or more".to_owned(),
        _ => expected.to_owned(),
    }
}

fn shown(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(flag) => format!("`{flag}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number:?}`"),
        Unexpected::Str(text) => format!("the string {text:?}"),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        other => other.to_string(),
    }
}

impl fmt::Display for StrictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.objection)
    }
}

impl std::error::Error for StrictError {}

impl de::Error for StrictError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        StrictError::new(Objection::Other(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        StrictError::new(Objection::Mismatch { expected: expected.to_string(), got: shown(unexpected) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        StrictError::new(Objection::Mismatch {
            expected: expected.to_string(),
            got: format!("{length} values"),
        })
    }

    fn unknown_field(field: &str, valid: &'static [&'static str]) -> Self {
        StrictError::new(Objection::UnknownKey { key: field.to_owned(), valid })
    }

    fn unknown_variant(variant: &str, valid: &'static [&'static str]) -> Self {
        StrictError::new(Objection::UnknownVariant { variant: variant.to_owned(), valid })
    }

    fn missing_field(field: &'static str) -> Self {
        StrictError::new(Objection::MissingKey(field))
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = StrictError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, StrictError> {
        match &self.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (_, Ok(number)) => visitor.visit_u64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Table(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
        }
        .map_err(|error| error.at(&self.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, StrictError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, StrictError> {
        visitor.visit_newtype_struct(self).map_err(|error| error.at(&self.place))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, StrictError> {
        match &self.value {
            Value::String(name) => {
                visitor.visit_enum(Variant { name, name_place: &self.place, content: None })
            }
            Value::Table(entries) => {
                let entry = self.variant(entries)?;
                let (name, name_place) = (entry.key.as_str(), &entry.key_place);
                visitor.visit_enum(Variant { name, name_place, content: Some(&entry.node) })
            }
            _ => return self.deserialize_any(visitor),
        }
        .map_err(|error| error.at(&self.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl Node {
    /// The variant that the strongest layer chose: a layer replaces the variant of the layers below it.
    fn variant<'a>(&self, entries: &'a [Entry]) -> Result<&'a Entry, StrictError> {
        let strongest = entries.iter().map(|entry| entry.last_layer).max();
        let mut chosen = entries.iter().filter(|entry| Some(entry.last_layer) == strongest);
        match (chosen.next(), chosen.next()) {
            (Some(entry), None) => Ok(entry),
            (None, _) => {
                Err(StrictError::new(Objection::Other("expected one key, got an empty table".to_owned())))
            }
            (Some(first), Some(second)) => {
                let message = format!("expected one key, got both `{}` and `{}`", first.key, second.key);
                Err(StrictError::new(Objection::Other(message)).at(&second.key_place))
            }
        }
        .map_err(|error| error.at(&self.place))
    }
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = StrictError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, StrictError> {
        let Some((item_idx, item)) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(item)
            .map(Some)
            .map_err(|error| error.at(&item.place).below(&format!("[{item_idx}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, Entry>,
    current: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = StrictError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, StrictError> {
        self.current = self.entries.next();
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let key = StrDeserializer::<StrictError>::new(&entry.key);
        seed.deserialize(key).map(Some).map_err(|error| error.at(&entry.key_place))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, StrictError> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(&entry.node).map_err(|error| error.at(&entry.node.place).below(&entry.key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct Variant<'de> {
    name: &'de str,
    name_place: &'de Place,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = StrictError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), StrictError> {
        let name = StrDeserializer::<StrictError>::new(self.name);
        let value = seed.deserialize(name).map_err(|error| error.at(self.name_place))?;
        Ok((value, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self, expected: &str) -> Result<&'de Node, StrictError> {
        self.content.ok_or_else(|| {
            let got = format!("the name `{}` alone", self.name);
            StrictError::new(Objection::Mismatch { expected: expected.to_owned(), got })
        })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = StrictError;

    fn unit_variant(self) -> Result<(), StrictError> {
        match self.content {
            None => Ok(()),
            Some(Node { value: Value::Table(entries), .. }) if entries.is_empty() => Ok(()),
            Some(node) => {
                let expected = format!("the name \"{}\"", self.name);
                let mismatch = Objection::Mismatch { expected, got: "a table with values".to_owned() };
                Err(StrictError::new(mismatch).at(&node.place))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, StrictError> {
        // a name alone stands for a variant whose values all have defaults
        match self.content {
            Some(node) => seed.deserialize(node).map_err(|error| error.at(&node.place).below(self.name)),
            None => {
                let empty = Entries { entries: [].iter(), current: None };
                seed.deserialize(de::value::MapAccessDeserializer::new(empty))
                    .map_err(|error| error.below(self.name))
            }
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, StrictError> {
        let node = self.content("a table with one key that holds an array")?;
        de::Deserializer::deserialize_any(node, visitor).map_err(|error| error.below(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, StrictError> {
        match self.content {
            Some(node) => {
                de::Deserializer::deserialize_any(node, visitor).map_err(|error| error.below(self.name))
            }
            None => visitor
                .visit_map(Entries { entries: [].iter(), current: None })
                .map_err(|error| error.below(self.name)),
        }
    }
}
