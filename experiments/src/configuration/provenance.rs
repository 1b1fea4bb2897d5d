//! A config with all its layers resolved, and where each of its values came from.

use std::fmt;

use serde::Serialize;
use toml::de::DeTable;

use super::error::{ConfigError, Problem, line_and_column};
use super::layer::Layer;
use super::tree::{Node, Place, Value};

/// A checked config, the complete TOML that gives the same one again, and the origin of every value.
#[derive(Clone, Debug)]
pub struct Resolved<T> {
    /// The config.
    pub value: T,
    /// Every value, the defaults too, as one file that extends nothing.
    pub toml: String,
    /// Every value of `toml`, in its order.
    pub origins: Vec<Setting>,
    layers: Vec<Layer>,
    tree: Node,
}

/// One value of a resolved config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The keys that lead to the value, joined by dots.
    pub key: String,
    /// The value in TOML's syntax.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nowhere: the program's own default.
    Default,
    /// In a config file.
    File {
        /// The path, or `built-in NAME`.
        name: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// On the command line.
    Override {
        /// `a.b=value`, as given.
        argument: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Origin::Override { .. } => f.write_str("--set"),
        }
    }
}

impl<T: Serialize> Resolved<T> {
    pub(super) fn new(value: T, layers: Vec<Layer>, tree: Node) -> Result<Self, ConfigError> {
        let toml = toml::to_string(&value)?;
        let origins = settings(&toml)
            .into_iter()
            .map(|(path, value)| Setting { key: dotted(&path), value, origin: origin(&path, &tree, &layers) })
            .collect();
        Ok(Resolved { value, toml, origins, layers, tree })
    }
}

impl<T> Resolved<T> {
    /// The error for a value that parses but makes no sense, alone or beside the others, at the place where it
    /// was set. `key` joins keys by dots; `expected` completes "must be ...".
    pub fn reject(&self, key: &str, expected: impl fmt::Display) -> ConfigError {
        let setting = self.origins.iter().find(|setting| setting.key == key);
        let got = setting.map_or("nothing", |setting| setting.value.as_str());
        let is_default = setting.is_some_and(|setting| setting.origin == Origin::Default);
        let path: Vec<&str> = key.split('.').collect();
        // a default stands in no file: the nearest table around it does
        let node = (0..=path.len()).rev().find_map(|length| self.tree.get(&path[..length]));
        let place = node.map_or(&self.tree.place, |node| &node.place);
        let by_default = if is_default { ", its default" } else { "" };
        self.problem_at(place)
            .with_message(format!("`{key}` must be {expected}, got {got}{by_default}"))
            .with_label(format!("expected {expected}"))
            .into()
    }

    /// The error for a key that the table at `path` does not have, with the nearest that it has.
    pub(super) fn unknown_key(&self, path: &str, key: &str, valid: &[&str]) -> ConfigError {
        let keys = path.split('.').chain([key]).collect::<Vec<_>>();
        let node = self.tree.get(&keys).unwrap_or(&self.tree);
        self.problem_at(&node.place)
            .with_message(format!("unknown key `{key}` in `{path}`"))
            .with_suggestion(key, valid, "valid here")
            .into()
    }

    fn problem_at(&self, place: &Place) -> Problem {
        match self.layers.get(place.layer) {
            Some(layer) => Problem::new(&layer.name, &layer.text, place.span.clone()),
            None => Problem::new("config", "", 0..0),
        }
    }

    /// A fingerprint of the resolved config: equal configs have equal ones. 64 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        blake3::hash(self.toml.as_bytes()).to_hex().to_string()
    }
}

/// The keys in which two resolved configs differ, as `key: old -> new`.
///
/// # Errors
/// Where one of the texts is not TOML.
pub fn describe_differences(old: &str, new: &str) -> Result<Vec<String>, toml::de::Error> {
    DeTable::parse(old)?;
    DeTable::parse(new)?;
    let (old, new) = (settings(old), settings(new));
    let find = |settings: &[(Vec<String>, String)], path: &[String]| {
        settings.iter().find(|(other, _)| other == path).map(|(_, value)| value.clone())
    };
    let mut differences = Vec::new();
    for (path, old_value) in &old {
        match find(&new, path) {
            Some(value) if value == *old_value => {}
            Some(value) => differences.push(format!("{}: {old_value} -> {value}", dotted(path))),
            None => differences.push(format!("{}: {old_value} -> nothing", dotted(path))),
        }
    }
    for (path, value) in &new {
        if find(&old, path).is_none() {
            differences.push(format!("{}: nothing -> {value}", dotted(path)));
        }
    }
    Ok(differences)
}

/// Every value of a TOML text with its keys, in the order of the text. Arrays are values.
fn settings(toml: &str) -> Vec<(Vec<String>, String)> {
    fn walk(node: &Node, toml: &str, path: &mut Vec<String>, out: &mut Vec<(Vec<String>, String)>) {
        match &node.value {
            Value::Table(entries) if !entries.is_empty() || path.is_empty() => {
                for entry in entries {
                    path.push(entry.key.clone());
                    walk(&entry.node, toml, path, out);
                    path.pop();
                }
            }
            Value::Table(_) => out.push((path.clone(), "{}".to_owned())),
            _ => out.push((path.clone(), written(node, toml))),
        }
    }
    let mut out = Vec::new();
    if let Ok(table) = DeTable::parse(toml) {
        walk(&Node::from_table(table.get_ref(), 0, 0..0), toml, &mut Vec::new(), &mut out);
    }
    out
}

/// A value as TOML on one line.
fn written(node: &Node, toml: &str) -> String {
    match &node.value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, toml)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|entry| format!("{} = {}", quoted(&entry.key), written(&entry.node, toml)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        _ => toml.get(node.place.span.clone()).unwrap_or_default().to_owned(),
    }
}

fn origin(path: &[String], tree: &Node, layers: &[Layer]) -> Origin {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(node) = tree.get(&path) else {
        return Origin::Default;
    };
    match layers.get(node.place.layer) {
        None => Origin::Default,
        Some(layer) if layer.is_override => Origin::Override { argument: layer.text.to_string() },
        Some(layer) => {
            let (line, column) = line_and_column(&layer.text, node.place.span.start);
            Origin::File { name: layer.name.clone(), line, column }
        }
    }
}

fn dotted(path: &[String]) -> String {
    path.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".")
}

fn quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_bare { key.to_owned() } else { toml::Value::from(key).to_string() }
}
