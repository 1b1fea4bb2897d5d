//! `triptych model import`: a published model into a folder of ours.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Report};
use serde_json::json;
use triptych_encoders::pretrained::families::FamilyEntry;
use triptych_encoders::pretrained::mapping::{Completeness, Imported};
use triptych_encoders::pretrained::{Import, ImportedFolder, PretrainedError, PublishedFolder};

use crate::diagnostic::{UsageError, print};

/// Import published weights with their tokenizer and preprocessing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych model import downloads/all-MiniLM-L6-v2 --out models/minilm
  triptych model import downloads/whisper-tiny --out models/whisper --json
  triptych model import downloads/vit-other-size --partial --seed 3 --out models/vit

SOURCE is a folder in the layout of the Hugging Face hub: config.json, and model.safetensors or pytorch_model.bin, in
one file or in several with their index. Of a pytorch_model.bin tensors are read and nothing is run.
Whatever is missing, of another shape or unused is listed, and ends the import unless it was asked to be partial.")]
pub(crate) struct Args {
    /// The folder of a published model
    source: String,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Take what fits and leave other parameters at random
    #[arg(long)]
    partial: bool,
    /// Of the parameters that are left at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let source = source(&args.source)?;
    let folder = PublishedFolder::open(&source).map_err(|error| report(error.into()))?;
    let family = FamilyEntry::of_published(&folder).map_err(|error| report(error.into()))?;
    let completeness = if args.partial { Completeness::Partial } else { Completeness::Whole };
    let options = Import { completeness, seed: args.seed };
    let (folder, imported) = (family.import)(&folder, &args.out, &options).map_err(report)?;
    if args.json {
        return print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&summary(&folder, &imported)).into_diagnostic()?
        ));
    }
    print(&text(family, &folder, &imported))
}

/// The local folder that SOURCE stands for.
fn source(given: &str) -> miette::Result<PathBuf> {
    let Some(repository) = given.strip_prefix("hf:") else {
        return Ok(PathBuf::from(given));
    };
    Err(UsageError {
        message: format!("expected the folder of a published model, got the hub's {repository}"),
        hint: Some("download its files into a folder first, and import that".to_owned()),
    }
    .into())
}

/// What went wrong and what to do about it.
pub(super) fn report(error: PretrainedError) -> Report {
    match error.hint() {
        Some(hint) => miette::miette!(help = hint, "{error}"),
        None => miette::miette!("{error}"),
    }
}

fn summary(folder: &ImportedFolder, imported: &Imported) -> serde_json::Value {
    let mismatches = imported.mismatches.iter().map(|row| {
        json!({ "kind": row.kind.to_string(), "name": row.name, "expected": row.expected, "got": row.got })
    });
    json!({
        "family": folder.family(),
        "folder": folder.path().display().to_string(),
        "parameters": imported.n_parameters,
        "tensors": imported.n_tensors,
        "left_at_random": imported.left,
        "ignored": imported.ignored,
        "mismatches": mismatches.collect::<Vec<_>>(),
        "files": folder.files().keys().collect::<Vec<_>>(),
    })
}

fn text(family: &FamilyEntry, folder: &ImportedFolder, imported: &Imported) -> String {
    let mut text = format!(
        "{}: {} parameters from {} tensors of {} ({})\n",
        folder.path().display(),
        imported.n_parameters,
        imported.n_tensors,
        family.name,
        family.about
    );
    let with_it = folder.files().iter().filter(|(_, record)| record.blake3.is_some());
    let with_it = with_it.map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    push(&mut text, "came along", &with_it);
    push(&mut text, "set aside", &imported.ignored.iter().map(String::as_str).collect::<Vec<_>>());
    push(&mut text, "left at random", &imported.left.iter().map(String::as_str).collect::<Vec<_>>());
    for row in &imported.mismatches {
        text.push_str(&format!("{}: {}: expected {}, got {}\n", row.kind, row.name, row.expected, row.got));
    }
    text
}

fn push(text: &mut String, what: &str, names: &[&str]) {
    if !names.is_empty() {
        text.push_str(&format!("{what}: {}\n", names.join(", ")));
    }
}

/// The imported model in a folder.
pub(super) fn open(path: &Path) -> miette::Result<ImportedFolder> {
    ImportedFolder::open(path).map_err(|error| report(error.into()))
}
