//! `triptych transcribe`: writes down what recordings say, by the model of a run or by a published one.

use std::path::PathBuf;

use clap::ValueEnum;
use triptych_tasks::decode::whisper::WhisperTask;

use super::listening::ListeningOptions;
use super::options::Compute;

mod published;
mod trained;

/// Write down what recordings say
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "triptych transcribe [OPTIONS] RUN AUDIO...\n       triptych transcribe [OPTIONS] --model DIR AUDIO...",
    after_help = "\
Examples:
  triptych transcribe runs/quickstart hello.wav
  triptych transcribe runs/quickstart *.wav --json | jq -r '.[].text'
  triptych transcribe runs/quickstart hello.wav --timestamps
  triptych transcribe runs/quickstart hello.wav --ctc-weight 0.3
  triptych transcribe runs/quickstart hello.wav --lm words.arpa --hot-words names.txt --n-best 5
  triptych transcribe --model downloads/whisper-tiny talk.mp3 --timestamps
  triptych transcribe --model models/whisper interview.flac --language de --task translate --json

--model takes a Whisper model, in a folder as the Hugging Face hub has it or after `triptych model import`. It hears
recordings of any length, 30 s at a time, each of which reads the text of those before; what looks wrong is tried
again at higher temperatures.
A run hears as much of a recording as it was trained on at most, and with --ctc, --lm or --hot-words all of it, in pieces
that overlap."
)]
pub(crate) struct Args {
    /// The run whose model to use; with --model, the first recording
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Recordings: wav, flac, mp3, ogg, m4a
    #[arg(required_unless_present = "model", value_name = "AUDIO")]
    recordings: Vec<PathBuf>,
    /// A published Whisper model instead of a run
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    /// Say when each word is said, as CTC hears it; with --model, when each segment is
    #[arg(long)]
    timestamps: bool,
    /// Texts kept at each step; the config's `evaluate.n_beams` if not given, 32 by CTC, 1 with --model
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    /// Write token by token, and let CTC have this share of the say, 0 to 1
    #[arg(long, value_name = "X", conflicts_with_all = ["ctc", "lm", "hot_words", "model"])]
    ctc_weight: Option<f64>,
    /// Texts to give for each recording
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "model")]
    n_best: usize,
    #[command(flatten)]
    published: PublishedOptions,
    #[command(flatten)]
    listening: ListeningOptions,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

/// How a published model transcribes.
#[derive(Debug, clap::Args)]
struct PublishedOptions {
    /// What is spoken, such as en; the first 30 s tell if not given
    #[arg(long, value_name = "CODE", requires = "model", help_heading = "With --model")]
    language: Option<String>,
    /// Write down what is said, or its translation to English
    #[arg(long, value_enum, default_value_t = Task::Transcribe, requires = "model", help_heading = "With --model")]
    task: Task,
    /// Read as if it had been said before: names and a manner of writing
    #[arg(long, value_name = "TEXT", requires = "model", help_heading = "With --model")]
    prompt: Option<String>,
    /// Tried in this order until a text looks right; 0 takes the likeliest, more draws
    #[arg(
        long,
        value_name = "T,..",
        value_delimiter = ',',
        default_values_t = [0.0_f32, 0.2, 0.4, 0.6, 0.8, 1.0],
        requires = "model",
        help_heading = "With --model"
    )]
    temperatures: Vec<f32>,
    /// Do not read the text of the 30 s before
    #[arg(long, requires = "model", help_heading = "With --model")]
    separate_windows: bool,
    /// Decides what is drawn
    #[arg(long, value_name = "N", default_value_t = 0, requires = "model", help_heading = "With --model")]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Task {
    Transcribe,
    Translate,
}

impl Task {
    fn task(self) -> WhisperTask {
        match self {
            Self::Transcribe => WhisperTask::Transcribe,
            Self::Translate => WhisperTask::Translate,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Transcribe => "transcribe",
            Self::Translate => "translate",
        }
    }
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match &args.model {
        Some(model) => published::run(&args, model),
        None => trained::run(&args),
    }
}
