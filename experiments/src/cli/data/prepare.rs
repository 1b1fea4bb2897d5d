//! `triptych data prepare`: a corpus by a recipe.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use triptych_datasets::pipeline::{
    Event, Options, Outline, PipelineError, Prepared, Recipe, Report, Similarity, Slice, outline, prepare,
};

use super::similarity::TrainedSimilarity;
use crate::diagnostic::{UsageError, print};
use crate::interrupt::{catch, this_command};
use crate::progress::Progress;

/// Clean, split and shard corpora by a recipe
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data prepare datasets/recipes/captions.toml --source data/raw --out data/clean
  triptych data prepare my.toml --dry-run
  triptych data prepare my.toml --out parts/3 --shard 3/8
  triptych data merge parts/* --out data/clean

Stopped at any moment, by Ctrl-C or by a crash, the same command goes on where it was. What is left out stands in
ledger.jsonl of the new folder, what was done in report.json.")]
pub(crate) struct Args {
    /// A TOML file that names the stages; datasets/recipes/ has examples with every setting
    recipe: PathBuf,
    /// Corpora to prepare, in place of the recipe's `sources`; may be given several times
    #[arg(long = "source", value_name = "DIR")]
    sources: Vec<PathBuf>,
    /// Where the corpus goes, in place of the recipe's `out`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prepare slice I of N only, I from 0 to N-1, on its own; `triptych data merge` joins them
    #[arg(long, value_name = "I/N")]
    shard: Option<Slice>,
    /// A trained run, for `filter.similarity` and `classify.zero_shot`
    #[arg(long, value_name = "RUN")]
    model: Option<PathBuf>,
    /// Where stages keep what they did; OUT/.cache by default
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Delete what the stages kept once the corpus is there
    #[arg(long)]
    discard_cache: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Stop at the first sample that cannot be used
    #[arg(long)]
    strict: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let mut recipe = Recipe::load(&args.recipe).map_err(describe)?;
    if !args.sources.is_empty() {
        recipe.sources.clone_from(&args.sources);
    }
    let options = Options {
        out: args.out.clone(),
        cache: args.cache.clone(),
        slice: args.shard,
        is_strict: args.strict,
        discards_cache: args.discard_cache,
        ..Options::default()
    };
    let model = args.model.as_deref().map(TrainedSimilarity::open).transpose()?;
    let similarity = model.as_ref().map(|model| model as &dyn Similarity);
    if args.dry_run {
        let outline = outline(&recipe, &options, similarity).map_err(describe)?;
        return print(&if args.json { to_json(&outline)? } else { plan_table(&outline) });
    }
    catch(&this_command());
    let progress = RefCell::new(None::<(&'static str, Progress)>);
    let watch = |event: Event| {
        let mut progress = progress.borrow_mut();
        if progress.as_ref().is_none_or(|(stage, _)| *stage != event.stage) {
            let unit = if event.stage == "shard" { "shards" } else { "chunks" };
            let bar = Progress::new(event.stage, event.n_total as u64, unit, args.quiet);
            if let Some((_, finished)) = progress.replace((event.stage, bar)) {
                finished.finish("");
            }
        }
        if let Some((_, bar)) = progress.as_mut() {
            bar.set(event.n_done as u64, "");
        }
        ControlFlow::Continue(())
    };
    let prepared = prepare(&recipe, &options, similarity, &watch).map_err(describe)?;
    if let Some((_, last)) = progress.into_inner() {
        last.finish("");
    }
    print(&if args.json { to_json(&prepared.report)? } else { summary(&prepared) })
}

/// An error for people: wrong usage has an exit status of its own.
pub(super) fn describe(error: PipelineError) -> miette::Report {
    let (message, hint) = (error.to_string(), error.hint());
    if error.is_usage() { UsageError { message, hint }.into() } else { DataError { message, hint }.into() }
}

/// Work on data that failed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
struct DataError {
    message: String,
    #[help]
    hint: Option<String>,
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> miette::Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| DataError {
        message: format!("the report cannot be written as JSON: {error}"),
        hint: None,
    })?;
    Ok(text + "\n")
}

/// What is printed at the end.
pub(super) fn summary(prepared: &Prepared) -> String {
    let mut text = stage_table(&prepared.report);
    let report = &prepared.report;
    let splits: Vec<String> = report.splits.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let dir = prepared.corpus.dir();
    let was_there = if prepared.was_there { ", prepared already" } else { "" };
    text.push_str(&format!("\n{}: {} samples", dir.display(), report.n_samples));
    if !splits.is_empty() {
        text.push_str(&format!(" ({})", splits.join(", ")));
    }
    text.push_str(&format!("{was_there}\ncontent {}\n", report.content_hash));
    if report.stages.iter().any(|stage| stage.n_in > stage.n_out) {
        let ledger = Path::join(dir, triptych_datasets::pipeline::LEDGER_FILE);
        text.push_str(&format!("what was left out and why: {}\n", ledger.display()));
    }
    text
}

/// A row a stage, with its reasons and counts below.
fn stage_table(report: &Report) -> String {
    let mut text = format!("{:<14}{:>10}{:>10}{:>8}{:>10}\n", "stage", "in", "out", "broken", "seconds");
    for stage in &report.stages {
        let seconds = if stage.is_cached { "cached".to_owned() } else { format!("{:.1}", stage.seconds) };
        text.push_str(&format!(
            "{:<14}{:>10}{:>10}{:>8}{seconds:>10}\n",
            stage.name, stage.n_in, stage.n_out, stage.n_bad
        ));
        for (kind, n) in &stage.dropped {
            text.push_str(&format!("  left out: {kind} {n}\n"));
        }
        for (name, n) in &stage.counts {
            text.push_str(&format!("  {name}: {n}\n"));
        }
    }
    text
}

fn plan_table(outline: &Outline) -> String {
    let mut text = format!("{:<14}{:>10}{:>10}\n", "stage", "chunks", "done");
    for stage in &outline.stages {
        text.push_str(&format!("{:<14}{:>10}{:>10}\n", stage.name, stage.n_chunks, stage.n_chunks_done));
    }
    text.push_str(&format!("\n{}: from {} samples", outline.out.display(), outline.n_samples));
    if outline.n_repeated > 0 {
        text.push_str(&format!(", {} left out whose identifier came before", outline.n_repeated));
    }
    if outline.is_prepared {
        text.push_str(", prepared already");
    }
    text.push('\n');
    text
}
