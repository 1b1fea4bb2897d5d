//! `triptych score`: scores plain files of hypotheses against plain files of references. One file a task.

use clap::Subcommand;

mod answers;
mod asr;
mod captions;
mod classification;
mod entries;
mod error;
mod matrix;
mod options;
mod pairs;
mod report;
mod retrieval;
mod text;
mod utterances;

/// Score files of hypotheses against files of references
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score asr --hypotheses out.trn --references ref.trn --normalizer whisper-english --align
  triptych score captions --hypotheses results.json --references captions_val.json --subset
  triptych score text --hypotheses out.txt --references ref.txt --compare baseline.txt
  triptych score retrieval --hypotheses similarity.npy --references relevant.jsonl --targets captions.jsonl
  triptych score classification --hypotheses logits.npy --references labels.csv --classes classes.txt
  triptych score answers --hypotheses results.json --references v2_mscoco_val2014_annotations.json

Files: COCO and VQA results and annotations (.json), JSON lines ({\"id\", \"text\" or \"texts\"}), .trn, .csv and .tsv with a
header, one text a line (.txt), and .npy matrices. Every figure comes with its 95% bootstrap interval.")]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Asr(asr::Args),
    Captions(captions::Args),
    Text(text::Args),
    Retrieval(retrieval::Args),
    Classification(classification::Args),
    Answers(answers::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.task {
        Task::Asr(args) => asr::run(&args),
        Task::Captions(args) => captions::run(&args),
        Task::Text(args) => text::run(&args),
        Task::Retrieval(args) => retrieval::run(&args),
        Task::Classification(args) => classification::run(&args),
        Task::Answers(args) => answers::run(&args),
    }
}
