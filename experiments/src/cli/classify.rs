//! `triptych classify`: tells pictures and recordings apart by the names of classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use triptych_datasets::audio::AudioPipeline;
use triptych_encoders::Modality;
use triptych_tasks::heads::zero_shot::{Template, ZeroShot, probabilities};

use super::options::Compute;
use super::outcomes::Outcomes;
use super::phrases::{self, PhrasesError};
use crate::evaluate::{
    Classes, Inference, Media, batch_of_pictures, batch_of_recordings, embed_recording, read_media,
};
use crate::run::trained::TrainedRun;

/// Tell pictures and recordings apart by the names of classes, which need no training
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych classify runs/quickstart --labels animals.txt cat.png
  triptych classify runs/quickstart --labels animals.txt --templates phrases.txt *.png --top 3
  triptych classify runs/quickstart --labels words.txt hello.wav --json | jq -r '.[].text'

A line of the labels is a class; behind a tab may stand what it is called in the phrases. A line of the templates is a
phrase with {} where the class stands, such as `a drawing of {}`; the classes are the means of their phrases. A
recording that is longer than the model hears at once is told by the mean over its parts.")]
pub(crate) struct Args {
    /// The run whose model to use
    run: PathBuf,
    /// Pictures and recordings
    #[arg(required = true, value_name = "PICTURE_OR_SOUND")]
    files: Vec<PathBuf>,
    /// The classes, one a line
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Phrases around the name of a class, one a line; the name alone if not given
    #[arg(long, value_name = "FILE")]
    templates: Option<PathBuf>,
    /// Classes to give for each file
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.compute.device)?;
    run.require(Modality::Text)?;
    let inference = run.inference();
    let (names, words) = read_labels(&args.labels, &run)?;
    let templates = args.templates.as_deref().map(read_templates).transpose()?;
    let templates = templates.unwrap_or_else(|| vec![Template::name()]);
    let classes = Classes::new(&inference, &run.config, names, &words, &templates);
    let heads = [Modality::Image, Modality::Audio].map(|modality| classes.head(&inference, modality));
    let pipeline = AudioPipeline::new(&run.config.data.audio);
    let mut outcomes = Outcomes::new(args.json);
    for path in &args.files {
        let media = match read_media(path, &run.config.data.image, &pipeline) {
            Ok(media) => media,
            Err(error) => {
                outcomes.failed(path, &error);
                continue;
            }
        };
        let max_s = run.config.data.audio.max_s;
        let is_long = matches!(&media, Media::Recording(recording) if recording.duration_s > max_s);
        let shares = if is_long {
            run.require(Modality::Audio)?;
            match embed_recording(&inference, path, &pipeline, max_s) {
                Ok(embedding) => shares_of(&heads[1], &embedding)?,
                Err(error) => {
                    outcomes.failed(path, &error);
                    continue;
                }
            }
        } else {
            shares(&run, &inference, &heads, media)?
        };
        let mut order = (0..shares.len()).collect::<Vec<_>>();
        order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
        order.truncate(args.top as usize);
        let listed =
            order.iter().map(|&idx| json!({"class": classes.names[idx], "probability": shares[idx]}));
        let listed = listed.collect::<Vec<_>>();
        let text = if args.json {
            classes.names[order[0]].clone()
        } else {
            let share = |idx: &usize| format!("{} {:.1}%", classes.names[*idx], 100.0 * shares[*idx]);
            order.iter().map(share).collect::<Vec<_>>().join(", ")
        };
        outcomes.done(path, &text, json!({"classes": listed}))?;
    }
    outcomes.conclude()
}

/// The probability of each class.
fn shares(
    run: &TrainedRun,
    inference: &Inference<'_>,
    [images, sounds]: &[ZeroShot; 2],
    media: Media,
) -> miette::Result<Vec<f64>> {
    let (head, embeddings) = match media {
        Media::Picture(pixels) => {
            run.require(Modality::Image)?;
            let batch = batch_of_pictures(vec![pixels], run.config.data.image.side);
            (images, batch.map(|batch| inference.embed_images(&batch)))
        }
        Media::Recording(recording) => {
            run.require(Modality::Audio)?;
            (sounds, batch_of_recordings(vec![recording]).map(|batch| inference.embed_sounds(&batch)))
        }
    };
    shares_of(head, &embeddings.into_iter().flatten().next().unwrap_or_default())
}

fn shares_of(head: &ZeroShot, embedding: &[f32]) -> miette::Result<Vec<f64>> {
    let logits = head.logits(embedding).collect::<Vec<_>>();
    if logits.iter().any(|logit| logit.is_nan()) {
        return Err(miette::miette!("the model's similarities are NaN"));
    }
    Ok(probabilities(&logits))
}

/// The classes in their order, and what they are called.
fn read_labels(
    path: &Path,
    run: &TrainedRun,
) -> Result<(Vec<String>, BTreeMap<String, String>), PhrasesError> {
    let fault = |problem: String| PhrasesError { path: path.to_owned(), problem };
    let (mut names, mut words, mut seen) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for line in phrases::read(path)? {
        let called = line.value.filter(|words| !words.is_empty());
        let (number, name) = (line.number, line.phrase);
        if run.tokenizer.encode(called.as_ref().unwrap_or(&name)).is_empty() {
            return Err(fault(format!("line {number}: the model reads nothing in {name:?}")));
        }
        if !seen.insert(name.clone()) {
            return Err(fault(format!("line {number}: class {name:?} stands twice")));
        }
        words.extend(called.map(|called| (name.clone(), called)));
        names.push(name);
    }
    if names.len() < 2 {
        return Err(fault("expected at least two classes to tell apart, got one".to_owned()));
    }
    Ok((names, words))
}

fn read_templates(path: &Path) -> Result<Vec<Template>, PhrasesError> {
    let fault = |problem: String| PhrasesError { path: path.to_owned(), problem };
    let template = |line: phrases::Line| {
        let parsed = line.phrase.parse();
        parsed.map_err(|error| fault(format!("line {}: {error}", line.number)))
    };
    phrases::read(path)?.into_iter().map(template).collect()
}
