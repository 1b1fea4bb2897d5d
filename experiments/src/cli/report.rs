//! `triptych report`: one page about a run.

use std::path::PathBuf;

use crate::device::DeviceChoice;
use crate::diagnostic::print;
use crate::evaluate::read_scores;
use crate::run::TrainError;
use crate::run::trained::run_config;
use crate::workflow::{Work, open_trained, report};

/// Write report.html of an evaluated run: one file that needs nothing else
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych report runs/quickstart")]
pub(crate) struct Args {
    /// The run's folder
    pub(crate) run: PathBuf,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let resolved = run_config(&args.run)?;
    let scores = read_scores(&args.run.join("scores.json")).map_err(TrainError::from)?;
    let work = Work { device: DeviceChoice::Cpu, is_quiet: true };
    let trained = open_trained(&resolved.value, &args.run, work)?;
    let path = report(&resolved, &trained, scores)?;
    print(&format!("report: {}\n", path.display()))
}
