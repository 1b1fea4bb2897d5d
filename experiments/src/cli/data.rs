//! `triptych data`: makes corpora of raw files.

use std::path::PathBuf;

use clap::Subcommand;

/// Make corpora of raw files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(Import),
}

/// Turn a collection into shards that every experiment reads
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji")]
pub(crate) struct Import {
    /// What to import; `triptych list corpora` names what there is
    pub(crate) corpus: String,
    /// Where the shards go
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
