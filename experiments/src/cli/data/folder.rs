//! Corpora's folders as the subcommands open them.

use std::path::Path;

use miette::Diagnostic;
use triptych_datasets::shard::{Corpus, CorpusError};
use triptych_datasets::survey::TokenCounter;
use triptych_datasets::text::TokenizerError;

use crate::diagnostic::UsageError;

/// A corpus that cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub(super) struct UnusableCorpus {
    message: String,
    #[help]
    hint: Option<String>,
}

impl From<CorpusError> for UnusableCorpus {
    fn from(error: CorpusError) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

/// Opens a corpus.
pub(super) fn open(dir: &Path) -> Result<Corpus, UnusableCorpus> {
    Corpus::open(dir).map_err(|error| {
        let names_damage = !matches!(error, CorpusError::NotACorpus { .. } | CorpusError::Newer { .. });
        let mut unusable = UnusableCorpus::from(error);
        if names_damage {
            unusable.hint =
                Some(format!("`triptych data validate {}` lists all that is wrong", dir.display()));
        }
        unusable
    })
}

/// The tokenizer of a path, or else the one that lies in the corpus's folder, if there is one.
pub(super) fn tokenizer(dir: &Path, given: Option<&Path>) -> Result<Option<TokenCounter>, UsageError> {
    let unusable = |error: TokenizerError| UsageError {
        message: error.to_string(),
        hint: Some("a tokenizer.json of this program or of Hugging Face is expected".to_owned()),
    };
    match given {
        Some(path) => TokenCounter::load(path).map(Some).map_err(unusable),
        None => {
            let path = dir.join("tokenizer.json");
            if path.is_file() { TokenCounter::load(&path).map(Some).map_err(unusable) } else { Ok(None) }
        }
    }
}
