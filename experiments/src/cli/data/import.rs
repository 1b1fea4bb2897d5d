//! `triptych data import`: a collection to a corpus.

use std::cell::RefCell;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use miette::IntoDiagnostic;
use serde_json::{Value, json};
use triptych_datasets::corpora::intake::{Preview, SplitRule, Summary};
use triptych_datasets::corpora::{ImportError, MANIFEST_SCHEMA, Request, importer};
use triptych_datasets::sample::Split;

use crate::diagnostic::{UsageError, print};
use crate::progress::Progress;
use crate::run::TrainError;

/// Turn a collection into shards that every experiment reads
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data import emoji --out data/emoji
  triptych data import manifest my/manifest.jsonl --out data/mine --licence CC-BY-4.0
  triptych data import images photos/ --dry-run
  triptych data import coco coco/ --out data/coco --set karpathy=dataset_coco.json
  triptych data import librispeech LibriSpeech/ --out data/libri --split-from tag:speaker
  triptych data import manifest --schema
  triptych train quickstart --set data.corpus.folder=data/mine

What cannot be imported is named in ledger.jsonl in the folder, with its place and the reason, and the rest
goes on. Nothing outside SOURCE is read. The same input gives the same corpus, byte for byte.")]
pub(crate) struct Args {
    /// How SOURCE is laid out; `triptych list corpora` names what there is
    format: String,
    /// A folder or a file; `emoji` ships inside the program and needs none
    source: Option<PathBuf>,
    /// Where the shards go
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dry_run", "schema"])]
    out: Option<PathBuf>,
    /// Read and check everything, say what would be imported, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Stop at the first item that fails
    #[arg(long)]
    strict: bool,
    /// Licence of the collection as an SPDX expression, for the licence ledger
    #[arg(long, value_name = "SPDX")]
    licence: Option<String>,
    /// The notice to show wherever it is used, for the licence ledger
    #[arg(long, value_name = "TEXT")]
    attribution: Option<String>,
    /// Where splits come from: source, group, folder, tag:NAME; train, validation, test for what the source leaves open
    #[arg(long, value_name = "RULE", default_value = "source")]
    split_from: SplitRule,
    /// Percent of what is shared out for validation and for testing
    #[arg(long, value_name = "V,T", default_value = "5,5")]
    split_percent: Percents,
    /// Leave out pictures, sounds and texts of more MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_item_mib: u64,
    /// Leave out longer sounds; spans of a manifest may be cut from longer ones
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_sound_s: u32,
    /// Store pictures and sounds without decoding them first: faster, and broken ones are found later
    #[arg(long)]
    unchecked: bool,
    /// Read the finished corpus again, byte by byte
    #[arg(long)]
    verify: bool,
    /// Set an option of the format; may be given several times
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// Height and width of drawn pictures in pixels (emoji)
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// Print the JSON schema of a line (manifest)
    #[arg(long)]
    schema: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// `5,10`: what goes to validation and to test.
#[derive(Clone, Copy, Debug)]
struct Percents(u8, u8);

impl std::str::FromStr for Percents {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(',').map(|(a, b)| (a.trim().parse(), b.trim().parse()));
        match parts {
            Some((Ok(validation), Ok(test))) => Ok(Self(validation, test)),
            _ => Err(format!("expected two whole numbers such as 5,10, got {text:?}")),
        }
    }
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let importer = importer(&args.format).map_err(|error| usage(&error))?;
    if args.schema {
        return match importer.name() {
            "manifest" => print(MANIFEST_SCHEMA),
            other => Err(UsageError {
                message: format!("the format {other} has no schema"),
                hint: Some("`triptych data import manifest --schema`".to_owned()),
            }
            .into()),
        };
    }
    let options = options(args)?;
    let progress = RefCell::new(None::<Progress>);
    let tell = |done: usize, total: usize, what: &str| {
        let mut progress = progress.borrow_mut();
        let bar =
            progress.get_or_insert_with(|| Progress::new("importing", total as u64, "samples", args.quiet));
        bar.set(done as u64, what);
    };
    let out = args.out.as_deref().unwrap_or(Path::new(""));
    let mut request = Request::new(args.source.as_deref(), out, &options)
        .with_shares(args.split_percent.0, args.split_percent.1);
    request.is_dry_run = args.dry_run;
    request.is_strict = args.strict;
    request.is_verified = args.verify;
    request.is_checked = !args.unchecked;
    request.licence = args.licence.as_deref();
    request.attribution = args.attribution.as_deref();
    request.max_item_bytes = args.max_item_mib << 20;
    request.max_sound_s = f64::from(args.max_sound_s);
    request.split = &args.split_from;
    request.progress = &tell;
    let summary = match importer.import(&request) {
        Ok(summary) => summary,
        Err(
            error @ (ImportError::Options { .. }
            | ImportError::NoSource { .. }
            | ImportError::NeedlessSource { .. }
            | ImportError::Overlap { .. }),
        ) => return Err(usage(&error).into()),
        Err(error) => return Err(TrainError::from(error).into()),
    };
    if let Some(progress) = progress.into_inner() {
        progress.finish("");
    }
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&summary).into_diagnostic()?));
    }
    print(&describe(&summary))
}

/// The format's options as its importer reads them.
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
        hint: error.hint().or_else(|| Some("`triptych list corpora` says what there is".to_owned())),
    }
}

/// What a person wants to know of it.
fn describe(summary: &Summary) -> String {
    let mut text = String::new();
    let whole = match &summary.out {
        Some(out) if summary.is_new => format!("{}: ", out.display()),
        Some(out) => format!("{} (made before): ", out.display()),
        None => "would import ".to_owned(),
    };
    let hours = if summary.sound_s > 0.0 { format!(" ({})", length(summary.sound_s)) } else { String::new() };
    let _ = writeln!(
        text,
        "{whole}{} samples: {} pictures, {} sounds{hours}, {} texts; {:.1} MB",
        summary.n_samples,
        summary.n_images,
        summary.n_sounds,
        summary.n_texts,
        summary.n_bytes as f64 / 1e6
    );
    let count = |split: Split| summary.splits.get(&split).copied().unwrap_or(0);
    let (train, validation, test) = (count(Split::Train), count(Split::Validation), count(Split::Test));
    let _ = writeln!(text, "splits: {train} train, {validation} validation, {test} test");
    if let Some(hash) = &summary.content_hash {
        let _ = writeln!(text, "content hash: {hash}");
    }
    for preview in &summary.previews {
        text.push_str(&describe_preview(preview));
    }
    if summary.n_failed > 0 {
        let all = match &summary.ledger {
            Some(ledger) => format!(", named in {}", ledger.display()),
            None => String::new(),
        };
        let _ = writeln!(text, "failed: {}{all}", summary.n_failed);
        for failure in summary.failures.iter().take(5) {
            let _ = writeln!(text, "  {failure}");
        }
    }
    if summary.has_unknown_licence {
        text.push_str("licence: unknown; `--licence SPDX --attribution TEXT` records it\n");
    }
    text
}

fn describe_preview(preview: &Preview) -> String {
    let mut parts = Vec::new();
    for (extension, n_bytes) in preview.image.iter().chain(&preview.audio) {
        parts.push(format!("{extension} {n_bytes} B"));
    }
    parts.extend(preview.duration_s.map(|duration_s| format!("{duration_s:.2} s")));
    parts.extend(preview.texts.iter().take(2).map(|text| {
        let short: String = text.chars().take(60).collect();
        format!("{short:?}")
    }));
    let tags: Vec<String> = preview.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("  {} [{:?}] {} {}\n", preview.id, preview.split, parts.join(", "), tags.join(" "))
}

/// `3.2 h`, `4.5 min`, `12 s`.
fn length(seconds: f64) -> String {
    match seconds {
        s if s >= 3600.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 60.0 => format!("{:.1} min", s / 60.0),
        s => format!("{s:.1} s"),
    }
}
