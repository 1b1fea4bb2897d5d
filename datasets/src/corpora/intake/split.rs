//! Which split a sample belongs to, where its source does not say.

use std::str::FromStr;

use super::{RawMedia, RawSample};
use crate::sample::Split;

/// Where splits come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SplitRule {
    /// What the source says; what it leaves open is shared out by group.
    #[default]
    Source,
    /// Shared out by group, whatever the source says.
    Group,
    /// Shared out by a tag's value, so that a speaker, say, never stands on two sides; by group without that tag.
    Tag(String),
    /// A folder on the way to the item's files: `train`, `val`, `test` and the like; else as `Source`.
    Folder,
    /// What the source says; what it leaves open goes to one split.
    Rest(Split),
}

impl FromStr for SplitRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "source" => Ok(Self::Source),
            "group" => Ok(Self::Group),
            "folder" => Ok(Self::Folder),
            _ => match (text.strip_prefix("tag:"), split_of_name(text)) {
                (Some(tag), _) if !tag.is_empty() => Ok(Self::Tag(tag.to_owned())),
                (None, Some(split)) => Ok(Self::Rest(split)),
                _ => Err(format!(
                    "expected source, group, folder, tag:NAME, train, validation or test, got {text:?}"
                )),
            },
        }
    }
}

/// How much of what is shared out goes to validation and to test, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub validation_percent: u8,
    pub test_percent: u8,
}

impl SplitRule {
    pub(crate) fn split(&self, shares: Shares, raw: &RawSample, group: &str) -> Split {
        match self {
            Self::Source => raw.split.unwrap_or_else(|| share(shares, group)),
            Self::Group => share(shares, group),
            Self::Tag(tag) => share(shares, raw.tags.get(tag).map_or(group, String::as_str)),
            Self::Folder => {
                let media = raw.image.iter().chain(&raw.audio).find_map(|media| match media {
                    RawMedia::File(path) => split_of_folder(path),
                    RawMedia::Bytes(_) => None,
                });
                media
                    .or_else(|| split_of_folder(&raw.place.file))
                    .or(raw.split)
                    .unwrap_or_else(|| share(shares, group))
            }
            Self::Rest(split) => raw.split.unwrap_or(*split),
        }
    }
}

/// A function of the words alone: the same in every corpus, whatever else is in it.
fn share(shares: Shares, words: &str) -> Split {
    let hash = blake3::keyed_hash(b"triptych: shares of the splits  ", words.as_bytes());
    let [a, b, c, d, ..] = hash.as_bytes();
    let percent = f64::from(u32::from_le_bytes([*a, *b, *c, *d])) / f64::from(u32::MAX) * 100.0;
    let test = f64::from(shares.test_percent);
    match percent {
        _ if percent < test => Split::Test,
        _ if percent < test + f64::from(shares.validation_percent) => Split::Validation,
        _ => Split::Train,
    }
}

/// The split that goes by a name: `train`, `val`, `dev`, `validation`, `test` and the like.
pub(crate) fn split_of_name(name: &str) -> Option<Split> {
    match name.to_lowercase().as_str() {
        "train" | "training" | "restval" => Some(Split::Train),
        "validation" | "valid" | "val" | "dev" | "development" => Some(Split::Validation),
        "test" | "testing" | "eval" | "evaluation" => Some(Split::Test),
        _ => None,
    }
}

/// The split that a part of a path names, by itself (`train/`) or at its start (`train2014/`, `dev-clean/`).
pub(crate) fn split_of_folder(path: &str) -> Option<Split> {
    path.split('/').find_map(|part| {
        let end = part.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(part.len());
        split_of_name(&part[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpora::intake::Place;

    const SHARES: Shares = Shares { validation_percent: 5, test_percent: 10 };

    #[test]
    fn shares_are_what_was_asked_for_and_depend_on_the_group_alone() {
        let mut n_samples = [0; 3];
        for group in 0..20_000 {
            let split = share(SHARES, &group.to_string());
            assert_eq!(split, share(SHARES, &group.to_string()));
            n_samples[split as usize] += 1;
        }
        let near = |got: usize, expected: usize| got.abs_diff(expected) < 200;
        assert!(near(n_samples[1], 1000) && near(n_samples[2], 2000), "{n_samples:?}");
        assert_eq!(share(Shares { validation_percent: 0, test_percent: 0 }, "x"), Split::Train);
    }

    #[test]
    fn folders_name_splits() {
        assert_eq!(split_of_folder("a/val2017/x.jpg"), Some(Split::Validation));
        assert_eq!(split_of_folder("dev-clean/84/x.flac"), Some(Split::Validation));
        assert_eq!(split_of_folder("train-00000-of-00002.parquet"), Some(Split::Train));
        assert_eq!(split_of_folder("tested/x"), None);
    }

    #[test]
    fn rules_say_who_decides() {
        let place = Place::file("test/a.png");
        let mut raw = RawSample { split: Some(Split::Validation), ..RawSample::new("a", place) };
        raw.tag("speaker", "anna");
        let split = |rule: &str| rule.parse::<SplitRule>().map(|rule| rule.split(SHARES, &raw, "a"));
        assert_eq!(split("source"), Ok(Split::Validation));
        assert_eq!(split("folder"), Ok(Split::Test));
        assert_eq!(split("test"), Ok(Split::Validation));
        assert_eq!(split("tag:speaker"), Ok(share(SHARES, "anna")));
        assert!(split("by moon").is_err() && split("tag:").is_err());
    }
}
