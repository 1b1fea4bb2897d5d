//! `triptych data`: makes corpora of raw files, and says what is in them. One file a subcommand, each with its `Args`
//! and its `run`.

use clap::Subcommand;

mod diff;
mod fetch;
mod folder;
mod import;
mod inspect;
mod sample;
mod stats;
mod stats_table;
mod validate;

/// Make corpora of raw files, look into them, check and compare them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji
  triptych data stats data/emoji
  triptych data inspect data/emoji --out emoji.html
  triptych data validate data/emoji --decode")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fetch(fetch::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Stats(stats::Args),
    Validate(validate::Args),
    Diff(diff::Args),
    Sample(sample::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Fetch(args) => fetch::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Sample(args) => sample::run(&args),
    }
}
