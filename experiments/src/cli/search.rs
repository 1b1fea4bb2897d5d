//! `triptych search`: finds pictures by words, by a recording, or by another picture.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use miette::IntoDiagnostic;
use serde::Serialize;
use triptych_datasets::audio::AudioPipeline;
use triptych_datasets::loader::Selection;
use triptych_datasets::sample::Split;
use triptych_encoders::Modality;

use super::options::Work;
use crate::diagnostic::{UsageError, print};
use crate::evaluate::{
    Inference, Media, MediaError, batch_of_pictures, batch_of_recordings, embed_recording, read_media,
};
use crate::progress::Progress;
use crate::run::TrainError;
use crate::run::data::Data;
use crate::run::trained::TrainedRun;

/// Endings of files, which nobody means as words.
const FILE_ENDINGS: &[&str] = &[
    "png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "svg", "wav", "flac", "mp3", "ogg", "m4a",
    "aac",
];

/// Find pictures by words, by a recording or by a picture
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych search runs/quickstart 'red heart'
  triptych search runs/quickstart question.wav --top 3 --json
  triptych search runs/quickstart cat.png --split all")]
pub(crate) struct Args {
    /// The run whose model and pictures to use
    run: PathBuf,
    /// Words, or the path of an audio file or a picture
    query: String,
    /// How many pictures to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Which of the run's pictures to search
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}

/// A part of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    Test,
    Validation,
    Train,
    All,
}

impl Part {
    pub(super) fn selection(self) -> Selection {
        match self {
            Part::Test => Selection::of_split(Split::Test),
            Part::Validation => Selection::of_split(Split::Validation),
            Part::Train => Selection::of_split(Split::Train),
            Part::All => Selection::default(),
        }
    }
}

/// A picture that was found.
#[derive(Serialize)]
struct Found<'a> {
    rank: usize,
    /// Cosine similarity to the query.
    similarity: f32,
    caption: &'a str,
    id: &'a str,
    /// Where it came from.
    source: &'a str,
    split: Split,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.work.device)?;
    run.require(Modality::Image)?;
    let inference = run.inference();
    let query = embed_query(&run, &inference, &args.query)?;
    let data = run.data()?;
    let pictures = pictures(&data, args.split)?;
    let embeddings = embed_pictures(&run, &inference, &data, &pictures, args.work.quiet)?;
    let mut found = pictures
        .into_iter()
        .zip(&embeddings)
        .map(|(idx, embedding)| (query.iter().zip(embedding).map(|(a, b)| a * b).sum::<f32>(), idx))
        .collect::<Vec<_>>();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(args.top as usize);
    let entries = data.corpus.entries();
    let found = found.iter().enumerate().map(|(place, &(similarity, idx))| Found {
        rank: place + 1,
        similarity,
        caption: entries[idx].texts.first().map_or("", String::as_str),
        id: &entries[idx].id,
        source: &entries[idx].source,
        split: entries[idx].split,
    });
    let found = found.collect::<Vec<_>>();
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&found).into_diagnostic()?));
    }
    print(&table(&found))
}

/// One line a picture: similarity, caption, sample.
fn table(found: &[Found<'_>]) -> String {
    let width = found.iter().map(|found| found.caption.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Found { rank, similarity, caption, id, .. } in found {
        // writing to a string cannot fail
        let _ = writeln!(text, "{rank:>3}  {similarity:.3}  {caption:width$}  {id}");
    }
    text
}

/// The embedding of the query: a file where there is one of that path, else words.
pub(super) fn embed_query(
    run: &TrainedRun,
    inference: &Inference<'_>,
    query: &str,
) -> miette::Result<Vec<f32>> {
    let path = Path::new(query);
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_file = path.is_file() || FILE_ENDINGS.contains(&ending.as_str());
    let embeddings = if is_file {
        let transform = &run.config.data.image;
        let pipeline = AudioPipeline::new(&run.config.data.audio);
        let unusable = |error: MediaError| miette::miette!("{}: {error}", path.display());
        let media = read_media(path, transform, &pipeline).map_err(unusable)?;
        let max_s = run.config.data.audio.max_s;
        match media {
            Media::Picture(pixels) => {
                run.require(Modality::Image)?;
                batch_of_pictures(vec![pixels], transform.side).map(|batch| inference.embed_images(&batch))
            }
            Media::Recording(recording) if recording.duration_s > max_s => {
                run.require(Modality::Audio)?;
                Some(vec![embed_recording(inference, path, &pipeline, max_s).map_err(unusable)?])
            }
            Media::Recording(recording) => {
                run.require(Modality::Audio)?;
                batch_of_recordings(vec![recording]).map(|batch| inference.embed_sounds(&batch))
            }
        }
    } else {
        run.require(Modality::Text)?;
        let is_empty = run.tokenizer.encode(query).is_empty();
        (!is_empty).then(|| inference.embed_texts(&[query], 1))
    };
    let embedding = embeddings.into_iter().flatten().next();
    Ok(embedding.ok_or_else(|| UsageError {
        message: format!("expected words or a file to search by, got {query:?}"),
        hint: Some("for example `triptych search RUN 'red heart'`".to_owned()),
    })?)
}

/// The places in the corpus of the pictures to search.
fn pictures(data: &Data, part: Part) -> Result<Vec<usize>, UsageError> {
    let entries = data.corpus.entries();
    let of_part = data.corpus.select(&part.selection());
    let pictures = of_part.into_iter().filter(|&idx| entries[idx].image.is_some()).collect::<Vec<_>>();
    if pictures.is_empty() {
        let n_pictures = entries.iter().filter(|entry| entry.image.is_some()).count();
        return Err(UsageError {
            message: format!("the corpus {} has no pictures in that split", data.corpus.dir().display()),
            hint: (n_pictures > 0).then(|| format!("`--split all` searches all {n_pictures}")),
        });
    }
    Ok(pictures)
}

fn embed_pictures(
    run: &TrainedRun,
    inference: &Inference<'_>,
    data: &Data,
    pictures: &[usize],
    is_quiet: bool,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let mut progress = Progress::new("looking", pictures.len() as u64, "pictures", is_quiet);
    let mut embeddings = Vec::with_capacity(pictures.len());
    for batch in data.evaluation(&run.config, pictures.to_vec())? {
        embeddings.extend(inference.embed_images(&batch?.batch));
        progress.set(embeddings.len() as u64, "");
    }
    progress.finish(&format!("{} pictures", pictures.len()));
    Ok(embeddings)
}
