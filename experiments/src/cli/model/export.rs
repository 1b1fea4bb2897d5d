//! `triptych model export`: an imported model in the layout that it was published in.

use std::path::PathBuf;

use triptych_encoders::pretrained::families::FamilyEntry;

use super::import::{open, report};
use crate::diagnostic::print;

/// Write an imported model as other programs read it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych model export models/minilm --out exported/minilm
  triptych model export models/whisper --out exported/whisper

The folder has a config.json, a model.safetensors in 32-bit floats, and the tokenizer and settings that came with the
model: `transformers` loads it.")]
pub(crate) struct Args {
    /// A folder that `model import` made
    model: PathBuf,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let folder = open(&args.model)?;
    let family = FamilyEntry::of_imported(&folder).map_err(|error| report(error.into()))?;
    (family.export)(&folder, &args.out).map_err(report)?;
    print(&format!("{}: {}\n", args.out.display(), family.about))
}
