//! `triptych index info`: what an index holds, and whether it is whole.

use std::path::PathBuf;

use miette::IntoDiagnostic;
use serde_json::json;
use triptych_tasks::index::Index;

use super::error::IndexFailure;
use crate::diagnostic::print;

/// See what an index holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych index info pictures.index
  triptych index info pictures.index --verify --json")]
pub(super) struct Args {
    /// The index
    index: PathBuf,
    /// Read every row and compare the checksum
    #[arg(long)]
    verify: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let index = Index::open(&args.index).map_err(IndexFailure::new)?;
    if args.verify {
        index.verify().map_err(IndexFailure::new)?;
    }
    let originals = index.originals().map(|element| element.to_string());
    if args.json {
        let record = json!({
            "rows": index.n_rows(),
            "columns": index.d(),
            "stored": index.element().to_string(),
            "originals": originals,
            "metric": index.metric().to_string(),
            "bytes": index.n_bytes(),
            "verified": args.verify,
        });
        return print(&format!("{}\n", serde_json::to_string_pretty(&record).into_diagnostic()?));
    }
    print(&format!(
        "{} rows of {} columns, stored as {}{}, by {}, {} bytes{}\n",
        index.n_rows(),
        index.d(),
        index.element(),
        originals.map_or(String::new(), |originals| format!(" with originals of {originals}")),
        index.metric(),
        index.n_bytes(),
        if args.verify { ", every row verified" } else { "" },
    ))
}
