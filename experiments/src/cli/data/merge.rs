//! `triptych data merge`: slices to one corpus.

use std::path::PathBuf;

use triptych_datasets::pipeline::{MergeOptions, merge};

use super::prepare::{describe, summary, to_json};
use crate::diagnostic::print;

/// Join corpora, such as slices that were prepared on their own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data merge parts/* --out data/clean
  triptych data merge data/a data/b --out data/both --name both

Shards are linked where the file system can, else copied. Of slices of one preparation all must be there. Duplicates
between the parts stay: `triptych data prepare` with a recipe of `[deduplicate]` finds them in the merged corpus.")]
pub(crate) struct Args {
    /// The corpora, in the order in which their samples follow each other
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Where the corpus goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The corpus's name; that of the first part by default
    #[arg(long)]
    name: Option<String>,
    /// Merge although slices are missing
    #[arg(long)]
    partial: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let options = MergeOptions { name: args.name.clone(), allows_missing: args.partial };
    let merged = merge(&args.parts, &args.out, &options).map_err(describe)?;
    print(&if args.json { to_json(&merged.report)? } else { summary(&merged) })
}
