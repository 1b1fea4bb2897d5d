//! `triptych data`: makes corpora of raw files. One file a subcommand, each with its `Args` and its `run`.

use clap::Subcommand;

mod features;
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
    Features(features::Args),
    Import(import::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Features(args) => features::run(&args),
        Command::Import(args) => import::run(&args),
    }
}
