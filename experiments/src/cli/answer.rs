//! `triptych answer`: answers a question about pictures or recordings.

use std::path::PathBuf;

use triptych_datasets::audio::AudioPipeline;
use triptych_encoders::{Modality, TokenSequence};

use super::options::Compute;
use super::outcomes::Outcomes;
use super::writing::Writing;
use crate::diagnostic::UsageError;
use crate::evaluate::{Inference, Media, batch_of_pictures, batch_of_recordings, read_media};
use crate::run::trained::TrainedRun;

/// Answer a question about pictures or recordings
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych answer runs/mine cat.png 'what animal is it?'
  triptych answer runs/mine *.png 'what colour is it?' --json | jq -r '.[].text'
  triptych answer runs/mine bark.wav 'what is heard?' --beam 8 --n-best 5
  triptych answer runs/mine cat.png 'is it black?' --only-words yes-or-no.txt")]
pub(crate) struct Args {
    /// The run whose model to use
    run: PathBuf,
    /// Pictures and recordings
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to ask about each of them
    question: String,
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
    run.require(Modality::Text)?;
    let answered = run.config.answered();
    if answered.is_empty() {
        return Err(UsageError {
            message: format!("the model of {} was not trained to answer questions", args.run.display()),
            hint: Some(
                "train one with the objective `answer` (pictures) or `answer_audio` (sounds), on samples with questions"
                    .to_owned(),
            ),
        }
        .into());
    }
    if run.tokenizer.encode(&args.question).is_empty() {
        return Err(UsageError {
            message: format!("expected a question behind the files, got {:?}", args.question),
            hint: Some("for example `triptych answer RUN cat.png 'what animal is it?'`".to_owned()),
        }
        .into());
    }
    let inference = run.inference();
    let manner = args.writing.manner(run.config.evaluate.n_beams);
    let constraint = args.writing.constraint(&run.tokenizer)?;
    let (transform, pipeline) = (&run.config.data.image, AudioPipeline::new(&run.config.data.audio));
    let mut outcomes = Outcomes::new(args.json);
    for paths in args.files.chunks(run.config.evaluate.batch_size) {
        let mut perceived = Vec::new();
        for path in paths {
            match read_media(path, transform, &pipeline) {
                Ok(media) if answered.contains(&modality(&media)) => perceived.push((path, media)),
                Ok(media) => outcomes.failed(path, &Unlearned { modality: modality(&media) }),
                Err(error) => outcomes.failed(path, &error),
            }
        }
        // files in a row that are of one kind are answered together
        for group in perceived.chunk_by(|(_, a), (_, b)| modality(a) == modality(b)) {
            let ids = group.iter().map(|(path, _)| path.to_string_lossy()).collect::<Vec<_>>();
            let Some(source) = encoded(group.iter().map(|(_, media)| media), &inference, transform.side)
            else {
                continue;
            };
            let question = inference.read(&vec![args.question.as_str(); group.len()]);
            let written = inference.write(&[question, source], &ids, &manner, constraint.as_ref())?;
            for ((path, _), texts) in group.iter().zip(written) {
                args.writing.tell(path, &texts, &run.tokenizer, &mut outcomes)?;
            }
        }
    }
    outcomes.conclude()
}

/// A file of a kind that the model has not learned to answer questions about.
#[derive(Debug, thiserror::Error)]
#[error("the model has not learned to answer questions about {}", match modality {
    Modality::Image => "pictures",
    Modality::Audio => "recordings",
    Modality::Text => "texts",
})]
struct Unlearned {
    modality: Modality,
}

fn modality(media: &Media) -> Modality {
    match media {
        Media::Picture(_) => Modality::Image,
        Media::Recording(_) => Modality::Audio,
    }
}

/// Media of one kind.
fn encoded<'a>(
    media: impl Iterator<Item = &'a Media>,
    inference: &Inference<'_>,
    side: usize,
) -> Option<TokenSequence> {
    let (mut pictures, mut recordings) = (Vec::new(), Vec::new());
    for media in media.cloned() {
        match media {
            Media::Picture(pixels) => pictures.push(pixels),
            Media::Recording(recording) => recordings.push(recording),
        }
    }
    match batch_of_pictures(pictures, side) {
        Some(batch) => Some(inference.see(&batch)),
        None => batch_of_recordings(recordings).map(|batch| inference.hear(&batch).encoded),
    }
}
