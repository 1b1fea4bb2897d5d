//! `triptych index`: embeddings in a file that is searched where it lies. One file a subcommand.

use clap::Subcommand;

mod build;
mod error;
mod info;
mod query;
mod source;

/// Build an index of embeddings, and find the nearest in it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych index build runs/quickstart --modality image --out pictures.index
  triptych index query pictures.index 'red heart' --run runs/quickstart
  triptych index info pictures.index --verify")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Args),
    Query(query::Args),
    Info(info::Args),
}

impl Args {
    /// The device that a run's model computes on, where there is one.
    pub(crate) fn device(&self) -> Option<crate::device::DeviceChoice> {
        match &self.command {
            Command::Build(args) => Some(args.work.device),
            Command::Query(args) => args.run.is_some().then_some(args.compute.device),
            Command::Info(_) => None,
        }
    }
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Build(args) => build::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Info(args) => info::run(&args),
    }
}
