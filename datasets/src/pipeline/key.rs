//! What two samples may share, so that they belong together.

use serde::{Deserialize, Serialize};

use super::item::Item;
use crate::text::normalise;

/// A property of a sample by which samples are kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Key {
    /// `group`: what a loader pairs; by itself a sample is its own group.
    #[default]
    Group,
    /// `id`: nothing is shared.
    Id,
    /// `caption`: any text, normalised.
    Caption,
    /// `picture`: the same file.
    Picture,
    /// `sound`: the same file.
    Sound,
    /// `tag:NAME`: the value of a tag, such as a speaker.
    Tag(String),
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "group" => Ok(Self::Group),
            "id" => Ok(Self::Id),
            "caption" => Ok(Self::Caption),
            "picture" => Ok(Self::Picture),
            "sound" => Ok(Self::Sound),
            _ => match name.strip_prefix("tag:") {
                Some(tag) if !tag.is_empty() => Ok(Self::Tag(tag.to_owned())),
                _ => Err(format!(
                    "expected one of group, id, caption, picture, sound, tag:NAME (such as tag:speaker), got {name:?}"
                )),
            },
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        match key {
            Key::Group => "group".to_owned(),
            Key::Id => "id".to_owned(),
            Key::Caption => "caption".to_owned(),
            Key::Picture => "picture".to_owned(),
            Key::Sound => "sound".to_owned(),
            Key::Tag(tag) => format!("tag:{tag}"),
        }
    }
}

impl Key {
    /// Whether a sample has at most one value of it, which is known before any stage.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self, Self::Group | Self::Id | Self::Tag(_))
    }

    /// The values of a sample, each as text that no other key gives.
    pub(crate) fn values(&self, item: &Item) -> Vec<String> {
        match self {
            Self::Group => vec![format!("group\0{}", group(&item.group, &item.id))],
            Self::Id => vec![format!("id\0{}", item.id)],
            Self::Tag(tag) => vec![of_tag(tag, item.tags.get(tag), &item.id)],
            Self::Caption => item.texts.iter().map(|text| format!("caption\0{}", normalise(text))).collect(),
            Self::Picture => item.image.iter().map(|image| format!("media\0{}", image.blob.hash)).collect(),
            Self::Sound => item.audio.iter().map(|audio| format!("media\0{}", audio.blob.hash)).collect(),
        }
    }

    /// The value of a sample of which only the index is known, for keys with [`Key::is_single`].
    pub(crate) fn single(&self, entry: &crate::shard::Entry) -> String {
        match self {
            Self::Tag(tag) => of_tag(tag, entry.tags.get(tag), &entry.id),
            Self::Group => format!("group\0{}", group(&entry.group, &entry.id)),
            _ => format!("id\0{}", entry.id),
        }
    }
}

/// A sample without a group is its own.
fn group<'a>(group: &'a str, id: &'a str) -> &'a str {
    if group.is_empty() { id } else { group }
}

fn of_tag(tag: &str, value: Option<&String>, id: &str) -> String {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => format!("tag\0{tag}\0{value}"),
        None => format!("id\0{id}"),
    }
}
