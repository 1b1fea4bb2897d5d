//! `triptych score captions`: CIDEr-D, BLEU, ROUGE-L of image captions.

use std::path::PathBuf;

use clap::ArgAction;
use miette::IntoDiagnostic;
use serde_json::json;
use triptych_tasks::metrics::bias::swap_changes;
use triptych_tasks::metrics::caption::{DocumentFrequencies, TOKENIZER};
use triptych_tasks::metrics::{Captions, Figure};

use super::entries::{Entries, read_bytes};
use super::error::{FileError, Place};
use super::options::Options;
use super::pairs::{Inputs, System, reference_texts, single_texts};
use super::report::Report;
use crate::diagnostic::UsageError;

/// Scores of image captions: CIDEr-D, BLEU-1 to 4 and ROUGE-L as pycocoevalcap, and exact matches
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score captions --hypotheses results.json --references captions_val2014.json --subset
  triptych score captions --hypotheses new.json --references refs.json --compare old.json --json
  triptych score captions --hypotheses out.jsonl --references refs.jsonl --swapped women.jsonl --swap man:woman --swap his:her

Both sides are tokenised as Penn Treebank in lower case without punctuation. CIDEr-D counts the document frequencies of
the references that are scored, unless `--frequencies` names a table: figures compare only under the same table.")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    /// Document frequencies for CIDEr-D: JSON with `n_images` and `counts` of n-grams
    #[arg(long, value_name = "FILE")]
    frequencies: Option<PathBuf>,
    /// Write the document frequencies that were used
    #[arg(long, value_name = "FILE")]
    save_frequencies: Option<PathBuf>,
    /// Captions of the same inputs with an attribute swapped: audits what else changes
    #[arg(long, value_name = "FILE", requires = "swap")]
    swapped: Option<PathBuf>,
    /// Two words that the swap exchanges; may be given several times
    #[arg(long, value_name = "WORD:WORD", action = ArgAction::Append, requires = "swapped")]
    swap: Vec<String>,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let options = &args.options;
    let swap_words = args.swap.iter().map(|pair| word_pair(pair)).collect::<Result<Vec<_>, _>>()?;
    let inputs = Inputs::read(options)?;
    let references = reference_texts(&inputs.references, &inputs.reference_idxs)?;
    let captions = Captions::new(&inputs.system.texts()?, &references).into_diagnostic()?;
    let frequencies = args.frequencies.as_deref().map(read_frequencies).transpose()?;
    if let Some(path) = &args.save_frequencies {
        let counted;
        let used = match &frequencies {
            Some(frequencies) => frequencies,
            None => {
                counted = DocumentFrequencies::of(&captions);
                &counted
            }
        };
        let json = serde_json::to_vec(used).into_diagnostic()?;
        std::fs::write(path, json)
            .map_err(|error| FileError::new(path, Place::Whole, format!("cannot be written: {error}")))?;
    }
    let figures = |captions: &Captions| -> miette::Result<Vec<Figure>> {
        captions.figures(frequencies.as_ref()).into_diagnostic()
    };
    let mut report = Report::new("captions", "images", figures(&captions)?);
    report.settings.push(("tokenizer", TOKENIZER.to_owned()));
    let source = match &args.frequencies {
        Some(path) => path.display().to_string(),
        None => format!("of these {} images", captions.n_images()),
    };
    report.settings.push(("document frequencies", source));
    if args.frequencies.is_none() && captions.n_images() < 2 {
        report.notes.push("CIDEr-D of one image is 0 whatever it says: give `--frequencies`".to_owned());
    }
    if let Some(System { hypotheses, idxs }) = &inputs.other {
        let other = Captions::new(&single_texts(hypotheses, idxs)?, &references).into_diagnostic()?;
        report.others = Some(figures(&other)?);
    }
    inputs.tag(&mut report, options)?;
    if let Some(path) = &args.swapped {
        // a pair is the caption of an input and that of its swap
        let swapped = Entries::read(path)?;
        let swap = Inputs::against(inputs.system.hypotheses.clone(), swapped, options.subset)?;
        let captions = single_texts(&swap.references, &swap.reference_idxs)?;
        let changes = swap_changes(&captions, &swap.system.texts()?, &swap_words).into_diagnostic()?;
        let resampling =
            triptych_tasks::metrics::Resampling { bootstrap: options.bootstrap(), clusters: None };
        let scores = changes.iter().map(|figure| figure.score(&resampling)).collect::<Result<Vec<_>, _>>();
        let scores = scores.into_diagnostic()?;
        report.text = super::report::table(&format!("against {}", path.display()), &scores);
        report.details.insert("swap".to_owned(), json!({"with": path.to_string_lossy(), "scores": scores}));
    }
    report.conclude(options)
}

fn word_pair(pair: &str) -> Result<(String, String), UsageError> {
    let words = pair
        .split_once(':')
        .map(|(first, second)| (first.trim().to_lowercase(), second.trim().to_lowercase()));
    words.filter(|(first, second)| !first.is_empty() && !second.is_empty()).ok_or_else(|| UsageError {
        message: format!("expected two words with a colon between them, got `--swap {pair}`"),
        hint: Some("for example `--swap man:woman --swap his:her`".to_owned()),
    })
}

fn read_frequencies(path: &std::path::Path) -> Result<DocumentFrequencies, FileError> {
    serde_json::from_slice(&read_bytes(path)?).map_err(|error| {
        let problem =
            format!("expected document frequencies as `--save-frequencies` writes them, got: {error}");
        FileError::new(path, Place::Line(error.line().max(1)), problem)
    })
}
