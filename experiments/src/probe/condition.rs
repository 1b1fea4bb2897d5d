//! Conditions on samples as the command line has them: `style=noto|fluent,split=train`.

use std::collections::BTreeMap;
use std::fmt;

use triptych_datasets::loader::Selection;
use triptych_datasets::sample::Split;
use triptych_datasets::shard::Entry;

/// Tags that samples must have, and the split that they must be of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    selection: Selection,
    /// Whether the split was left to the default.
    is_default_split: bool,
}

impl Condition {
    /// A whole split.
    pub(crate) fn of_split(split: Split) -> Self {
        Self { selection: Selection::of_split(split), is_default_split: true }
    }

    /// Parts `KEY=VALUE` joined by commas, several values by `|`; the key `split` is `train`, `validation`, `test` or `all`,
    /// and `split` where it is not there.
    ///
    /// # Errors
    /// Completes "expected ...".
    pub(crate) fn parse(text: &str, split: Split) -> Result<Self, String> {
        let mut condition = Self::of_split(split);
        let mut tags = BTreeMap::new();
        for part in text.split(',') {
            let Some((key, values)) = part.split_once('=') else {
                return Err(format!("parts KEY=VALUE joined by commas, got {part:?}"));
            };
            let (key, values) = (key.trim(), values.split('|').map(str::trim).collect::<Vec<_>>());
            if key.is_empty() || values.iter().any(|value| value.is_empty()) {
                return Err(format!("parts KEY=VALUE joined by commas, got {part:?}"));
            }
            if key == "split" {
                condition.is_default_split = false;
                condition.selection.split = match values[..] {
                    ["train"] => Some(Split::Train),
                    ["validation"] => Some(Split::Validation),
                    ["test"] => Some(Split::Test),
                    ["all"] => None,
                    _ => return Err(format!("split=train, validation, test or all, got {part:?}")),
                };
            } else if tags.insert(key.to_owned(), values.into_iter().map(str::to_owned).collect()).is_some() {
                return Err(format!("each key once, got {key:?} twice (`{key}=A|B` is one or the other)"));
            }
        }
        condition.selection.tags = tags;
        Ok(condition)
    }

    /// The same of the validation split, where the split was left to the default.
    pub(crate) fn for_validation(&self) -> Option<Self> {
        let mut other = self.clone();
        other.selection.split = Some(Split::Validation);
        self.is_default_split.then_some(other)
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        self.selection.matches(entry)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = match self.selection.split {
            Some(Split::Train) => "train",
            Some(Split::Validation) => "validation",
            Some(Split::Test) => "test",
            None => "all",
        };
        write!(f, "split={split}")?;
        self.selection.tags.iter().try_for_each(|(key, values)| write!(f, ",{key}={}", values.join("|")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Condition::parse(text, Split::Train).map_or_else(|error| error, |condition| condition.to_string())
    }

    #[test]
    fn conditions_survive_a_round_trip() {
        assert_eq!(shown("style=noto|fluent, known=yes"), "split=train,known=yes,style=noto|fluent");
        assert_eq!(shown("split=all,style=noto"), "split=all,style=noto");
        assert_eq!(shown(&shown("split=validation")), "split=validation");
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["", "style", "style=", "=noto", "style=noto,", "style=noto||fluent"] {
            assert!(
                shown(text).starts_with("parts KEY=VALUE joined by commas, got "),
                "{text}: {}",
                shown(text)
            );
        }
        assert_eq!(shown("split=dev"), "split=train, validation, test or all, got \"split=dev\"");
        assert!(shown("style=a,style=b").starts_with("each key once, got \"style\" twice"));
    }

    #[test]
    fn only_the_default_split_gives_way_to_validation() {
        let condition = |text| Condition::parse(text, Split::Train).unwrap().for_validation();
        assert_eq!(condition("style=noto").unwrap().to_string(), "split=validation,style=noto");
        assert!(condition("split=train,style=noto").is_none());
    }
}
