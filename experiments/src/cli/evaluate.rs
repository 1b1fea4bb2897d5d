//! `triptych evaluate`: scores a trained run on what it never saw.

use std::path::PathBuf;

use miette::IntoDiagnostic;

use super::options::Work;
use crate::diagnostic::print;
use crate::report::text_summary;
use crate::run::trained::run_config;
use crate::workflow::{evaluate, open_trained};

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

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let resolved = run_config(&args.run)?;
    let work = args.work.work();
    let mut trained = open_trained(&resolved.value, &args.run, work)?;
    let scores = evaluate(&resolved.value, &mut trained, work)?;
    if args.json {
        let json = serde_json::to_string_pretty(&scores).into_diagnostic()?;
        return print(&format!("{json}\n"));
    }
    print(&text_summary(&scores))
}
