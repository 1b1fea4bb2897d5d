//! `triptych score answers`: VQA accuracy of answers to questions.

use miette::IntoDiagnostic;
use triptych_tasks::metrics::Answers;
use triptych_tasks::metrics::answers::MIN_ANSWERS;

use super::options::Options;
use super::pairs::{Inputs, reference_texts};
use super::report::Report;

/// Scores of answers to questions: VQA accuracy, as the VQA evaluation tools, and exact answers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score answers --hypotheses results.json --references v2_mscoco_val2014_annotations.json --by answer_type
  triptych score answers --hypotheses out.jsonl --references refs.jsonl --compare old.jsonl --json

Hypotheses: a list of `question_id` and `answer`. References: annotations of VQA, or JSON lines of `id` and `answers`. VQA
accuracy leaves out each of the people who answered and asks for three others: it is given where every question has four
answers or more.")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let options = &args.options;
    let inputs = Inputs::read(options)?;
    let references = reference_texts(&inputs.references, &inputs.reference_idxs)?;
    let answers = Answers::new(&inputs.system.texts()?, &references).into_diagnostic()?;
    let mut report = Report::new("answers", "questions", answers.figures());
    report.settings.push(("normalizer", "VQA evaluation".to_owned()));
    if !answers.has_accuracy() {
        report.notes.push(format!(
            "some question has fewer than {MIN_ANSWERS} answers: exact answers alone are counted"
        ));
    }
    if let Some(other) = &inputs.other {
        report.others = Some(Answers::new(&other.texts()?, &references).into_diagnostic()?.figures());
    }
    inputs.tag(&mut report, options)?;
    report.conclude(options)
}
