//! One page about a corpus: what it holds, what stands out, what leaks, and some of it to look at and to listen to.

use std::path::Path;

use triptych_datasets::shard::Corpus;
use triptych_datasets::survey::Survey;

use super::{ReportError, page};

mod charts;
mod exhibits;
mod failures;
mod findings;
mod view;

/// What the page shows of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Decides which pictures and sounds are shown.
    pub seed: u64,
    /// Pictures of each split.
    pub n_pictures: usize,
    /// Sounds of each split.
    pub n_sounds: usize,
}

impl Default for Choice {
    fn default() -> Self {
        Self { seed: 0, n_pictures: 48, n_sounds: 6 }
    }
}

/// Writes the page to the file `out`, whole or not at all. `survey` is what was measured of the same corpus.
///
/// The same corpus, survey and choice give the same page. A picture or a sound that does not decode is shown as such.
///
/// # Errors
/// When the file or its neighbour `<out>.partial` cannot be written.
pub fn write(corpus: &Corpus, survey: &Survey, choice: Choice, out: &Path) -> Result<(), ReportError> {
    let exhibits = exhibits::gather(corpus, survey, choice);
    let failures = failures::read(corpus.dir());
    page::write("corpus.html", view::page(corpus, survey, &exhibits, &failures), out)
}

#[cfg(test)]
mod tests;
