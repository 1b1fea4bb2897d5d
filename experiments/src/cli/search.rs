//! `triptych search`: finds pictures by words or by a recording.

use std::path::PathBuf;

use super::options::Work;

/// Find pictures by words or by a recording
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych search runs/quickstart 'red heart'
  triptych search runs/quickstart question.wav --top 3 --json")]
pub(crate) struct Args {
    /// The run whose model and pictures to use
    pub(crate) run: PathBuf,
    /// Words, or an audio file
    pub(crate) query: String,
    /// How many pictures to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: usize,
    /// Print a JSON list of objects
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}
