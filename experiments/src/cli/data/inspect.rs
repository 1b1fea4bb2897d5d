//! `triptych data inspect`: one page about a corpus.

use std::path::PathBuf;

use miette::{Diagnostic, IntoDiagnostic};
use serde_json::json;

use super::folder;
use super::stats::measured;
use crate::diagnostic::print;
use crate::report::ReportError;
use crate::report::corpus::{Choice, write};
use crate::report::numbers::bytes;

/// Write a page about a corpus: figures, histograms, pictures, players, repeats, leaks, odd items, licences
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data inspect data/emoji --out emoji.html
  triptych data inspect data/emoji --out emoji.html --seed 7 --pictures 100 --sounds 12

The page is one file that needs nothing else. The same corpus and the same seed give the same page.")]
pub(crate) struct Args {
    /// The corpus's folder
    corpus: PathBuf,
    /// The page
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Decides which pictures and sounds are shown
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Show so many pictures of each split
    #[arg(long, value_name = "N", default_value_t = Choice::default().n_pictures)]
    pictures: usize,
    /// Show so many sounds of each split
    #[arg(long, value_name = "N", default_value_t = Choice::default().n_sounds)]
    sounds: usize,
    /// Count tokens by this tokenizer; by the corpus's own tokenizer.json where there is one
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Print where the page is and how large as a JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// A page that could not be written.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot write the page: {0}")]
#[diagnostic(help("choose a file in a folder that exists and that you may write to"))]
struct Unwritten(ReportError);

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let tokens = folder::tokenizer(&args.corpus, args.tokenizer.as_deref())?;
    let corpus = folder::open(&args.corpus)?;
    let survey = measured(&corpus, tokens.as_ref(), args.quiet);
    let choice = Choice { seed: args.seed, n_pictures: args.pictures, n_sounds: args.sounds };
    write(&corpus, &survey, choice, &args.out).map_err(Unwritten)?;
    let n_bytes = std::fs::metadata(&args.out).map_or(0, |file| file.len());
    if args.json {
        let record =
            json!({"page": args.out.to_string_lossy(), "n_bytes": n_bytes, "n_samples": corpus.len()});
        return print(&format!("{}\n", serde_json::to_string_pretty(&record).into_diagnostic()?));
    }
    print(&format!("page: {} ({})\n", args.out.display(), bytes(n_bytes)))
}
