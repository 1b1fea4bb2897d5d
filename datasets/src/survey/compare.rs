//! How two corpora differ, sample by sample, by identifier.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::sample::Question;
use crate::shard::{Corpus, Entry, Member};

/// What of a sample changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Its texts, or their order.
    Texts,
    /// What is asked about it, or what is answered.
    Questions,
    /// Its picture: other bytes, or none where there was one.
    Picture,
    /// Its sound.
    Sound,
    /// Its split.
    Split,
    /// Its group.
    Group,
    /// Its tags.
    Tags,
}

/// A sample that both corpora have, and that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedSample {
    /// Its identifier.
    pub id: String,
    /// What changed, with what was before and what is now.
    pub changes: BTreeMap<Change, [String; 2]>,
}

/// How one corpus differs from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Samples of the first.
    pub n_before: u64,
    /// Samples of the second.
    pub n_after: u64,
    /// Samples that are the same in both.
    pub n_same: u64,
    /// Samples that only the second has.
    pub n_added: u64,
    /// Samples that only the first has.
    pub n_removed: u64,
    /// Samples that both have and that differ.
    pub n_changed: u64,
    /// How many samples changed in which way; a sample may change in several.
    pub changes: BTreeMap<Change, u64>,
    /// Whether the licence ledgers differ.
    pub is_ledger_changed: bool,
    /// The first identifiers that were added.
    pub added: Vec<String>,
    /// The first identifiers that were removed.
    pub removed: Vec<String>,
    /// The first samples that changed.
    pub changed: Vec<ChangedSample>,
}

impl Comparison {
    /// Whether the corpora hold the same samples under the same licences. Their order, their shards, their names and
    /// where their samples came from may differ.
    pub fn is_same(&self) -> bool {
        self.n_added + self.n_removed + self.n_changed == 0 && !self.is_ledger_changed
    }
}

/// Compares two corpora; up to `n_shown` samples of each kind are named. Pictures and sounds are compared by the hashes
/// in the indexes, without reading them.
pub fn compare(before: &Corpus, after: &Corpus, n_shown: usize) -> Comparison {
    let old: HashMap<&str, &Entry> =
        before.entries().iter().map(|entry| (entry.id.as_str(), entry)).collect();
    let mut found = Comparison {
        n_before: before.len() as u64,
        n_after: after.len() as u64,
        n_same: 0,
        n_added: 0,
        n_removed: 0,
        n_changed: 0,
        changes: BTreeMap::new(),
        is_ledger_changed: before.licences() != after.licences(),
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
    };
    let mut kept = std::collections::HashSet::with_capacity(old.len());
    for entry in after.entries() {
        let Some(before) = old.get(entry.id.as_str()) else {
            found.n_added += 1;
            if found.added.len() < n_shown {
                found.added.push(entry.id.clone());
            }
            continue;
        };
        kept.insert(entry.id.as_str());
        let changes = changes(before, entry);
        if changes.is_empty() {
            found.n_same += 1;
            continue;
        }
        found.n_changed += 1;
        changes.keys().for_each(|change| *found.changes.entry(*change).or_default() += 1);
        if found.changed.len() < n_shown {
            found.changed.push(ChangedSample { id: entry.id.clone(), changes });
        }
    }
    for entry in before.entries().iter().filter(|entry| !kept.contains(entry.id.as_str())) {
        found.n_removed += 1;
        if found.removed.len() < n_shown {
            found.removed.push(entry.id.clone());
        }
    }
    found
}

fn asked(entry: &Entry) -> String {
    let question = |asked: &Question| format!("{} {}", asked.question, asked.answers.join(", "));
    entry.questions.iter().map(question).collect::<Vec<_>>().join(" / ")
}

fn changes(before: &Entry, after: &Entry) -> BTreeMap<Change, [String; 2]> {
    let mut changes = BTreeMap::new();
    if before.texts != after.texts {
        changes.insert(Change::Texts, [before.texts.join(" / "), after.texts.join(" / ")]);
    }
    if before.questions != after.questions {
        changes.insert(Change::Questions, [before, after].map(asked));
    }
    for (change, old, new) in
        [(Change::Picture, &before.image, &after.image), (Change::Sound, &before.audio, &after.audio)]
    {
        let (old, new) = (medium(old), medium(new));
        if old != new {
            changes.insert(change, [old, new]);
        }
    }
    if before.split != after.split {
        changes.insert(Change::Split, [before, after].map(|entry| split_name(entry).to_owned()));
    }
    if before.group != after.group {
        changes.insert(Change::Group, [before.group.clone(), after.group.clone()]);
    }
    if before.tags != after.tags {
        let different = |one: &Entry, other: &Entry| {
            let tags = one.tags.iter().filter(|(key, value)| other.tags.get(*key) != Some(value));
            tags.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
        };
        changes.insert(Change::Tags, [different(before, after), different(after, before)]);
    }
    changes
}

fn split_name(entry: &Entry) -> &'static str {
    match entry.split {
        crate::sample::Split::Train => "train",
        crate::sample::Split::Validation => "validation",
        crate::sample::Split::Test => "test",
    }
}

/// Equal for equal bytes under an equal ending.
fn medium(member: &Option<Member>) -> String {
    match member {
        None => "none".to_owned(),
        Some(member) => format!(".{}, {} bytes, blake3 {}", member.extension, member.n_bytes, member.hash),
    }
}
