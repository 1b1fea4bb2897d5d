//! `triptych data stats`: the figures of a corpus.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use miette::IntoDiagnostic;
use triptych_datasets::shard::Corpus;
use triptych_datasets::survey::{Survey, TokenCounter, survey};

use super::{folder, stats_table};
use crate::diagnostic::print;
use crate::progress::Progress;

/// Count what a corpus holds: amounts, sizes, lengths, words, languages, tags, repeats and leaks
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data stats data/emoji
  triptych data stats data/emoji --tokenizer runs/quickstart/tokenizer.json
  triptych data stats data/emoji --json | jq '.repeated_images.leaks'

Every byte of every picture and sound is read and checked against its hash; only headers are decoded.
A leak is a picture, a sound, a text or a group of a held-out split that stands in another split too.")]
pub(crate) struct Args {
    /// The corpus's folder
    corpus: PathBuf,
    /// Count tokens by this tokenizer; by the corpus's own tokenizer.json where there is one
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let tokens = folder::tokenizer(&args.corpus, args.tokenizer.as_deref())?;
    let corpus = folder::open(&args.corpus)?;
    let found = measured(&corpus, tokens.as_ref(), args.quiet);
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&found).into_diagnostic()?));
    }
    print(&stats_table::text(&found, bytes_on_disk(&args.corpus)))
}

/// Measures a corpus under a progress bar.
pub(super) fn measured(corpus: &Corpus, tokens: Option<&TokenCounter>, is_quiet: bool) -> Survey {
    let bar = RefCell::new(Progress::new("measuring", corpus.len() as u64, "samples", is_quiet));
    let found = survey(corpus, tokens, &|done, _, what| bar.borrow_mut().set(done as u64, what));
    bar.into_inner().finish("");
    found
}

/// Bytes of the files in a folder.
pub(super) fn bytes_on_disk(dir: &Path) -> u64 {
    let Ok(listing) = std::fs::read_dir(dir) else { return 0 };
    listing
        .filter_map(|item| item.ok()?.metadata().ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum()
}
