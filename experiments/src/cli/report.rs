//! `triptych report`: one page about a run.

use std::path::PathBuf;

/// Write report.html of an evaluated run: one file that needs nothing else
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych report runs/quickstart")]
pub(crate) struct Args {
    /// The run's folder
    pub(crate) run: PathBuf,
}
