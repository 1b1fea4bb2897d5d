//! `triptych score text`: BLEU and chrF of generated text.

use miette::IntoDiagnostic;
use triptych_tasks::metrics::{Normalizer, Texts};

use super::options::{NormalizerChoice, Options};
use super::pairs::{Inputs, reference_texts};
use super::report::Report;

/// Scores of generated text: BLEU over 13a tokens and chrF, as sacrebleu
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score text --hypotheses out.txt --references ref.txt
  triptych score text --hypotheses out.jsonl --references refs.jsonl --by domain --json
  triptych score text --hypotheses new.txt --references ref.txt --compare old.txt --resamples 10000

Several references an entry are read from `texts`. The signature is sacrebleu's.")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    /// What is done to both sides first
    #[arg(long, value_enum, default_value_t = NormalizerChoice::None)]
    normalizer: NormalizerChoice,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let options = &args.options;
    let normalizer = args.normalizer.normalizer();
    let inputs = Inputs::read(options)?;
    let normalized = |texts: &Vec<&str>| -> Vec<String> {
        texts.iter().map(|text| normalizer.apply(text).into_owned()).collect()
    };
    let references: Vec<Vec<String>> =
        reference_texts(&inputs.references, &inputs.reference_idxs)?.iter().map(normalized).collect();
    let texts = Texts::new(&normalized(&inputs.system.texts()?), &references).into_diagnostic()?;
    let mut report = Report::new("text", "texts", texts.figures());
    report.settings.push(("normalizer", normalizer.to_string()));
    report.settings.extend(texts.signatures(normalizer != Normalizer::None));
    if let Some(other) = &inputs.other {
        let texts = Texts::new(&normalized(&other.texts()?), &references).into_diagnostic()?;
        report.others = Some(texts.figures());
    }
    inputs.tag(&mut report, options)?;
    report.conclude(options)
}
