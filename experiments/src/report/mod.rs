//! Pages of one file: `report.html` shows what a run learned, from what, on what, and how well; [`corpus`] what a corpus
//! holds.
//!
//! The page needs nothing else: styles, drawings, pictures and sounds lie inside it, and it reads fully without
//! scripts. Sections whose data are absent are left out, so that any run can be reported.

use std::path::Path;

mod alignment;
pub mod corpus;
mod inputs;
mod media;
pub(crate) mod numbers;
mod page;
mod plot;
mod selection;
mod strip;
mod summary;
mod tables;
mod view;

pub use inputs::{
    AnswerItem, CaptionItem, ClassTable, Fact, Gallery, Headline, ItemScore, LedgerRow, Machine, NextStep,
    ReportInputs, RunFacts, SearchExample, SearchQuery, SearchResult, Series, Stage, TranscriptItem,
    TriedStrength,
};
pub use media::Media;
pub use page::ReportError;
pub use summary::text_summary;

/// Writes the report to the file `out`, whole or not at all: a report that stood there before is replaced at the end.
///
/// Pictures and sounds are encoded straight into the file. Galleries are cut to a fixed number of examples, and say so.
///
/// # Errors
/// When the file or its neighbour `<out>.partial` cannot be written.
pub fn write(inputs: &ReportInputs, out: &Path) -> Result<(), ReportError> {
    page::write("report.html", view::page(inputs), out)
}

#[cfg(test)]
mod tests;
