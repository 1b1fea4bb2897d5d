//! Reads a published `config.json` strictly where it matters: a setting that is not implemented is an error, never a
//! model that computes something else.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::{CheckpointError, quoted};
use super::folder::PublishedFolder;

/// The largest size that a config may give: beyond, a product of two would not fit.
const MAX_SIZE: u64 = 1 << 31;

/// A table of a published JSON file.
///
/// A key that is absent, or null, has the default that `transformers` gives it: its files leave out what is as usual.
#[derive(Clone, Debug)]
pub struct PublishedConfig {
    path: PathBuf,
    /// Keys of the tables around this one, each with its dot.
    within: String,
    table: Map<String, Value>,
}

impl PublishedConfig {
    /// The `config.json` of a folder.
    ///
    /// # Errors
    /// When there is none, or it is no table.
    pub fn open(folder: &PublishedFolder) -> Result<Self, CheckpointError> {
        let path = folder.file("config.json")?;
        let value = super::folder::read_json(&path)?;
        Self::new(&path, value)
    }

    /// A table that was read from `path`.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(path: &Path, value: Value) -> Result<Self, CheckpointError> {
        match value {
            Value::Object(table) => Ok(Self { path: path.to_owned(), within: String::new(), table }),
            other => Err(CheckpointError::content(path, "itself", "a JSON object", shown(&other))),
        }
    }

    /// All of it.
    pub fn table(&self) -> &Map<String, Value> {
        &self.table
    }

    /// The table under `key`, empty if there is none.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn section(&self, key: &str) -> Result<Self, CheckpointError> {
        let table = match self.get(key) {
            None => Map::new(),
            Some(Value::Object(table)) => table.clone(),
            Some(other) => return Err(self.wrong(key, "a JSON object", &shown(other))),
        };
        Ok(Self { path: self.path.clone(), within: format!("{}{key}.", self.within), table })
    }

    /// A size of at least 1.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn size(&self, key: &str, default: usize) -> Result<usize, CheckpointError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => match value.as_u64() {
                Some(size @ 1..MAX_SIZE) => Ok(size as usize),
                _ => Err(self.wrong(key, "a size of at least 1", &shown(value))),
            },
        }
    }

    /// The length of a square's side, which some write as a list of two.
    ///
    /// # Errors
    /// When something else stands there, or height and width differ.
    pub fn side(&self, key: &str, default: usize) -> Result<usize, CheckpointError> {
        match self.get(key) {
            Some(Value::Array(sides)) => match sides.as_slice() {
                [height, width] if height == width => match height.as_u64() {
                    Some(side @ 1..MAX_SIZE) => Ok(side as usize),
                    _ => Err(self.wrong(key, "a size of at least 1", &shown(height))),
                },
                _ => Err(self.wrong(key, "a square", &shown(&Value::Array(sides.clone())))),
            },
            _ => self.size(key, default),
        }
    }

    /// Sizes of at least 1.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn sizes(&self, key: &str, default: &[usize]) -> Result<Vec<usize>, CheckpointError> {
        let Some(value) = self.get(key) else { return Ok(default.to_vec()) };
        let sizes = value.as_array().and_then(|items| {
            let size = |item: &Value| item.as_u64().filter(|size| (1..MAX_SIZE).contains(size));
            items.iter().map(|item| size(item).map(|size| size as usize)).collect::<Option<Vec<_>>>()
        });
        sizes.ok_or_else(|| self.wrong(key, "a list of sizes of at least 1", &shown(value)))
    }

    /// The number of a token, below `n_vocab`.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn token(&self, key: &str, default: u32, n_vocab: usize) -> Result<u32, CheckpointError> {
        let id = match self.get(key) {
            None => u64::from(default),
            Some(value) => {
                value.as_u64().ok_or_else(|| self.wrong(key, "the number of a token", &shown(value)))?
            }
        };
        match u32::try_from(id) {
            Ok(id) if (id as usize) < n_vocab => Ok(id),
            _ => Err(self.wrong(key, &format!("a token below {n_vocab}"), &id.to_string())),
        }
    }

    /// A positive number.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn positive(&self, key: &str, default: f64) -> Result<f64, CheckpointError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(number) if number > 0.0 && number.is_finite() => Ok(number),
                _ => Err(self.wrong(key, "a number above 0", &shown(value))),
            },
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, CheckpointError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "true or false", &shown(value))),
        }
    }

    /// One of the names that are implemented, with what it stands for.
    ///
    /// # Errors
    /// When another stands there.
    pub fn choice<T: Copy>(
        &self,
        key: &str,
        default: &str,
        implemented: &[(&str, T)],
    ) -> Result<T, CheckpointError> {
        let absent = Value::from(default);
        let value = self.get(key).unwrap_or(&absent);
        let found = implemented.iter().find(|(name, _)| value.as_str() == Some(*name));
        found.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let names = implemented.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>();
            self.wrong(key, &names.join(" or "), &shown(value))
        })
    }

    /// Checks a setting of which only one value is implemented, the default.
    ///
    /// # Errors
    /// When another stands there.
    pub fn only(&self, key: &str, implemented: impl Into<Value>) -> Result<(), CheckpointError> {
        let implemented = implemented.into();
        match self.get(key) {
            Some(value) if *value != implemented => Err(self.wrong(
                key,
                &format!("{}, as only that is implemented", shown(&implemented)),
                &shown(value),
            )),
            _ => Ok(()),
        }
    }

    /// The text under `key`, if there is one.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// An error about the value of `key`.
    pub fn wrong(&self, key: &str, expected: &str, got: &str) -> CheckpointError {
        let place = format!("key {}", quoted(&format!("{}{key}", self.within)));
        CheckpointError::content(&self.path, place, expected, got)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.table.get(key).filter(|value| !value.is_null())
    }
}

/// A value as it may stand in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Object(_) => "an object".to_owned(),
        other => quoted(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(value: Value) -> PublishedConfig {
        PublishedConfig::new(Path::new("config.json"), value).expect("an object")
    }

    #[test]
    fn what_is_absent_or_null_has_its_default() {
        let config = config(json!({ "hidden_size": null }));
        assert_eq!(config.size("hidden_size", 768).expect("the default"), 768);
        assert_eq!(config.sizes("conv_dim", &[512, 512]).expect("the default"), [512, 512]);
        assert!(!config.flag("x", false).expect("the default"));
        assert_eq!(config.choice("hidden_act", "gelu", &[("gelu", 1)]).expect("the default"), 1);
        config.only("position_embedding_type", "absolute").expect("the default");
        assert_eq!(
            config.section("text_config").expect("an empty one").size("d", 3).expect("the default"),
            3
        );
    }

    #[test]
    fn what_is_not_implemented_is_told_by_key_expected_and_got() {
        let config = config(json!({
            "text_config": { "hidden_act": "mish", "position_embedding_type": "relative_key" },
            "hidden_size": -3, "layer_norm_eps": "small", "image_size": [224, 192], "conv_dim": [512, 0],
            "is_decoder": 1, "pad_token_id": 50_000, "huge": 1e300,
        }));
        let text = config.section("text_config").expect("a table");
        let said = |error: CheckpointError| error.to_string();
        assert_eq!(
            said(text.choice("hidden_act", "gelu", &[("gelu", 1), ("relu", 2)]).expect_err("unknown")),
            "config.json, key `text_config.hidden_act`: expected `gelu` or `relu`, got `mish`"
        );
        assert_eq!(
            said(text.only("position_embedding_type", "absolute").expect_err("another")),
            "config.json, key `text_config.position_embedding_type`: expected `absolute`, as only that is implemented, \
             got `relative_key`"
        );
        assert_eq!(
            said(config.size("hidden_size", 1).expect_err("negative")),
            "config.json, key `hidden_size`: expected a size of at least 1, got `-3`"
        );
        assert!(said(config.positive("layer_norm_eps", 1.0).expect_err("a text")).ends_with("got `small`"));
        assert!(
            said(config.side("image_size", 1).expect_err("no square"))
                .ends_with("expected a square, got `[224,192]`")
        );
        assert!(said(config.sizes("conv_dim", &[]).expect_err("zero")).ends_with("got `[512,0]`"));
        assert!(said(config.flag("is_decoder", true).expect_err("a number")).ends_with("got `1`"));
        assert!(
            said(config.token("pad_token_id", 0, 100).expect_err("too large"))
                .ends_with("expected a token below 100, got 50000")
        );
        assert!(config.size("huge", 1).is_err());
    }
}
