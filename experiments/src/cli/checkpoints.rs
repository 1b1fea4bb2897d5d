//! `triptych checkpoints`: what a run can go on from, every byte checked.

use std::path::PathBuf;

use miette::{Diagnostic, IntoDiagnostic};
use serde_json::json;

use crate::diagnostic::print;
use crate::run::checkpoint;
use crate::run::folder::saved_config;

/// List the checkpoints of a run and check every byte of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych checkpoints runs/mine
  triptych checkpoints runs/mine --json | jq '.[-1].step'")]
pub(crate) struct Args {
    /// The run's folder
    run: PathBuf,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
}

/// Some checkpoints cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{n_damaged} of {n_checkpoints} checkpoints cannot be used")]
#[diagnostic(help("remove them: a run goes on from its newest checkpoint"))]
struct DamagedCheckpoints {
    n_damaged: usize,
    n_checkpoints: usize,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    saved_config(&args.run)?;
    let found = checkpoint::list(&args.run.join("checkpoints"))?;
    let mut records = Vec::new();
    let mut lines = String::new();
    let mut n_damaged = 0;
    for (step, path) in &found {
        let (n_values, problem) = match checkpoint::load(path) {
            Ok(checkpoint) => (checkpoint.tensors.values().map(|tensor| tensor.data.len()).sum(), None),
            Err(error) => (0, Some(error.to_string())),
        };
        n_damaged += usize::from(problem.is_some());
        let outcome = problem.clone().unwrap_or_else(|| format!("good, {n_values} values"));
        lines.push_str(&format!("step {step:>8}  {outcome}\n"));
        records.push(json!({"step": step, "path": path, "values": n_values, "problem": problem}));
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&records).into_diagnostic()?))?;
    } else {
        print(&lines)?;
    }
    match n_damaged {
        0 => Ok(()),
        _ => Err(DamagedCheckpoints { n_damaged, n_checkpoints: found.len() }.into()),
    }
}
