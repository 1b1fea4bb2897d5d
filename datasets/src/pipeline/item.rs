//! A sample on its way through the stages: what is known about it, and where its bytes lie.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::signature::Signature;
use crate::sample::{Media, Question, Sample, Split};
use crate::shard::{CorpusWalk, Entry};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub id: String,
    pub source: String,
    pub group: String,
    pub split: Split,
    pub texts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    pub tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Picture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Sound>,
    #[serde(default, skip_serializing_if = "Signature::is_empty")]
    pub signature: Signature,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub blob: Blob,
    /// In pixels, upright.
    pub width: u32,
    pub height: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sound {
    pub blob: Blob,
    pub duration_s: f64,
}

/// Encoded bytes somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub place: Place,
    pub extension: String,
    pub n_bytes: u64,
    /// 128 bits of BLAKE3 in hexadecimal; empty until the first stage has read it.
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// A range of a shard of a source, with its hash there.
    Source { corpus_idx: usize, shard_idx: usize, offset: u64, hash: String },
    /// A range of a file of the cache.
    Cache { file: String, offset: u64 },
    /// Made by the stage at work; the chunk's writer gives it a place.
    #[serde(skip)]
    Memory(Arc<[u8]>),
}

impl Blob {
    pub(crate) fn new(bytes: Vec<u8>, extension: &str) -> Self {
        Self {
            extension: extension.to_owned(),
            n_bytes: bytes.len() as u64,
            hash: media_hash(&bytes),
            place: Place::Memory(bytes.into()),
        }
    }
}

pub(crate) fn media_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

impl Item {
    /// A sample of a source before any stage.
    pub(crate) fn of_entry(entry: Entry, corpus_idx: usize) -> Self {
        let blob = |member: &crate::shard::Member| Blob {
            place: Place::Source {
                corpus_idx,
                shard_idx: entry.shard_idx,
                offset: member.offset,
                hash: member.hash.clone(),
            },
            extension: member.extension.clone(),
            n_bytes: member.n_bytes,
            hash: String::new(),
        };
        Self {
            image: entry.image.as_ref().map(|member| Picture { blob: blob(member), width: 0, height: 0 }),
            audio: entry.audio.as_ref().map(|member| Sound { blob: blob(member), duration_s: 0.0 }),
            id: entry.id,
            source: entry.source,
            group: entry.group,
            split: entry.split,
            texts: entry.texts,
            questions: entry.questions,
            tags: entry.tags,
            signature: Signature::default(),
        }
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        let asked = self.questions.iter().flat_map(Question::texts);
        let texts: usize = self.texts.iter().chain(asked).map(String::len).sum();
        let image = self.image.as_ref().map_or(0, |image| image.blob.n_bytes);
        let audio = self.audio.as_ref().map_or(0, |audio| audio.blob.n_bytes);
        texts as u64 + image + audio
    }

    /// Whether there is anything to learn from.
    pub(crate) fn is_empty(&self) -> bool {
        self.image.is_none() && self.audio.is_none() && self.texts.is_empty()
    }

    /// With its bytes.
    pub(crate) fn into_sample(self, store: &Store) -> Result<Sample, PipelineError> {
        let image = match &self.image {
            Some(image) => Some(Media {
                bytes: store.bytes(&image.blob)?.into_owned(),
                extension: image.blob.extension.clone(),
            }),
            None => None,
        };
        let audio = match &self.audio {
            Some(audio) => Some(Media {
                bytes: store.bytes(&audio.blob)?.into_owned(),
                extension: audio.blob.extension.clone(),
            }),
            None => None,
        };
        Ok(Sample {
            id: self.id,
            source: self.source,
            group: self.group,
            split: self.split,
            image,
            audio,
            texts: self.texts,
            questions: self.questions,
            tags: self.tags,
        })
    }
}

/// Where bytes come from: the sources, and the cache.
pub(crate) struct Store {
    pub corpora: Vec<CorpusWalk>,
    pub cache: PathBuf,
}

impl Store {
    /// Gives back the pages of the sources that were read.
    pub(crate) fn release(&self) {
        self.corpora.iter().for_each(CorpusWalk::release_pages);
    }

    /// The bytes of a picture or a sound.
    pub(crate) fn bytes<'a>(&'a self, blob: &'a Blob) -> Result<Cow<'a, [u8]>, PipelineError> {
        match &blob.place {
            Place::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Place::Source { corpus_idx, shard_idx, offset, hash } => {
                let corpus = self.corpora.get(*corpus_idx).ok_or_else(|| {
                    let n_sources = self.corpora.len();
                    let problem = format!("expected one of {n_sources} sources, got number {corpus_idx}");
                    PipelineError::cache(&self.cache, problem)
                })?;
                Ok(Cow::Borrowed(corpus.bytes(*shard_idx, *offset, blob.n_bytes, hash)?))
            }
            Place::Cache { file, offset } => {
                let path = self.cache.join(file);
                let bytes = read_range(&path, *offset, blob.n_bytes)?;
                if media_hash(&bytes) != blob.hash {
                    let problem = format!("byte {offset}: expected blake3 {}, got another", blob.hash);
                    return Err(PipelineError::cache(&path, problem));
                }
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

fn read_range(path: &Path, offset: u64, n_bytes: u64) -> Result<Vec<u8>, PipelineError> {
    let file = File::open(path).map_err(|e| PipelineError::io("open", path, e))?;
    // SAFETY: files of the cache are written whole and never changed
    let map = unsafe { Mmap::map(&file) }.map_err(|e| PipelineError::io("map", path, e))?;
    let end = offset.checked_add(n_bytes).filter(|end| *end <= map.len() as u64);
    let end =
        end.ok_or_else(|| PipelineError::cache(path, format!("expected {n_bytes} bytes from {offset}")))?;
    Ok(map[offset as usize..end as usize].to_vec())
}
