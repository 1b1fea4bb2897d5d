//! `triptych data`: makes corpora of raw files, and says what is in them. One file a subcommand, each with its `Args`
//! and its `run`.

use clap::Subcommand;

mod diff;
mod features;
mod fetch;
mod folder;
mod import;
mod inspect;
mod merge;
mod prepare;
mod sample;
mod similarity;
mod stats;
mod stats_table;
mod validate;

/// Make corpora of raw files, look into them, check and compare them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji
  triptych data prepare datasets/recipes/captions.toml --source data/emoji --out data/clean
  triptych data stats data/clean
  triptych data inspect data/clean --out clean.html
  triptych data validate data/clean --decode")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fetch(fetch::Args),
    Import(import::Args),
    Prepare(prepare::Args),
    Merge(merge::Args),
    Stats(stats::Args),
    Inspect(inspect::Args),
    Validate(validate::Args),
    Diff(diff::Args),
    Sample(sample::Args),
    Features(features::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Fetch(args) => fetch::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Prepare(args) => prepare::run(&args),
        Command::Merge(args) => merge::run(&args),
    }
}
