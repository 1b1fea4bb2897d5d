//! `triptych model import`: a published model into a folder of ours.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Report};
use serde_json::json;
use triptych_encoders::pretrained::families::FamilyEntry;
use triptych_encoders::pretrained::mapping::{Completeness, Imported};
use triptych_encoders::pretrained::{Import, ImportedFolder, PretrainedError, PublishedFolder};

use crate::diagnostic::print;

/// Import published weights with their tokenizer and preprocessing
#[derive(Debug, clap::Args)]
#[cfg_attr(
    not(feature = "hub"),
    allow(dead_code, reason = "the help is the same, whatever the program can do")
)]
#[command(after_help = "\
Examples:
  triptych model import downloads/all-MiniLM-L6-v2 --out models/minilm
  triptych model import downloads/whisper-tiny --out models/whisper --json
  triptych model import downloads/vit-other-size --partial --seed 3 --out models/vit
  triptych model import hf:OWNER/NAME --revision v1.0 --out models/name

SOURCE is a folder in the layout of the Hugging Face hub: config.json, and model.safetensors or pytorch_model.bin, in
one file or in several with their index. Of a pytorch_model.bin tensors are read and nothing is run.
hf:OWNER/NAME, or OWNER/NAME where there is no such folder, is a model of the hub. It comes into the cache that programs
share (HF_HOME), checked by its hashes; HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE count as for other programs.
Whatever is missing, of another shape or unused is listed, and ends the import unless it was asked to be partial.")]
pub(crate) struct Args {
    /// The folder of a published model, or hf:OWNER/NAME
    source: String,
    /// Branch, tag or commit of a model of the hub
    #[arg(long, default_value = "main")]
    revision: String,
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
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let (source, origin) = match repository(&args.source) {
        Some(repository) => hub::fetch(args, repository)?,
        None => (PathBuf::from(&args.source), None),
    };
    let folder = PublishedFolder::open(&source).map_err(|error| report(error.into()))?;
    let family = FamilyEntry::of_published(&folder).map_err(|error| report(error.into()))?;
    let completeness = if args.partial { Completeness::Partial } else { Completeness::Whole };
    let options = Import { completeness, seed: args.seed };
    let (folder, imported) = (family.import)(&folder, &args.out, &options).map_err(report)?;
    if args.json {
        return print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&summary(&folder, &imported, origin.as_ref())).into_diagnostic()?
        ));
    }
    print(&text(family, &folder, &imported, origin.as_ref()))
}

/// Where a model of the hub is from.
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "no model is from there"))]
struct Origin {
    repository: String,
    commit: String,
    licence: Option<String>,
}

/// The hub's name of what SOURCE stands for, if that is no folder.
fn repository(source: &str) -> Option<&str> {
    let is_name = |part: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain)
    };
    source.strip_prefix("hf:").or_else(|| {
        let (owner, name) = source.split_once('/')?;
        (is_name(owner) && is_name(name) && !Path::new(source).exists()).then_some(source)
    })
}

#[cfg(not(feature = "hub"))]
mod hub {
    use super::{Args, Origin, PathBuf};

    pub(super) fn fetch(args: &Args, repository: &str) -> miette::Result<(PathBuf, Option<Origin>)> {
        if args.source == repository {
            // it may be either; without the hub it is a folder that is not there
            return Ok((PathBuf::from(&args.source), None));
        }
        Err(miette::miette!(
            help = "build it with the hub: `cargo build --release --features hub`, or import a folder",
            "this program was built without the Hugging Face hub, so it cannot import hf:{repository}"
        ))
    }
}

#[cfg(feature = "hub")]
mod hub {
    use std::cell::RefCell;

    use triptych_datasets::remote::{FetchError, HubAccess, HubRequest, RepoKind, snapshot_hub};

    use super::{Args, Origin, PathBuf};
    use crate::progress::Progress;

    /// What an import reads, of repositories that may hold the weights in many other forms; other folders' weights are left
    /// there, as a pattern begins with the path.
    const FILES: [&str; 6] = ["*.json", "*.txt", "*.model", "README.md", "LICENSE", "model*.safetensors"];
    /// Only where there are no others.
    const PICKLED: &str = "pytorch_model*.bin";

    /// Brings a model into the hub's cache, and says where it lies there.
    pub(super) fn fetch(args: &Args, repository: &str) -> miette::Result<(PathBuf, Option<Origin>)> {
        let access = HubAccess::from_environment();
        let bring = |include: &[&str]| {
            let progress = RefCell::new(None::<Progress>);
            let request = HubRequest {
                revision: args.revision.clone(),
                include: include.iter().map(|pattern| (*pattern).to_owned()).collect(),
                ..HubRequest::new(RepoKind::Model, repository)
            };
            let outcome = snapshot_hub(&access, &request, &|done, total, path| {
                let mut progress = progress.borrow_mut();
                let bar = progress
                    .get_or_insert_with(|| Progress::new("fetching", total as u64, "files", args.quiet));
                bar.set(done as u64, path);
            });
            if let Some(progress) = progress.into_inner() {
                progress.finish("");
            }
            outcome.map_err(|error: FetchError| report(&error))
        };
        let (mut folder, mut summary) = bring(&FILES)?;
        let has_weights = std::fs::read_dir(&folder).is_ok_and(|items| {
            items.flatten().any(|item| item.file_name().to_string_lossy().ends_with(".safetensors"))
        });
        if !has_weights {
            let licence = summary.licence;
            (folder, summary) = bring(&[PICKLED])?;
            summary.licence = summary.licence.or(licence);
        }
        let origin = Origin { repository: summary.repo, commit: summary.commit, licence: summary.licence };
        Ok((folder, Some(origin)))
    }

    fn report(error: &FetchError) -> miette::Report {
        match error.hint() {
            Some(hint) => miette::miette!(help = hint, "{error}"),
            None => miette::miette!("{error}"),
        }
    }
}

/// What went wrong and what to do about it.
pub(in crate::cli) fn report(error: PretrainedError) -> Report {
    match error.hint() {
        Some(hint) => miette::miette!(help = hint, "{error}"),
        None => miette::miette!("{error}"),
    }
}

fn summary(folder: &ImportedFolder, imported: &Imported, origin: Option<&Origin>) -> serde_json::Value {
    let origin = origin.map(|origin| {
        json!({ "repository": origin.repository, "commit": origin.commit, "licence": origin.licence })
    });
    let mismatches = imported.mismatches.iter().map(|row| {
        json!({ "kind": row.kind.to_string(), "name": row.name, "expected": row.expected, "got": row.got })
    });
    json!({
        "family": folder.family(),
        "from": origin,
        "folder": folder.path().display().to_string(),
        "parameters": imported.n_parameters,
        "tensors": imported.n_tensors,
        "left_at_random": imported.left,
        "ignored": imported.ignored,
        "mismatches": mismatches.collect::<Vec<_>>(),
        "files": folder.files().keys().collect::<Vec<_>>(),
    })
}

fn text(
    family: &FamilyEntry,
    folder: &ImportedFolder,
    imported: &Imported,
    origin: Option<&Origin>,
) -> String {
    let mut text = format!(
        "{}: {} parameters from {} tensors of {} ({})\n",
        folder.path().display(),
        imported.n_parameters,
        imported.n_tensors,
        family.name,
        family.about
    );
    if let Some(Origin { repository, commit, licence }) = origin {
        let licence = licence.as_deref().unwrap_or("not named by its card");
        text.push_str(&format!("from hf:{repository}, commit {commit}, licence {licence}\n"));
    }
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
