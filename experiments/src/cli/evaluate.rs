//! `triptych evaluate`: scores a trained run on what it never saw.

use std::path::PathBuf;

use super::options::Work;

/// Score a run's model on styles, voices and concepts that it never saw
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych evaluate runs/quickstart
  triptych evaluate runs/quickstart --json | jq '.[] | select(.name == \"WER\")'")]
pub(crate) struct Args {
    /// The run's folder
    pub(crate) run: PathBuf,
    /// Print the scores as a JSON list
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}
