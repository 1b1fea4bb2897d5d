//! A range of allowed values.

use serde::{Deserialize, Serialize};

/// `{ min = 1, max = 2 }`; both ends belong to it, and either may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// The least allowed value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest allowed value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Bounds {
    /// Why a value is not in it. `what` names the value, `unit` follows the numbers.
    pub(crate) fn refuse(&self, what: &str, value: f64, unit: &str) -> Option<String> {
        let shown = |value: f64| {
            let rounded = (value * 1000.0).round() / 1000.0;
            format!("{rounded}")
        };
        if let Some(min) = self.min
            && (value < min || value.is_nan())
        {
            return Some(format!("expected {what} of at least {min}{unit}, got {}", shown(value)));
        }
        if let Some(max) = self.max
            && (value > max || value.is_nan())
        {
            return Some(format!("expected {what} of at most {max}{unit}, got {}", shown(value)));
        }
        None
    }

    /// What is wrong with the range itself.
    pub(crate) fn objection(&self) -> Option<String> {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min > max => Some(format!("min {min} exceeds max {max}")),
            (min, max) if min.into_iter().chain(max).any(f64::is_nan) => {
                Some("expected numbers, got nan".to_owned())
            }
            _ => None,
        }
    }
}
