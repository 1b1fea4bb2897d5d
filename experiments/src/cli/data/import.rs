//! `triptych data import`: a collection to a corpus.

use std::cell::RefCell;
use std::path::PathBuf;

use serde_json::{Value, json};
use triptych_datasets::corpora::{ImportError, importer};

use crate::diagnostic::{UsageError, print};
use crate::progress::Progress;
use crate::run::TrainError;

/// Turn a collection into shards that every experiment reads
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji
  triptych data import emoji --out data/large --side 224
  triptych train quickstart --set data.corpus.folder=data/emoji

Where the folder holds the same corpus already, nothing is done.")]
pub(crate) struct Args {
    /// What to import; `triptych list corpora` names what there is
    corpus: String,
    /// Where the shards go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Height and width of drawn pictures in pixels; the corpus's own choice by default
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// Set another option of the corpus; may be given several times
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let importer = importer(&args.corpus).map_err(|error| usage(&error))?;
    let options = options(args)?;
    let progress = RefCell::new(None::<Progress>);
    let corpus = importer.import(&options, &args.out, &|done, total, what| {
        let mut progress = progress.borrow_mut();
        let bar =
            progress.get_or_insert_with(|| Progress::new("importing", total as u64, "samples", args.quiet));
        bar.set(done as u64, what);
    });
    let corpus = match corpus {
        Ok(corpus) => corpus,
        Err(error @ ImportError::Options { .. }) => return Err(usage(&error).into()),
        Err(error) => return Err(TrainError::from(error).into()),
    };
    if let Some(progress) = progress.into_inner() {
        progress.finish("");
    }
    let count = |is_counted: fn(&triptych_datasets::shard::Entry) -> bool| {
        corpus.entries().iter().filter(|entry| is_counted(entry)).count()
    };
    let (n_pictures, n_sounds) = (count(|entry| entry.image.is_some()), count(|entry| entry.audio.is_some()));
    print(&format!("{}: {n_pictures} pictures and {n_sounds} recordings\n", args.out.display()))
}

/// The corpus's options as its importer reads them.
fn options(args: &Args) -> Result<Value, UsageError> {
    let mut options = serde_json::Map::new();
    for argument in &args.set {
        let (key, value) = argument.split_once('=').ok_or_else(|| UsageError {
            message: format!("expected OPTION=VALUE, got `--set {argument}`"),
            hint: Some("for example `--set n_known=20`".to_owned()),
        })?;
        // a TOML value where it is one, else words
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
        let value = match parsed.ok().and_then(|mut table| table.remove("value")) {
            Some(value) => json!(value),
            None => json!(value),
        };
        options.insert(key.trim().to_owned(), value);
    }
    if let Some(side) = args.side {
        options.insert("side".to_owned(), json!(side));
    }
    Ok(if options.is_empty() { Value::Null } else { Value::Object(options) })
}

fn usage(error: &ImportError) -> UsageError {
    UsageError {
        message: error.to_string(),
        hint: Some("`triptych list corpora` says what there is".to_owned()),
    }
}
