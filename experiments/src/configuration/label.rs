//! What a sample is told apart by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use triptych_datasets::shard::Entry;

/// The property of a sample that is its class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Label {
    /// `text`: its first text.
    Text,
    /// `group`: what it means.
    Group,
    /// `tag:NAME`: the value of a tag.
    Tag(String),
}

impl Label {
    /// The property's own name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::Group => "group",
            Self::Tag(tag) => tag,
        }
    }

    /// The class of a sample, if it has one.
    pub(crate) fn of<'a>(&self, entry: &'a Entry) -> Option<&'a str> {
        let value = match self {
            Self::Text => entry.texts.first().map(String::as_str),
            Self::Group => Some(entry.group.as_str()),
            Self::Tag(tag) => entry.tags.get(tag).map(String::as_str),
        };
        value.filter(|value| !value.is_empty())
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match (name, name.strip_prefix("tag:")) {
            ("text", _) => Ok(Self::Text),
            ("group", _) => Ok(Self::Group),
            (_, Some(tag)) if !tag.is_empty() => Ok(Self::Tag(tag.to_owned())),
            _ => Err(format!("expected text, group or tag:NAME (such as tag:category), got {name:?}")),
        }
    }
}

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Group => f.write_str("group"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip_and_others_are_refused() {
        for name in ["text", "group", "tag:category"] {
            assert_eq!(name.parse::<Label>().unwrap().to_string(), name);
        }
        for name in ["", "tag:", "category"] {
            assert!(name.parse::<Label>().unwrap_err().ends_with(&format!("got {name:?}")));
        }
    }
}
