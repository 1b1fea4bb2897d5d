//! `triptych caption`: says what pictures show.

use std::path::PathBuf;

use triptych_encoders::Modality;

use super::options::Compute;
use super::outcomes::Outcomes;
use super::writing::Writing;
use crate::evaluate::{batch_of_pictures, read_picture};
use crate::run::trained::TrainedRun;

/// Say what pictures show
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych caption runs/quickstart cat.png
  triptych caption runs/quickstart *.png --json | jq -r '.[].text'
  triptych caption runs/quickstart cat.png --beam 8 --n-best 5
  triptych caption runs/quickstart cat.png --sample --temperature 0.8 --top-p 0.9 --n-best 5
  triptych caption runs/quickstart cat.png --only-words animals.txt")]
pub(crate) struct Args {
    /// The run whose model to use
    run: PathBuf,
    /// Pictures: png, jpeg, webp, gif, bmp, tiff, svg
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.compute.device)?;
    run.require(Modality::Image)?;
    let inference = run.inference();
    let manner = args.writing.manner(run.config.evaluate.n_beams);
    let constraint = args.writing.constraint(&run.tokenizer)?;
    let transform = &run.config.data.image;
    let mut outcomes = Outcomes::new(args.json);
    for paths in args.images.chunks(run.config.evaluate.batch_size) {
        let (mut usable, mut pictures) = (Vec::new(), Vec::new());
        for path in paths {
            match read_picture(path, transform) {
                Ok(picture) => {
                    usable.push(path);
                    pictures.push(picture);
                }
                Err(error) => outcomes.failed(path, &error),
            }
        }
        let Some(batch) = batch_of_pictures(pictures, transform.side) else { continue };
        let ids = usable.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>();
        let seen = [inference.see(&batch)];
        let written = inference.write(&seen, &ids, &manner, constraint.as_ref())?;
        for (path, texts) in usable.into_iter().zip(written) {
            args.writing.tell(path, &texts, &run.tokenizer, &mut outcomes)?;
        }
    }
    outcomes.conclude()
}
