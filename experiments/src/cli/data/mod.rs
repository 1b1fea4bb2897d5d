//! `triptych data`: makes corpora of raw files. One file a subcommand, each with its `Args` and its `run`.

use clap::Subcommand;

mod import;

/// Make corpora of raw files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Import(args) => import::run(&args),
    }
}
