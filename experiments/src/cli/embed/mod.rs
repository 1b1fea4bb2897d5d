//! `triptych embed`: texts, pictures and recordings as vectors, by a published model.

use std::fs;
use std::path::{Path, PathBuf};

use triptych_datasets::audio::{AudioPipeline, AudioTransform, RATE_HZ};
use triptych_datasets::image::decode;

use self::embedder::{Embedder, MAX_SOUND_S};
use self::output::{Embedded, Kind};
use super::options::Compute;
use super::phrases::lines_of;
use crate::diagnostic::UsageError;

mod embedder;
mod output;

/// What a model sees or reads at once.
const BATCH: usize = 16;

/// Turn texts, pictures or recordings into vectors by a published model
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych embed --model downloads/clip-vit-base-patch32 --text 'a cat' --text 'a dog' cat.jpg dog.jpg
  triptych embed --model models/minilm --texts sentences.txt --out sentences.npy
  triptych embed --model models/clip --image *.jpg --out pictures.npy
  triptych embed --model models/wav2vec2 hello.wav --json | jq '.[0].embedding'

--model takes a folder as the Hugging Face hub has it, or one of `triptych model import`: CLIP and SigLIP for texts and
pictures, BERT and MiniLM for texts, ViT for pictures, wav2vec 2.0 for recordings. The tokenizer and the settings of
pictures and sounds are those in the folder. Without --out and --json, a table says how alike the texts or files are, of
texts and pictures together how well they fit.
`triptych index build FILE.npy --ids FILE.ids.txt` makes an index of what --out wrote.")]
pub(crate) struct Args {
    /// Pictures, or recordings of a model that hears
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A published model
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A text; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Vec<String>,
    /// A file of texts, one a line
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Pictures
    #[arg(long, value_name = "FILE", num_args = 1..)]
    image: Vec<PathBuf>,
    /// Write the vectors as a NumPy array, and beside it FILE.ids.txt with a line for each
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let usage =
        |message: &str, hint: &str| UsageError { message: message.to_owned(), hint: Some(hint.to_owned()) };
    let has_texts = !args.text.is_empty() || args.texts.is_some();
    let has_files = !args.files.is_empty() || !args.image.is_empty();
    if !has_texts && !has_files {
        return Err(usage("there is nothing to embed", "give files, --text, --texts or --image").into());
    }
    if args.out.as_ref().is_some_and(|out| out.extension().is_none_or(|ending| ending != "npy")) {
        return Err(
            usage("--out: expected a name that ends in .npy", "for example `--out vectors.npy`").into()
        );
    }
    let n_given = args.text.len() + args.files.len() + args.image.len();
    if args.out.is_none() && !args.json && args.texts.is_none() && n_given < 2 {
        let hint =
            "--out FILE.npy writes a NumPy array, --json prints; of several a table says how alike they are";
        return Err(usage("nothing says where the vectors go", hint).into());
    }
    let embedder = Embedder::open(&args.model, args.compute.device.open()?)?;
    let cannot = |what: &str| {
        let message = format!("the model {} reads no {what}", args.model.display());
        UsageError { message, hint: Some("`triptych embed --help` says which models read what".to_owned()) }
    };
    if has_texts && !embedder.reads_text() {
        return Err(cannot("texts").into());
    }
    if has_files && embedder.pictures().is_none() && !embedder.hears() {
        return Err(cannot("files, only texts").into());
    }
    if !args.image.is_empty() && embedder.pictures().is_none() {
        return Err(cannot("pictures").into());
    }
    let mut texts = args.text.clone();
    if let Some(path) = &args.texts {
        texts.extend(lines_of(path)?);
    }
    let mut embedded = Embedded::default();
    for texts in texts.chunks(BATCH) {
        let vectors = embedder.embed_texts(texts)?;
        texts.iter().zip(vectors).for_each(|(text, vector)| embedded.push(Kind::Text, text.clone(), vector));
    }
    let files = args.files.iter().chain(&args.image).collect::<Vec<_>>();
    for paths in files.chunks(BATCH) {
        if embedder.pictures().is_some() {
            embed_pictures(&embedder, paths, &mut embedded);
        } else {
            embed_sounds(&embedder, paths, &mut embedded);
        }
    }
    embedded.tell(&embedder, args.out.as_deref(), args.json)
}

fn embed_pictures(embedder: &Embedder, paths: &[&PathBuf], embedded: &mut Embedded) {
    let Some(pictures) = embedder.pictures() else { return };
    let read = |path: &Path| -> Result<Vec<f32>, String> {
        let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(pictures.apply(&decode(&bytes, &extension(path)).map_err(|error| error.to_string())?))
    };
    let (mut usable, mut values) = (Vec::new(), Vec::new());
    for path in paths {
        match read(path) {
            Ok(picture) => {
                usable.push(path.to_string_lossy().into_owned());
                values.push(picture);
            }
            Err(problem) => embedded.failed(path, &problem),
        }
    }
    if !values.is_empty() {
        let vectors = embedder.embed_pictures(&values);
        usable.into_iter().zip(vectors).for_each(|(name, vector)| embedded.push(Kind::Image, name, vector));
    }
}

fn embed_sounds(embedder: &Embedder, paths: &[&PathBuf], embedded: &mut Embedded) {
    let pipeline = AudioPipeline::new(&AudioTransform::default());
    let read = |path: &Path| -> Result<Vec<f32>, String> {
        let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let samples = pipeline.decode(&bytes, &extension(path)).map_err(|error| error.to_string())?;
        let duration_s = samples.len() as f64 / f64::from(RATE_HZ);
        if duration_s > MAX_SOUND_S {
            return Err(format!("expected at most {MAX_SOUND_S} s of sound, got {duration_s:.1} s"));
        }
        embedder.embed_sound(samples)
    };
    for path in paths {
        match read(path) {
            Ok(vector) => embedded.push(Kind::Audio, path.to_string_lossy().into_owned(), vector),
            Err(problem) => embedded.failed(path, &problem),
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}
