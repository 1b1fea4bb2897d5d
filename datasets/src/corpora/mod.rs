//! Importers: raw files to a folder of shards. A new one is a file here and a line in [`CORPORA`].

pub mod emoji;

use std::path::Path;

use crate::audio::AudioError;
use crate::image::ImageError;
use crate::shard::{Corpus, CorpusError};

/// Called with what is done, what there is to do, and what is being done.
pub type Progress<'a> = &'a dyn Fn(usize, usize, &str);

/// A kind of corpus that can be prepared.
pub trait Importer: Sync {
    /// What it is called on the command line and in configs.
    fn name(&self) -> &'static str;

    /// One line for `triptych list`.
    fn about(&self) -> &'static str;

    /// Prepares the corpus into a folder, or opens what lies there if it was made from the same input with the same
    /// options. `options` is a map, or null for the defaults.
    ///
    /// # Errors
    /// Options that do not fit, input that cannot be read, a folder that cannot be written.
    fn import(
        &self,
        options: &serde_json::Value,
        dir: &Path,
        progress: Progress<'_>,
    ) -> Result<Corpus, ImportError>;
}

/// Every importer.
pub static CORPORA: &[&dyn Importer] = &[&emoji::Emoji];

/// The importer of a name.
///
/// # Errors
/// A name that no importer has.
pub fn importer(name: &str) -> Result<&'static dyn Importer, ImportError> {
    CORPORA.iter().copied().find(|importer| importer.name() == name).ok_or_else(|| ImportError::Unknown {
        name: name.to_owned(),
        known: CORPORA.iter().map(|importer| importer.name()).collect::<Vec<_>>().join(", "),
    })
}

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
    /// The shards could not be written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}

impl ImportError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Corpus(error) => error.hint(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for corpus in CORPORA {
            assert_eq!(importer(corpus.name()).map(Importer::name).ok(), Some(corpus.name()));
            assert_eq!(CORPORA.iter().filter(|other| other.name() == corpus.name()).count(), 1);
            assert!(!corpus.about().is_empty());
        }
        let message = importer("emojo").map(Importer::name).map_err(|e| e.to_string());
        assert_eq!(message, Err("expected one of the corpora emoji, got \"emojo\"".to_owned()));
    }

    #[test]
    fn unknown_options_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for corpus in CORPORA {
            let options = serde_json::json!({"no_such_option": 1});
            let result = corpus.import(&options, dir.path(), &|_, _, _| {});
            assert!(matches!(result, Err(ImportError::Options { .. })), "{}", corpus.name());
        }
    }
}
