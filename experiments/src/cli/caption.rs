//! `triptych caption`: says what pictures show.

use std::path::PathBuf;

use serde_json::json;
use triptych_encoders::Modality;
use triptych_tasks::decode::{BeamSearch, Sampling};

use super::options::Compute;
use super::outcomes::Outcomes;
use super::phrases;
use crate::evaluate::{Manner, batch_of_pictures, read_picture};
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
    /// Texts kept at each step; the config's `evaluate.n_beams` if not given
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    /// Prefer longer texts: the exponent of the length in the score
    #[arg(
        long,
        value_name = "ALPHA",
        default_value_t = 0.0,
        conflicts_with = "sample",
        allow_negative_numbers = true
    )]
    length_penalty: f32,
    /// Draw texts at random instead of searching the likeliest
    #[arg(long, conflicts_with = "beam")]
    sample: bool,
    /// Below 1 draw the likely more often, above 1 less; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "sample")]
    temperature: f32,
    /// Draw from so many of the likeliest tokens; 0 is from all
    #[arg(long, value_name = "K", default_value_t = 0, requires = "sample")]
    top_k: usize,
    /// Draw from the likeliest tokens that have this probability together
    #[arg(long, value_name = "P", default_value_t = 1.0, requires = "sample")]
    top_p: f32,
    /// Draw from tokens at least so many times as likely as the likeliest
    #[arg(long, value_name = "P", default_value_t = 0.0, requires = "sample")]
    min_p: f32,
    /// Decides the draws, with a picture's path
    #[arg(long, default_value_t = 1, requires = "sample")]
    seed: u64,
    /// Above 1, words that a text has are less likely to come again
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// Texts to give for each picture
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_best: usize,
    /// Write nothing but words and phrases of this file, one a line
    #[arg(long, value_name = "FILE")]
    only_words: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

impl Args {
    fn manner(&self, n_beams: usize) -> Manner {
        if self.sample {
            return Manner::Sample(Sampling {
                repetition_penalty: self.repetition_penalty,
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                seed: self.seed,
                n_samples: self.n_best,
            });
        }
        Manner::Search(BeamSearch {
            // no fewer than are to be given
            n_beams: self.beam.unwrap_or(n_beams.max(self.n_best)),
            n_best: self.n_best,
            length_penalty: self.length_penalty,
            repetition_penalty: self.repetition_penalty,
        })
    }
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.compute.device)?;
    run.require(Modality::Image)?;
    let inference = run.inference();
    let manner = args.manner(run.config.evaluate.n_beams);
    let constraint =
        args.only_words.as_deref().map(|path| phrases::only(path, &run.tokenizer)).transpose()?;
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
        let written = inference.write(&inference.see(&batch), &ids, &manner, constraint.as_ref())?;
        for (path, texts) in usable.into_iter().zip(written) {
            let alternatives = texts.iter().map(|text| {
                json!({"text": run.tokenizer.decode(&text.ids), "confidence": text.confidence(), "score": text.score})
            });
            let alternatives = alternatives.collect::<Vec<_>>();
            for (text, alternative) in
                texts.iter().zip(&alternatives).take(if args.json { 1 } else { args.n_best })
            {
                let mut details = json!({"confidence": text.confidence()});
                if args.n_best > 1 {
                    details["n_best"] = json!(alternatives);
                }
                outcomes.done(path, alternative["text"].as_str().unwrap_or_default(), details)?;
            }
        }
    }
    outcomes.conclude()
}
