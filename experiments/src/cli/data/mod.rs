//! `triptych data`: makes corpora of raw files. One file a subcommand, each with its `Args` and its `run`.

use clap::Subcommand;

mod import;
mod merge;
mod prepare;
mod similarity;

/// Make corpora of raw files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji
  triptych data prepare datasets/recipes/captions.toml --source data/emoji --out data/clean")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Args),
    Prepare(prepare::Args),
    Merge(merge::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Import(args) => import::run(&args),
        Command::Prepare(args) => prepare::run(&args),
        Command::Merge(args) => merge::run(&args),
    }
}
