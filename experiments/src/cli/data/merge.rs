//! `triptych data merge`: slices to one corpus.

use std::path::PathBuf;

use triptych_datasets::pipeline::{DeduplicateSettings, MergeOptions, merge};

use super::prepare::{describe, summary, to_json};
use crate::diagnostic::print;

/// Join corpora, such as slices that were prepared on their own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data merge parts/* --out data/clean
  triptych data merge parts/* --out data/clean --deduplicate
  triptych data merge data/a data/b --out data/both --name both

Shards are linked where the file system can, else copied. Of slices of one preparation all must be there. Duplicates
between the parts stay unless `--deduplicate` is given: then of what looks, sounds or reads the same in all of them one
stays, in the test split if it is there.")]
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
    /// Take out what is in several parts, equal or nearly so, as `[deduplicate]` of a recipe does with its defaults
    #[arg(long)]
    deduplicate: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let options = MergeOptions {
        name: args.name.clone(),
        allows_missing: args.partial,
        deduplicate: args.deduplicate.then(DeduplicateSettings::default),
    };
    let merged = merge(&args.parts, &args.out, &options).map_err(describe)?;
    print(&if args.json { to_json(&merged.report)? } else { summary(&merged) })
}
