//! Preparing a corpus by a recipe: decode, normalise, filter, deduplicate, anonymise, classify, split, tokenize, shard.
//!
//! ```text
//! sources -> chunks of samples -> stage -> chunks -> stage -> ... -> shards, ledger.jsonl, report.json
//! ```
//!
//! Every stage writes chunk after chunk into a folder of the cache that is named by a hash of all that its output depends on:
//! the content of the sources, the settings of the stages up to it, their versions. A preparation that was stopped at any
//! moment goes on with the first chunk that is missing; one whose recipe changed begins with the first stage that it
//! changed. Only what a stage encoded anew is written again; the rest is read from where it lies.
//!
//! Memory is bounded by a chunk, but for flat vectors of numbers that *deduplicate* and *split* compare, some hundred
//! bytes a sample.

mod anonymise;
mod chunk;
mod classify;
mod decode;
mod deduplicate;
mod error;
mod filter;
mod fingerprint;
mod item;
mod key;
mod ledger;
mod loudness;
mod merge;
mod metadata;
mod normalise;
mod outline;
mod personal;
mod prepare;
mod range;
mod recipe;
mod report;
mod run;
mod shard;
mod signature;
mod similarity;
mod slice;
mod source;
mod split;
mod stage;
mod tokenize;

pub use anonymise::AnonymiseSettings;
pub use classify::{ClassifySettings, LanguageSettings, Rule, ZeroShot};
pub use decode::DecodeSettings;
pub use deduplicate::DeduplicateSettings;
pub use error::{PipelineError, RecipeProblem};
pub use filter::{FilterSettings, Part};
pub use key::Key;
pub use ledger::Dropped;
pub use merge::{MergeOptions, merge};
pub use normalise::{ImageForm, NormaliseSettings, UnicodeForm};
pub use outline::{Outline, StageOutline, outline};
pub use personal::Personal;
pub use prepare::{LEDGER_FILE, Options, Prepared, REPORT_FILE, prepare};
pub use range::Bounds;
pub use recipe::Recipe;
pub use report::{Report, SourceReport, StageReport, TokenizerReport};
pub use run::{Event, Watch};
pub use shard::ShardSettings;
pub use similarity::{Comparison, Similarity};
pub use slice::Slice;
pub use split::{Shares, SplitSettings};
pub use tokenize::TokenizeSettings;
