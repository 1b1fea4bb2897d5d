//! What a config may set of an objective, beside how much it counts and when.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// Options by name, as a config gives them.
pub type Options = serde_json::Map<String, Value>;

/// An option that an objective does not have, or not with such a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("option `{option}` must be {expected}")]
pub struct OptionError {
    /// Its name.
    pub option: String,
    /// Completes "must be ...".
    pub expected: String,
}

impl OptionError {
    /// `option` must be `expected`.
    pub(super) fn new(option: &str, expected: impl Into<String>) -> Self {
        Self { option: option.to_owned(), expected: expected.into() }
    }
}

/// The options of `values` by name.
pub(super) fn table(values: &impl Serialize) -> Options {
    match serde_json::to_value(values) {
        Ok(Value::Object(table)) => table,
        // a struct of numbers and names is an object
        other => unreachable!("options are a struct, not {other:?}"),
    }
}

/// `defaults` with the options that are `given` in their place.
///
/// # Errors
/// An option that there is not, and one of another type.
pub(super) fn given<T: Serialize + DeserializeOwned>(
    defaults: &T,
    given: &Options,
) -> Result<T, OptionError> {
    let mut table = table(defaults);
    for (name, value) in given {
        let Some(place) = table.get_mut(name) else {
            return Err(OptionError::new(name, "left out: the objective has no such option"));
        };
        let like = std::mem::replace(place, value.clone());
        // one at a time, so that an error is about this one
        if serde_json::from_value::<T>(Value::Object(table.clone())).is_err() {
            return Err(OptionError::new(name, format!("a value like {like}, its default")));
        }
    }
    serde_json::from_value(Value::Object(table)).map_err(|error| OptionError::new("", error.to_string()))
}

/// Checks a share of which neither nothing nor all makes sense.
pub(super) fn check_share(option: &str, share: f64) -> Result<(), OptionError> {
    let is_part = share > 0.0 && share < 1.0;
    if is_part { Ok(()) } else { Err(OptionError::new(option, "above 0 and below 1")) }
}

/// Checks the share of a target that all classes get alike.
pub(super) fn check_label_smoothing(share: f64) -> Result<(), OptionError> {
    let is_possible = (0.0..1.0).contains(&share);
    if is_possible { Ok(()) } else { Err(OptionError::new("label_smoothing", "at least 0 and below 1")) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Some {
        share: f32,
        n_spans: usize,
    }

    const DEFAULTS: Some = Some { share: 0.15, n_spans: 2 };

    fn options(value: Value) -> Options {
        serde_json::from_value(value).expect("a table")
    }

    #[test]
    fn what_is_given_replaces_a_default_and_nothing_else() {
        assert_eq!(given(&DEFAULTS, &Options::new()), Ok(DEFAULTS));
        assert_eq!(given(&DEFAULTS, &options(json!({"n_spans": 7}))), Ok(Some { share: 0.15, n_spans: 7 }));
    }

    #[test]
    fn an_unknown_option_and_one_of_another_type_are_named() {
        let error = given(&DEFAULTS, &options(json!({"spans": 7}))).expect_err("there is no `spans`");
        assert_eq!(error.option, "spans");
        let error = given(&DEFAULTS, &options(json!({"n_spans": "many"}))).expect_err("no number");
        assert_eq!(error, OptionError::new("n_spans", "a value like 2, its default"));
        let error = given(&DEFAULTS, &options(json!({"n_spans": -1}))).expect_err("below 0");
        assert_eq!(error.option, "n_spans");
    }
}
