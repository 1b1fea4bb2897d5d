//! Importers: raw files to a folder of shards. A new one is a file here and a line in [`CORPORA`].
//!
//! Most are [`intake::Format`]s, which read items out of a source and leave everything else to the intake.

mod error;
pub mod intake;

mod asterisk;
mod coco;
mod commonvoice;
pub mod emoji;
mod fillets;
mod flickr;
mod images;
mod karpathy;
mod librispeech;
mod ljspeech;
mod lua;
mod manifest;
mod parquet;
mod text;
mod tuxpaint;
mod vqa;
mod webdataset;

use std::path::Path;

pub use error::ImportError;
use intake::split::Shares;
use intake::{SplitRule, Summary};
pub use manifest::SCHEMA as MANIFEST_SCHEMA;

/// Called with what is done, what there is to do (0 where nobody knows), and what is being done.
pub type Progress<'a> = &'a dyn Fn(usize, usize, &str);

/// What is to be imported, how and where to.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// A folder or a file; corpora that ship inside the program have none.
    pub source: Option<&'a Path>,
    /// The corpus's folder.
    pub out: &'a Path,
    /// The importer's own options: a map, or null for the defaults.
    pub options: &'a serde_json::Value,
    /// Reads and checks everything, and writes nothing.
    pub is_dry_run: bool,
    /// Stops at the first item that fails.
    pub is_strict: bool,
    /// Reads the finished corpus again, byte by byte.
    pub is_verified: bool,
    /// Decodes every picture and sound, so that a broken one is found now.
    pub is_checked: bool,
    /// SPDX expression, for the licence ledger.
    pub licence: Option<&'a str>,
    /// The notice to show, for the licence ledger.
    pub attribution: Option<&'a str>,
    /// Larger pictures, sounds and texts are not imported.
    pub max_item_bytes: u64,
    /// Longer sounds are not imported.
    pub max_sound_s: f64,
    /// Where splits come from.
    pub split: &'a SplitRule,
    /// How much is shared out, see [`Request::with_shares`].
    pub(crate) shares: Shares,
    /// Told now and then.
    pub progress: Progress<'a>,
}

impl<'a> Request<'a> {
    /// The defaults: everything is checked; items of at most 256 MiB, sounds of at most an hour; where the source says
    /// nothing, 5 percent of the groups for validation and 5 for testing.
    pub fn new(source: Option<&'a Path>, out: &'a Path, options: &'a serde_json::Value) -> Self {
        Self {
            source,
            out,
            options,
            is_dry_run: false,
            is_strict: false,
            is_verified: false,
            is_checked: true,
            licence: None,
            attribution: None,
            max_item_bytes: 256 << 20,
            max_sound_s: 3600.0,
            split: &SplitRule::Source,
            shares: Shares { validation_percent: 5, test_percent: 5 },
            progress: &|_, _, _| {},
        }
    }

    /// How much of what is shared out goes to validation and to test, in percent.
    pub fn with_shares(self, validation_percent: u8, test_percent: u8) -> Self {
        Self { shares: Shares { validation_percent, test_percent }, ..self }
    }
}

/// A kind of corpus that can be prepared.
pub trait Importer: Sync {
    /// What it is called on the command line and in configs.
    fn name(&self) -> &'static str;

    /// One line for `triptych list`.
    fn about(&self) -> &'static str;

    /// Prepares a corpus.
    ///
    /// # Errors
    /// Options that do not fit, a source that cannot be read, a folder that cannot be written; the first item that fails,
    /// if none may.
    fn import(&self, request: &Request<'_>) -> Result<Summary, ImportError>;
}

/// Every importer.
pub static CORPORA: &[&dyn Importer] = &[
    &emoji::Emoji,
    &manifest::Manifest,
    &images::Images,
    &coco::Coco,
    &flickr::Flickr,
    &librispeech::LibriSpeech,
    &commonvoice::CommonVoice,
    &ljspeech::LjSpeech,
    &webdataset::WebDataset,
    &parquet::Parquet,
    &text::Text,
    &tuxpaint::TuxPaint,
    &asterisk::Asterisk,
    &fillets::Fillets,
];

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
        assert!(message.is_err_and(
            |e| e.starts_with("expected one of the corpora emoji, ") && e.ends_with("got \"emojo\"")
        ));
    }

    #[test]
    fn unknown_options_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for corpus in CORPORA {
            let options = serde_json::json!({"no_such_option": 1});
            let source = (corpus.name() != "emoji").then_some(dir.path());
            let out = dir.path().join("out");
            let result = corpus.import(&Request::new(source, &out, &options));
            assert!(matches!(result, Err(ImportError::Options { .. })), "{}", corpus.name());
        }
    }
}
