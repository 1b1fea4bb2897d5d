//! What happened: `report.json`, beside the corpus.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::slice::Slice;

/// The record of a preparation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The recipe's name.
    pub name: String,
    /// Hash over the sources, the recipe and the stages' versions.
    pub recipe: String,
    /// The corpus's content hash.
    pub content_hash: String,
    /// Which slice of the sources it holds, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// What it was made from.
    pub sources: Vec<SourceReport>,
    /// The stages in their order.
    pub stages: Vec<StageReport>,
    /// Samples of the corpus.
    pub n_samples: u64,
    /// Samples by split.
    pub splits: BTreeMap<String, u64>,
    /// The vocabulary, where the recipe has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerReport>,
}

/// A source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its folder as the recipe names it.
    pub dir: String,
    /// Its content hash.
    pub content_hash: String,
    /// Its samples.
    pub n_samples: u64,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// As in the recipe.
    pub name: String,
    /// Samples that went in.
    pub n_in: u64,
    /// Samples that came out.
    pub n_out: u64,
    /// Of those that did not, the broken ones.
    pub n_bad: u64,
    /// Time that it took, also in processes that were stopped.
    pub seconds: f64,
    /// Whether an earlier preparation had done it already.
    pub is_cached: bool,
    /// Samples that did not come out, by kind of reason.
    pub dropped: BTreeMap<String, u64>,
    /// What the stage counted: values replaced, files re-encoded.
    pub counts: BTreeMap<String, u64>,
}

/// A vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenizerReport {
    /// Its file, beside the corpus.
    pub file: String,
    /// What a token is.
    pub kind: String,
    /// Size of the vocabulary, marks included.
    pub n_tokens: u64,
    /// BLAKE3 of the vocabulary.
    pub hash: String,
    /// Texts that it was trained on; 0 where it was reused.
    pub n_texts: u64,
    /// Share of the tokens of all texts that stand for a character outside the vocabulary.
    pub unknown_share: f64,
    /// Mean number of characters that a token stands for.
    pub characters_a_token: f64,
}

impl StageReport {
    /// The counts of another slice's same stage, added.
    pub(crate) fn add(&mut self, other: &Self) {
        self.n_in += other.n_in;
        self.n_out += other.n_out;
        self.n_bad += other.n_bad;
        self.seconds += other.seconds;
        self.is_cached &= other.is_cached;
        for (mine, theirs) in [(&mut self.dropped, &other.dropped), (&mut self.counts, &other.counts)] {
            for (name, n) in theirs {
                *mine.entry(name.clone()).or_default() += n;
            }
        }
    }
}
