//! *tokenize*: a vocabulary, trained on the training texts or reused, beside the corpus as `tokenizer.json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::Item;
use super::recipe::Objection;
use super::report::TokenizerReport;
use super::slice::hash_of;
use crate::sample::{Question, Split};
use crate::text::{Tokenizer, TokenizerKind, UNK, normalise};

pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";

/// Which vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizeSettings {
    /// What a token is.
    pub kind: TokenizerKind,
    /// Size of the vocabulary at most, marks included.
    pub vocabulary: usize,
    /// A `tokenizer.json` to reuse in place of training one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Trains on no more texts than this, chosen by their hash.
    pub max_texts: usize,
}

impl Default for TokenizeSettings {
    fn default() -> Self {
        Self { kind: TokenizerKind::Bpe, vocabulary: 8000, file: None, max_texts: 1_000_000 }
    }
}

impl TokenizeSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        match self.max_texts {
            0 => vec![(vec!["tokenize", "max_texts"], "expected at least 1".to_owned())],
            _ => Vec::new(),
        }
    }

    /// Trains or loads, then measures how well it fits. `items` gives all samples, each time from the first.
    pub(crate) fn run<I: Iterator<Item = Result<Item, PipelineError>>>(
        &self,
        items: impl Fn() -> I,
    ) -> Result<(Tokenizer, TokenizerReport), PipelineError> {
        let (tokenizer, n_texts) = match &self.file {
            Some(path) => (Tokenizer::load(path)?, 0),
            None => {
                let texts = self.training_texts(items())?;
                (Tokenizer::train(self.kind, &texts, self.vocabulary)?, texts.len() as u64)
            }
        };
        let (mut n_tokens, mut n_unknown, mut n_characters) = (0u64, 0u64, 0u64);
        for item in items() {
            let item = item?;
            for text in item.texts.iter().chain(item.questions.iter().flat_map(Question::texts)) {
                let ids = tokenizer.encode(text);
                n_tokens += ids.len() as u64;
                n_unknown += ids.iter().filter(|id| **id == UNK).count() as u64;
                n_characters += normalise(text).chars().count() as u64;
            }
        }
        let report = TokenizerReport {
            file: TOKENIZER_FILE.to_owned(),
            kind: format!("{:?}", tokenizer.kind()).to_lowercase(),
            n_tokens: tokenizer.n_tokens() as u64,
            hash: tokenizer.hash().to_owned(),
            n_texts,
            unknown_share: n_unknown as f64 / n_tokens.max(1) as f64,
            characters_a_token: n_characters as f64 / n_tokens.max(1) as f64,
        };
        Ok((tokenizer, report))
    }

    /// The training texts; of more than the limit those with the smallest hashes, in their order.
    fn training_texts(
        &self,
        items: impl Iterator<Item = Result<Item, PipelineError>>,
    ) -> Result<Vec<String>, PipelineError> {
        let mut texts: Vec<(u64, usize, String)> = Vec::new();
        let mut n_seen = 0;
        for item in items {
            let item = item?;
            if item.split != Split::Train {
                continue;
            }
            let asked = item.questions.iter().flat_map(Question::texts).cloned().collect::<Vec<_>>();
            for text in item.texts.into_iter().chain(asked) {
                texts.push((hash_of(&["tokenize", &text]), n_seen, text));
                n_seen += 1;
            }
            if texts.len() >= self.max_texts.saturating_mul(2) {
                keep_smallest(&mut texts, self.max_texts);
            }
        }
        keep_smallest(&mut texts, self.max_texts);
        texts.sort_by_key(|(_, place, _)| *place);
        Ok(texts.into_iter().map(|(_, _, text)| text).collect())
    }
}

fn keep_smallest(texts: &mut Vec<(u64, usize, String)>, n: usize) {
    if texts.len() > n {
        texts.select_nth_unstable_by_key(n - 1, |(hash, place, _)| (*hash, *place));
        texts.truncate(n);
    }
}
