//! `triptych quickstart`: from nothing to a report, with one command.

use std::path::PathBuf;

use super::options::{Overrides, Work};
use crate::configuration::experiment;
use crate::diagnostic::print;
use crate::report::text_summary;
use crate::workflow::{evaluate, report, train};

/// Prepare the bundled data, train a model from nothing, evaluate it and write a report
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych quickstart
  triptych quickstart --out runs/short --set train.steps=200
  triptych quickstart --device cuda:0

Stopped at any moment, the same command goes on where it was.")]
pub(crate) struct Args {
    /// The run's folder
    #[arg(long, value_name = "DIR", default_value = "runs/quickstart")]
    pub(crate) out: PathBuf,
    /// The built-in config to run
    #[arg(long, value_name = "NAME", default_value = "quickstart")]
    pub(crate) preset: String,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    #[command(flatten)]
    pub(crate) work: Work,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let resolved = experiment(&args.preset, &args.overrides.set)?;
    let work = args.work.work();
    let mut trained = train(&resolved, &args.out, work)?;
    let scores = evaluate(&resolved.value, &mut trained, work)?;
    let summary = text_summary(&scores);
    let path = report(&resolved, &trained, scores)?;
    print(&format!("{summary}\nreport: {}\n", path.display()))
}
