//! `triptych embed`: texts, pictures and recordings as vectors, by a published model.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use triptych_datasets::image::decode;

use self::embedder::{Embedder, MAX_SOUND_S};
use self::output::{Embedded, Kind};
use self::sounds::MIN_CHUNK_S;
use super::options::Compute;
use super::phrases::lines_of;
use crate::diagnostic::UsageError;
use crate::progress::Progress;

mod embedder;
mod output;
mod sounds;

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
  triptych embed --model models/wav2vec2 talk.mp3 --chunks=10 --out talk.npy

--model takes a folder as the Hugging Face hub has it, or one of `triptych model import`: CLIP and SigLIP for texts and
pictures, BERT and MiniLM for texts, ViT for pictures, wav2vec 2.0 for recordings. The tokenizer and the settings of
pictures and sounds are those in the folder. Without --out and --json, a table says how alike the texts or files are, of
texts and pictures together how well they fit.
A recording's vector is the mean over all of it; one of more than 300 s is heard in pieces that overlap. With --chunks it
has one for every so many seconds, named FILE#t=START,END.
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
    /// A vector for every so many seconds of a recording, 30 if not given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "30")]
    chunks: Option<f64>,
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
    if let Some(chunk_s) = args.chunks.filter(|chunk_s| !(MIN_CHUNK_S..=MAX_SOUND_S).contains(chunk_s)) {
        let message = format!("--chunks: expected {MIN_CHUNK_S} to {MAX_SOUND_S} seconds, got {chunk_s}");
        return Err(UsageError { message, hint: None }.into());
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
    let files = args.files.iter().chain(&args.image).collect::<Vec<_>>();
    let n_inputs = texts.len() + files.len();
    // what is done in a moment needs none, and what is not watched neither
    let is_quiet = n_inputs <= BATCH || !std::io::stderr().is_terminal();
    let mut progress = Progress::new("embed", n_inputs as u64, "inputs", is_quiet);
    let mut n_done = 0;
    let mut advance = |n: usize| {
        n_done += n as u64;
        progress.set(n_done, "");
    };
    for texts in texts.chunks(BATCH) {
        let vectors = embedder.embed_texts(texts)?;
        texts.iter().zip(vectors).for_each(|(text, vector)| embedded.push(Kind::Text, text.clone(), vector));
        advance(texts.len());
    }
    for paths in files.chunks(BATCH) {
        if embedder.pictures().is_some() {
            embed_pictures(&embedder, paths, &mut embedded);
        } else {
            embed_sounds(&embedder, paths, args.chunks, &mut embedded);
        }
        advance(paths.len());
    }
    progress.finish("");
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

fn embed_sounds(embedder: &Embedder, paths: &[&PathBuf], chunk_s: Option<f64>, embedded: &mut Embedded) {
    for path in paths {
        match sounds::embed(embedder, path, chunk_s) {
            Ok(rows) => {
                let name = path.to_string_lossy();
                rows.into_iter().for_each(|(vector, part_s)| embedded.push_sound(&name, part_s, vector));
            }
            Err(problem) => embedded.failed(path, &problem),
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}
