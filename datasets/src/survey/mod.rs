//! What is in a corpus, whether it is whole, and how two of them differ.
//!
//! | function | answers |
//! |---|---|
//! | [`survey`] | how much of what, how long, in which languages, what occurs twice and on both sides of a split |
//! | [`audit()`] | is every byte as it was written, does every picture and sound decode, and if not, what is wrong where |
//! | [`compare`] | which samples were added, removed or changed |
//!
//! None of them stops at the first bad sample.

mod accumulate;
mod audit;
mod compare;
mod distribution;
mod exhibit;
mod extremes;
mod facts;
mod figures;
mod header;
mod repeats;
mod tally;
mod wording;

use rayon::prelude::*;

pub use audit::{Audit, AuditOptions, Problem, audit};
pub use compare::{Change, ChangedSample, Comparison, compare};
pub use distribution::{Distribution, Histogram};
pub use exhibit::{Clip, Thumbnail, clip, thumbnail};
pub use extremes::{Outlier, Outliers};
pub use figures::{
    Amounts, AudioFigures, ImageFigures, LanguageFigures, Survey, TextFigures, Unreadable, Vocabulary,
};
pub use header::{AudioHeader, ImageHeader, audio_header, image_header};
pub use repeats::{Leak, RepeatedSet, Repeats};
pub use tally::{TagFigures, ValueCount};
pub use wording::TokenCounter;

use crate::corpora::Progress;
use crate::shard::Corpus;
use accumulate::Accumulator;
use facts::Facts;

/// Samples measured at once; their facts are all that is held of them.
const SAMPLES_AT_ONCE: usize = 1024;

/// Measures every sample of a corpus: headers of pictures and sounds, texts, tags, repeats. Every byte of every picture
/// and sound is read and checked against its hash, none is decoded. `tokens` counts tokens, where given.
///
/// Pictures and sounds that cannot be read are counted and named in [`Survey::unreadable`]; everything else goes on
/// without them. The same corpus gives the same figures on any number of threads.
pub fn survey(corpus: &Corpus, tokens: Option<&TokenCounter>, progress: Progress<'_>) -> Survey {
    let entries = corpus.entries();
    let mut accumulator = Accumulator::default();
    for (chunk_idx, chunk) in entries.chunks(SAMPLES_AT_ONCE).enumerate() {
        let first_idx = chunk_idx * SAMPLES_AT_ONCE;
        let measure = |(place, entry)| Facts::of(corpus, first_idx + place, entry, tokens);
        let facts: Vec<Facts> = chunk.par_iter().enumerate().map(measure).collect();
        for (place, (entry, facts)) in chunk.iter().zip(facts).enumerate() {
            accumulator.push(first_idx + place, entry, facts);
        }
        corpus.release_pages();
        progress(first_idx + chunk.len(), entries.len(), "");
    }
    accumulator.finish(corpus)
}
