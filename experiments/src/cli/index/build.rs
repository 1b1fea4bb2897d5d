//! `triptych index build`: embeddings of a file, or of a corpus by a run's model, into an index.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use miette::IntoDiagnostic;
use serde_json::json;
use triptych_datasets::corpora::ImportError;
use triptych_datasets::shard::{Corpus, Entry};
use triptych_encoders::Modality;
use triptych_tasks::index::{Builder, Element, Index, Metric, NpyRows, Storage};

use super::error::IndexFailure;
use super::source;
use crate::cli::options::Work;
use crate::cli::search::Part;
use crate::diagnostic::{UsageError, print};
use crate::progress::Progress;
use crate::run::TrainError;
use crate::run::data::Data;
use crate::run::trained::TrainedRun;

/// Texts that the model sees at once.
const BATCH: usize = 32;

/// Build an index of embeddings: of a `.npy` or `.jsonl` file, or of a corpus by a run's model
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych index build embeddings.npy --ids ids.txt --out x.index
  triptych index build embeddings.jsonl --store i8 --originals f16 --out x.index
  triptych index build runs/quickstart --corpus data/mine --modality image --out pictures.index

A line of `.jsonl` is an object with `id` and `embedding`. Rows of i8 take a quarter of the memory; their best are scored
again by the originals. An index is there as a whole or not at all.")]
pub(super) struct Args {
    /// A `.npy` matrix, a `.jsonl` file, or the folder of a run
    source: PathBuf,
    /// Where the index goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Ids of the rows of a `.npy`, one a line; without it, their numbers from 0 on
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// The corpus to embed; without it, the run's own
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
    /// What of the corpus to embed
    #[arg(long, value_enum)]
    modality: Option<Embedded>,
    /// Which part of the corpus
    #[arg(long, value_enum, default_value_t = Part::All)]
    split: Part,
    /// What rows are stored as
    #[arg(long, value_enum, default_value_t = Stored::F32)]
    store: Stored,
    /// What is kept beside rows of i8, to score the best of them again
    #[arg(long, value_enum, default_value_t = Originals::F16)]
    originals: Originals,
    /// How embeddings compare
    #[arg(long, value_enum, default_value_t = By::Cosine)]
    metric: By,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Embedded {
    Text,
    Image,
    Audio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stored {
    F32,
    F16,
    I8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Originals {
    F32,
    F16,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Cosine,
    Dot,
}

/// Makes the builder when the first row tells how wide it is.
struct Rows<'a> {
    out: &'a Path,
    storage: Storage,
    builder: Option<Builder>,
    progress: Progress,
}

impl Rows<'_> {
    fn take(&mut self, id: &str, row: &[f32]) -> Result<(), IndexFailure> {
        let builder = match &mut self.builder {
            Some(builder) => builder,
            none => {
                none.insert(Builder::create(self.out, row.len(), self.storage).map_err(IndexFailure::new)?)
            }
        };
        builder.push(id, row).map_err(IndexFailure::new)?;
        if builder.n_rows().is_multiple_of(1024) {
            self.progress.set(builder.n_rows() as u64, "");
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let is_run = args.source.is_dir();
    let ending = args.source.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let usage = |message: String, hint: &str| UsageError { message, hint: Some(hint.to_owned()) };
    if !is_run && (args.corpus.is_some() || args.modality.is_some()) {
        let message =
            format!("`--corpus` and `--modality` go with the folder of a run, got {}", args.source.display());
        return Err(usage(message, "a run's model embeds a corpus; a file holds embeddings already").into());
    }
    if args.ids.is_some() && ending != "npy" {
        let message = format!("`--ids` goes with a .npy file, got {}", args.source.display());
        return Err(usage(message, "lines of .jsonl and samples of a corpus have ids of their own").into());
    }
    let storage = Storage {
        element: match args.store {
            Stored::F32 => Element::F32,
            Stored::F16 => Element::F16,
            Stored::I8 => Element::I8,
        },
        originals: match args.originals {
            Originals::F32 if args.store == Stored::I8 => Some(Element::F32),
            Originals::F16 if args.store == Stored::I8 => Some(Element::F16),
            _ => None,
        },
        metric: match args.metric {
            By::Cosine => Metric::Cosine,
            By::Dot => Metric::Dot,
        },
    };
    let progress = Progress::new("indexing", 0, "rows", args.work.quiet);
    let mut rows = Rows { out: &args.out, storage, builder: None, progress };
    match ending.as_str() {
        _ if is_run => embed(args, &mut rows)?,
        "npy" => {
            let array = NpyRows::open(&args.source).map_err(IndexFailure::new)?;
            let named = |failure| IndexFailure::of_file(&args.source, failure);
            source::of_array(&array, args.ids.as_deref(), |id, row| rows.take(id, row).map_err(named))?;
        }
        "jsonl" | "ndjson" => source::of_lines(&args.source, |id, row| rows.take(id, row))?,
        _ => {
            let message =
                format!("expected a .npy or .jsonl file or a run's folder, got {}", args.source.display());
            return Err(usage(message, "`triptych index build --help` shows what each looks like").into());
        }
    }
    let Rows { builder, progress, .. } = rows;
    let empty = || IndexFailure::of_file(&args.source, "expected at least one embedding, got none");
    builder.ok_or_else(empty)?.finish().map_err(|error| IndexFailure::of_file(&args.source, error))?;
    let index = Index::open(&args.out).map_err(IndexFailure::new)?;
    progress.finish(&format!("{} rows", index.n_rows()));
    let (n_rows, d, n_bytes) = (index.n_rows(), index.d(), index.n_bytes());
    if args.json {
        let record =
            json!({"index": args.out.to_string_lossy(), "rows": n_rows, "columns": d, "bytes": n_bytes});
        return print(&format!("{}\n", serde_json::to_string_pretty(&record).into_diagnostic()?));
    }
    print(&format!("{}: {n_rows} rows of {d} columns, {n_bytes} bytes\n", args.out.display()))
}

/// Every sample of a part of the corpus that has the modality; of several texts the first.
fn embed(args: &Args, rows: &mut Rows<'_>) -> miette::Result<()> {
    let Some(embedded) = args.modality else {
        let hint = Some("for example `--modality image`".to_owned());
        return Err(UsageError {
            message: "a run embeds texts, pictures or sounds: say which".to_owned(),
            hint,
        }
        .into());
    };
    let run = TrainedRun::open(&args.source, args.work.device)?;
    run.require(match embedded {
        Embedded::Text => Modality::Text,
        Embedded::Image => Modality::Image,
        Embedded::Audio => Modality::Audio,
    })?;
    let data = match &args.corpus {
        None => run.data()?,
        Some(folder) => {
            let corpus = Corpus::open(folder).map_err(|error| TrainError::from(ImportError::from(error)))?;
            Data { corpus: Arc::new(corpus), tokenizer: Arc::new(run.tokenizer.clone()) }
        }
    };
    let has_it = |entry: &Entry| match embedded {
        Embedded::Text => !entry.texts.is_empty(),
        Embedded::Image => entry.image.is_some(),
        Embedded::Audio => entry.audio.is_some(),
    };
    let entries = data.corpus.entries();
    let mut idxs = data.corpus.select(&args.split.selection());
    idxs.retain(|&idx| has_it(&entries[idx]));
    if idxs.is_empty() {
        let message =
            format!("the corpus {} has nothing to embed in that split", data.corpus.dir().display());
        return Err(UsageError { message, hint: None }.into());
    }
    let inference = run.inference();
    let ids: Vec<&str> = idxs.iter().map(|&idx| entries[idx].id.as_str()).collect();
    let mut ids = ids.into_iter();
    let mut take = |embeddings: Vec<Vec<f32>>| -> Result<(), IndexFailure> {
        embeddings.iter().zip(&mut ids).try_for_each(|(row, id)| {
            rows.take(id, row).map_err(|failure| IndexFailure::new(format!("sample {id:?}: {failure}")))
        })
    };
    if embedded == Embedded::Text {
        for idxs in idxs.chunks(BATCH) {
            let texts: Vec<&str> =
                idxs.iter().map(|&idx| entries[idx].texts.first().map_or("", String::as_str)).collect();
            take(inference.embed_texts(&texts, BATCH))?;
        }
        return Ok(());
    }
    for batch in data.evaluation(&run.config, idxs).map_err(TrainError::from)? {
        let batch = batch.map_err(TrainError::from)?.batch;
        take(match embedded {
            Embedded::Audio => inference.embed_sounds(&batch),
            _ => inference.embed_images(&batch),
        })?;
    }
    Ok(())
}
