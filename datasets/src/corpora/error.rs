//! Why a corpus cannot be prepared.

use std::path::PathBuf;

use super::intake::Failure;
use crate::audio::AudioError;
use crate::image::ImageError;
use crate::shard::CorpusError;

/// A corpus that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No importer has that name.
    #[error("expected one of the corpora {known}, got {name:?}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Options that the importer does not take.
    #[error("options of corpus {corpus}: {problem}")]
    Options {
        /// The importer.
        corpus: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// A source file is not what it should be.
    #[error("{source_name}, {place}: {problem}")]
    Source {
        /// The file.
        source_name: String,
        /// Line or record.
        place: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A picture that cannot be decoded.
    #[error("{place}: {source}")]
    Image {
        /// Which one.
        place: String,
        /// Why.
        source: ImageError,
    },
    /// A sound that cannot be decoded.
    #[error("{place}: {source}")]
    Audio {
        /// Which one.
        place: String,
        /// Why.
        source: AudioError,
    },
    /// A format that imports files, without files to import.
    #[error("corpus {corpus}: expected a source, got none")]
    NoSource {
        /// The importer.
        corpus: &'static str,
    },
    /// A source where there is nothing to read from.
    #[error("corpus {corpus} ships inside the program: expected no source, got {}", source_path.display())]
    NeedlessSource {
        /// The importer.
        corpus: &'static str,
        /// What was given.
        source_path: PathBuf,
    },
    /// Source and corpus lie within each other.
    #[error("{} cannot be imported into {}: one lies within the other", source_dir.display(), out.display())]
    Overlap {
        /// What was to be read.
        source_dir: PathBuf,
        /// Where the corpus was to go.
        out: PathBuf,
    },
    /// An item failed, and none may.
    #[error("{failure}")]
    Strict {
        /// The item and the reason.
        failure: Box<Failure>,
    },
    /// Not one item could be imported.
    #[error("nothing was imported, {n_failed} items failed{}", first_of(first))]
    Nothing {
        /// How many failed.
        n_failed: usize,
        /// The first of them.
        first: Option<Box<Failure>>,
        /// Where every one is named.
        ledger: Option<PathBuf>,
    },
    /// The shards could not be written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}

impl ImportError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Corpus(error) => error.hint(),
            Self::NoSource { corpus } => {
                Some(format!("name the folder or file: `triptych data import {corpus} SOURCE --out DIR`"))
            }
            Self::Overlap { .. } => Some("choose a folder beside the source".to_owned()),
            Self::Strict { .. } => Some("without `--strict` the rest goes on".to_owned()),
            Self::Nothing { ledger: Some(ledger), .. } => {
                Some(format!("{} says why for each of them", ledger.display()))
            }
            Self::Nothing { .. } => Some(
                "is it the right folder, and the right format? `--dry-run` shows what is read".to_owned(),
            ),
            _ => None,
        }
    }
}

fn first_of(first: &Option<Box<Failure>>) -> String {
    first.as_ref().map_or(String::new(), |failure| format!("; the first: {failure}"))
}
