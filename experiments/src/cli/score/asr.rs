//! `triptych score asr`: word and character errors of transcripts.

use miette::IntoDiagnostic;
use serde_json::json;
use triptych_tasks::metrics::{MatchedPairs, Normalizer, WordAlignment, WordErrors};

use super::error::{FileError, Place};
use super::options::{NormalizerChoice, Options};
use super::pairs::{Inputs, single_texts};
use super::report::Report;
use super::utterances::Utterances;

/// Word errors of transcripts: WER, CER, MER, WIL, as jiwer counts them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score asr --hypotheses out.trn --references ref.trn --normalizer whisper-english
  triptych score asr --hypotheses out.jsonl --references ref.jsonl --by speaker --cluster speaker --align
  triptych score asr --hypotheses new.csv --references ref.csv --compare old.csv --json

Rates are of the corpus: errors of all utterances over words of all references. An empty reference is silence:
words against it are insertions. Nothing is normalised unless asked for. `--compare` resamples whole utterances, or
everything of a `--cluster`, for both systems alike; the matched-pairs test of NIST's sctk compares stretches with errors.")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    /// What is done to both sides first
    #[arg(long, value_enum, default_value_t = NormalizerChoice::None)]
    normalizer: NormalizerChoice,
    /// Show every utterance with errors, word under word
    #[arg(long)]
    align: bool,
    /// How many of the most frequent errors and the worst speakers `--align` lists
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let options = &args.options;
    let normalizer = args.normalizer.normalizer();
    let inputs = Inputs::read(options)?;
    let written = single_texts(&inputs.references, &inputs.reference_idxs)?;
    let hypotheses = inputs.system.texts()?;
    let errors = WordErrors::new(normalizer, &written, &hypotheses).into_diagnostic()?;
    if errors.total_words().n_reference() == 0 {
        let problem = format!("every reference is empty after the normaliser {normalizer}: there is no rate");
        return Err(FileError::new(&options.references, Place::Whole, problem).into());
    }

    let mut report = Report::new("asr", "utterances", errors.figures());
    report.settings.push(("normalizer", normalizer.to_string()));
    let n_silent = errors.words().iter().filter(|counts| counts.n_reference() == 0).count();
    if n_silent > 0 {
        let note = format!("{n_silent} references are empty: words against them count as insertions");
        report.notes.push(note);
    }
    if normalizer == Normalizer::None {
        report.notes.push("case and punctuation count as errors; see --normalizer".to_owned());
    }
    if let Some(other) = &inputs.other {
        let others = other.texts()?;
        let errors = WordErrors::new(normalizer, &written, &others).into_diagnostic()?;
        report.others = Some(errors.figures());
        let align = |hypotheses: &[&str]| WordAlignment::of_all(normalizer, &written, hypotheses);
        let test = MatchedPairs::new(&align(&hypotheses), &align(&others));
        report.text = told(&test);
        report.details.insert("matched_pairs".to_owned(), json!(test));
    }
    inputs.tag(&mut report, options)?;
    if args.align {
        let id = |&idx: &usize| {
            let entry = &inputs.references.entries[idx];
            entry.id.clone().unwrap_or_else(|| entry.place.to_string().trim().to_owned())
        };
        let utterances = Utterances {
            ids: inputs.reference_idxs.iter().map(id).collect(),
            // without speakers there is no list of them
            speakers: inputs.tags("speaker").unwrap_or_default(),
            alignments: WordAlignment::of_all(normalizer, &written, &hypotheses),
        };
        if !report.text.is_empty() {
            report.text.push('\n');
        }
        report.text.push_str(&utterances.text(args.top));
        report.details.insert("alignment".to_owned(), utterances.json(args.top));
    }
    report.conclude(options)
}

/// The test in a line.
fn told(test: &MatchedPairs) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    format!(
        "matched pairs (MAPSSWE): {:+.4} errors a segment over {} segments, z {}, p {}\n",
        test.mean_difference,
        test.n_segments,
        number(test.z),
        number(test.p)
    )
}
