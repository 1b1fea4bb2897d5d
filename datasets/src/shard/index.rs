//! What a corpus folder says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sample::{Question, Split};

/// A sample as the index knows it: everything but its picture and its sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique within the corpus.
    pub id: String,
    /// Where it came from, for messages.
    pub source: String,
    /// Samples of one group share their meaning.
    pub group: String,
    /// Where it may be used.
    pub split: Split,
    /// Captions or transcripts; the first is the one that a model learns to write.
    pub texts: Vec<String>,
    /// What may be asked about its picture or its sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// Whatever else is known.
    pub tags: BTreeMap<String, String>,
    /// Which shard, by its place in the index.
    pub shard_idx: usize,
    /// The picture in the shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Member>,
    /// The sound in the shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Member>,
    /// Length of the sound, where its header told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
}

/// Where the bytes of a picture or a sound lie in their shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The file name's ending without the dot.
    pub extension: String,
    /// First byte, from the start of the shard.
    pub offset: u64,
    /// Number of bytes.
    pub n_bytes: u64,
    /// The first 64 bits of their BLAKE3, in hexadecimal; checked on every read.
    pub hash: String,
}

/// One row of the licence ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Licence {
    /// Which part of the corpus.
    pub part: String,
    /// Whose package or program it came from.
    pub source: String,
    /// Its version.
    pub version: String,
    /// SPDX expression, or words where there is none.
    pub licence: String,
    /// The notice to show.
    pub attribution: String,
    /// Files of the original distribution that it covers.
    pub files: Vec<String>,
}

/// `index.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub format_version: u32,
    pub name: String,
    /// Hash of whatever the corpus was made from; a matching one need not be made again.
    pub recipe: String,
    pub n_samples: usize,
    pub shards: Vec<FileRecord>,
    pub entries: FileRecord,
    pub licences: FileRecord,
    /// BLAKE3 over the fields above, and so over every byte of the corpus.
    pub content_hash: String,
}

/// A file of the corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub name: String,
    pub n_bytes: u64,
    pub blake3: String,
    pub n_samples: usize,
}

impl Index {
    pub(crate) fn compute_content_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut field = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        field(&self.format_version.to_string());
        field(&self.name);
        field(&self.recipe);
        field(&self.n_samples.to_string());
        for file in self.shards.iter().chain([&self.entries, &self.licences]) {
            field(&file.name);
            field(&file.n_bytes.to_string());
            field(&file.blake3);
            field(&file.n_samples.to_string());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The first 64 bits of BLAKE3 in hexadecimal: enough against accidents.
pub(crate) fn short_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}
