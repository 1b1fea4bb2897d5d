//! `triptych train`: trains what a config describes.

use std::path::PathBuf;

use super::options::{Overrides, Work};
use crate::configuration::experiment;
use crate::workflow::train;

/// Train what a config describes, or go on with a run that was stopped
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych train my-experiment.toml --out runs/mine
  triptych train quickstart --out runs/wide --set model.d_model=384
  triptych train runs/mine/config.toml --out runs/again

Stopped at any moment, the same command goes on where it was.")]
pub(crate) struct Args {
    /// A TOML file, or the name of a built-in config
    pub(crate) config: String,
    /// The run's folder; by default runs/ and the config's name
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    #[command(flatten)]
    pub(crate) work: Work,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let resolved = experiment(&args.config, &args.overrides.set)?;
    let out = args.out.unwrap_or_else(|| {
        let name = std::path::Path::new(&args.config).file_stem().unwrap_or_default();
        PathBuf::from("runs").join(name)
    });
    train(&resolved, &out, args.work.work())?;
    eprintln!("next: `triptych evaluate {}`", out.display());
    Ok(())
}
