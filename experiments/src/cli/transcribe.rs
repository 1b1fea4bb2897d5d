//! `triptych transcribe`: writes down what recordings say.

use std::path::PathBuf;

use super::options::Work;

/// Write down what recordings say
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych transcribe runs/quickstart hello.wav
  triptych transcribe runs/quickstart *.wav --json | jq -r '.[].text'")]
pub(crate) struct Args {
    /// The run whose model to use
    pub(crate) run: PathBuf,
    /// Recordings: wav, flac, mp3, ogg, m4a
    #[arg(required = true, value_name = "AUDIO")]
    pub(crate) recordings: Vec<PathBuf>,
    /// Print a JSON list of objects
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}
