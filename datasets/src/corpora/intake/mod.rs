//! How foreign collections become corpora: a [`Format`] reads what lies in a folder, item by item, and the intake does what
//! all of them need.
//!
//! ```text
//! Source --Format::read--> RawSample --cut, resolve--> Sample --split, count--> ShardWriter
//!            \__________________ \__________________________ \___> Failure --> ledger.jsonl
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`source`] | the folder: nothing outside it is opened |
//! | [`lines`], [`table`] | text files line by line and row by row, with limits and places |
//! | [`identifier`], [`split`] | a key and a split for every sample |
//! | [`recording`], [`resolve`] | a span cut out of a recording; bytes read and checked |
//! | [`ledger`] | what failed, where and why |
//! | [`run`] | all of it in order |
//!
//! Nothing here grows with the number of items, and the same input gives the same bytes: items are read in a fixed
//! order, checked by several threads, and written in that order again.

pub(crate) mod identifier;
pub(crate) mod ledger;
pub(crate) mod lines;
mod recording;
pub(crate) mod resolve;
mod run;
pub(crate) mod source;
pub(crate) mod split;
pub(crate) mod summary;
pub(crate) mod table;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::{ImportError, Importer, Request};
use crate::sample::{Media, Question, Split};
use crate::shard::Licence;
pub use ledger::{Failure, Place};
pub use source::Source;
pub use split::SplitRule;
pub use summary::{Preview, Summary};

/// Items of a source in a fixed order, each of them good or a failure of its own.
pub type RawItems<'a> = Box<dyn Iterator<Item = Result<RawSample, Failure>> + 'a>;

/// A layout of files that can be imported. A new one is a file in `corpora/` and a line in [`super::CORPORA`].
pub trait Format: Sync {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;

    /// One line for `triptych list`.
    fn about(&self) -> &'static str;

    /// The rows of the licence ledger that are known whoever imports it.
    fn licences(&self) -> Vec<Licence> {
        Vec::new()
    }

    /// Starts reading. `options` is a map, or null for the defaults; see [`parse_options`].
    ///
    /// # Errors
    /// Options that do not fit, or a source of another layout. What is wrong with one item is an item that failed.
    fn read<'a>(&self, source: &'a Source, options: &serde_json::Value) -> Result<RawItems<'a>, ImportError>;
}

impl<F: Format> Importer for F {
    fn name(&self) -> &'static str {
        Format::name(self)
    }

    fn about(&self) -> &'static str {
        Format::about(self)
    }

    fn import(&self, request: &Request<'_>) -> Result<Summary, ImportError> {
        run::import(self, request)
    }
}

/// What a format knows of an item before its files are read.
#[derive(Clone, Debug, Default)]
pub struct RawSample {
    /// Any words that no other item of the source has; what cannot be a key is made one.
    pub id: String,
    /// Where the item is described.
    pub place: Place,
    /// What it means, where several items mean the same; by itself it is its own group.
    pub group: Option<String>,
    /// Where it may be used, if the source says so.
    pub split: Option<Split>,
    /// Its picture.
    pub image: Option<RawMedia>,
    /// Its sound.
    pub audio: Option<RawMedia>,
    /// The part of the sound that is meant, in seconds: start and end, the whole rest without an end.
    pub span_s: Option<(f64, Option<f64>)>,
    /// Captions or transcripts; empty ones are dropped.
    pub texts: Vec<String>,
    /// What may be asked about its picture or its sound; answers without a word are dropped.
    pub questions: Vec<Question>,
    /// Whatever else is known.
    pub tags: BTreeMap<String, String>,
}

/// A picture or a sound that may not be read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawMedia {
    /// A file, relative to the source's folder.
    File(String),
    /// Its bytes, as they came with the item.
    Bytes(Media),
}

impl RawSample {
    pub(crate) fn new(id: impl Into<String>, place: Place) -> Self {
        Self { id: id.into(), place, ..Self::default() }
    }

    pub(crate) fn tag(&mut self, key: &str, value: &str) {
        if !value.trim().is_empty() {
            self.tags.insert(key.to_owned(), value.trim().to_owned());
        }
    }
}

/// The options of a format: its own type from the map that the user gave, or its defaults.
///
/// # Errors
/// An unknown option, or a value of a wrong type.
pub(crate) fn parse_options<T: DeserializeOwned + Default>(
    corpus: &'static str,
    options: &serde_json::Value,
) -> Result<T, ImportError> {
    match options {
        serde_json::Value::Null => Ok(T::default()),
        given => serde_json::from_value(given.clone())
            .map_err(|e| ImportError::Options { corpus, problem: e.to_string() }),
    }
}

/// One item that failed, as the whole rest of a stream.
pub(crate) fn failed<'a>(failure: Failure) -> RawItems<'a> {
    Box::new(std::iter::once(Err(failure)))
}
