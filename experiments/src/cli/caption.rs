//! `triptych caption`: says what pictures show.

use std::path::PathBuf;

use super::options::Work;

/// Say what pictures show
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych caption runs/quickstart cat.png
  triptych caption runs/quickstart *.png --json | jq -r '.[].text'")]
pub(crate) struct Args {
    /// The run whose model to use
    pub(crate) run: PathBuf,
    /// Pictures: png, jpeg, webp, gif, bmp, tiff
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Print a JSON list of objects
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}
