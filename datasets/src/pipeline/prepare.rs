//! From the sources to the finished folder.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::PipelineError;
use super::item::Item;
use super::ledger::Dropped;
use super::outline::Prospect;
use super::recipe::Recipe;
use super::report::{Report, SourceReport, StageReport, TokenizerReport};
use super::run::{Input, Lock, Runner, Watch, read_json, write_json};
use super::shard::{is_done, part_dir, write_part};
use super::similarity::Similarity;
use super::slice::Slice;
use super::stage::Context;
use super::tokenize::TOKENIZER_FILE;
use crate::sample::Split;
use crate::shard::{CorpusStream, CorpusWalk, Licence, merge_corpora, publish, temporary_beside};
use crate::text::Tokenizer;

/// What was left out and why, beside the corpus.
pub const LEDGER_FILE: &str = "ledger.jsonl";
/// What was done, beside the corpus.
pub const REPORT_FILE: &str = "report.json";
const LOCK_FILE: &str = ".lock";
/// Where shards are written before they are joined.
const SHARDS_DIR: &str = ".shards";

/// What the command line adds to a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the corpus goes, in place of the recipe's `out`.
    pub out: Option<PathBuf>,
    /// Where the stages keep what they did; `.cache` in the corpus's folder unless told. Several preparations may share one.
    pub cache: Option<PathBuf>,
    /// Which slice of the sources; all unless told.
    pub slice: Option<Slice>,
    /// Whether the first broken sample ends the preparation.
    pub is_strict: bool,
    /// Whether the cache goes once the corpus is there.
    pub discards_cache: bool,
    /// Samples of a chunk, the smallest piece of work that is not done twice.
    pub chunk_samples: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            out: None,
            cache: None,
            slice: None,
            is_strict: false,
            discards_cache: false,
            chunk_samples: 256,
        }
    }
}

/// A finished preparation.
#[derive(Debug)]
pub struct Prepared {
    /// What was made; its samples are not in memory.
    pub corpus: CorpusStream,
    /// What was done.
    pub report: Report,
    /// Whether all of it was there already.
    pub was_there: bool,
}

/// Prepares a corpus, or goes on with it, or opens it if it is there.
///
/// # Errors
/// A recipe that does not go together, a source that cannot be read, a folder that cannot be written or holds a corpus that
/// was made otherwise, another process at work on it, under `is_strict` a broken sample, and a stop that `watch` asked for.
pub fn prepare(
    recipe: &Recipe,
    options: &Options,
    similarity: Option<&dyn Similarity>,
    watch: Watch<'_>,
) -> Result<Prepared, PipelineError> {
    let prospect = Prospect::new(recipe, options, similarity)?;
    let out = &prospect.out;
    if let Some(prepared) = already_there(&prospect)? {
        return Ok(prepared);
    }
    check_is_ours(out)?;
    for dir in [out, &prospect.store.cache] {
        fs::create_dir_all(dir).map_err(|e| PipelineError::io("create", dir, e))?;
    }
    let _lock = Lock::take(out.join(LOCK_FILE), out)?;
    if prospect.has_own_cache {
        remove_leftovers(&prospect);
    }
    let runner = Runner {
        store: &prospect.store,
        plan: &prospect.plan,
        context: Context { store: &prospect.store },
        similarity,
        is_strict: options.is_strict,
        watch,
    };
    if let (true, Some(repeated)) = (options.is_strict, prospect.plan.repeated.first()) {
        return Err(bad(repeated));
    }

    let mut input = Input::Sources;
    let mut stages = Vec::new();
    for (stage, dir) in &prospect.stages {
        stages.push(runner.run(stage.as_ref(), &input, dir)?);
        input = Input::Stage(dir.clone());
    }
    let tokenizer = tokenize(recipe, &prospect, &runner, &input)?;
    stages.extend(tokenizer.as_ref().map(|(_, _, stage)| stage.clone()));
    let (parts, shard) = write_parts(recipe, &prospect, &runner, &input)?;
    stages.push(shard);

    write_ledger(&prospect, &runner)?;
    match &tokenizer {
        Some((tokenizer, _, _)) => tokenizer.save(out.join(TOKENIZER_FILE))?,
        None => remove_if_there(&out.join(TOKENIZER_FILE))?,
    }
    let corpus = merge_corpora(&parts, out, &recipe.name, &prospect.key)?;
    let report = Report {
        name: recipe.name.clone(),
        recipe: prospect.key.clone(),
        content_hash: corpus.content_hash().to_owned(),
        slice: options.slice,
        sources: sources(recipe, &prospect.store.corpora),
        stages,
        n_samples: corpus.len() as u64,
        splits: splits(&corpus)?,
        tokenizer: tokenizer.map(|(_, report, _)| report),
    };
    write_json(&out.join(REPORT_FILE), &report)?;
    tidy_cache(&prospect, options);
    Ok(Prepared { corpus, report, was_there: false })
}

fn bad(dropped: &Dropped) -> PipelineError {
    PipelineError::BadItem {
        id: dropped.id.clone(),
        origin: dropped.source.clone(),
        reason: dropped.reason.clone(),
    }
}

fn already_there(prospect: &Prospect) -> Result<Option<Prepared>, PipelineError> {
    let Ok(corpus) = CorpusStream::open(&prospect.out) else { return Ok(None) };
    if corpus.recipe() != prospect.key {
        return Ok(None);
    }
    let report: Option<Report> = read_json(&prospect.out.join(REPORT_FILE))?;
    let report = report.filter(|report| report.content_hash == corpus.content_hash());
    Ok(report.map(|report| Prepared { corpus, report, was_there: true }))
}

/// A corpus that someone else made is not written over.
fn check_is_ours(out: &Path) -> Result<(), PipelineError> {
    let is_corpus = out.join(crate::shard::INDEX_FILE).exists();
    if is_corpus && !out.join(REPORT_FILE).exists() && !out.join(LEDGER_FILE).exists() {
        return Err(PipelineError::usage(
            format!("{} holds a corpus that no recipe made", out.display()),
            "choose another folder, or delete it first",
        ));
    }
    Ok(())
}

fn tokenize(
    recipe: &Recipe,
    prospect: &Prospect,
    runner: &Runner<'_>,
    input: &Input,
) -> Result<Option<(Tokenizer, TokenizerReport, StageReport)>, PipelineError> {
    let Some(settings) = &recipe.tokenize else { return Ok(None) };
    let dir = prospect.store.cache.join(&prospect.tokenize_dir);
    let (file, done) = (dir.join(TOKENIZER_FILE), dir.join("done.json"));
    let mut stage = StageReport { name: "tokenize".to_owned(), is_cached: true, ..StageReport::default() };
    let cached: Option<TokenizerReport> = read_json(&done)?;
    let (tokenizer, report) = match (cached, Tokenizer::load(&file)) {
        (Some(report), Ok(tokenizer)) if report.hash == tokenizer.hash() => (tokenizer, report),
        _ => {
            let begun = Instant::now();
            fs::create_dir_all(&dir).map_err(|e| PipelineError::io("create", &dir, e))?;
            let (tokenizer, report) = settings.run(|| runner.all_items(input))?;
            tokenizer.save(&file)?;
            write_json(&done, &report)?;
            stage.is_cached = false;
            stage.seconds = begun.elapsed().as_secs_f64();
            (tokenizer, report)
        }
    };
    runner.event("tokenize", 1, 1, !stage.is_cached)?;
    stage.counts.insert("tokens".to_owned(), report.n_tokens);
    Ok(Some((tokenizer, report, stage)))
}

/// Writes the shards that are missing, each as a folder of its own.
fn write_parts(
    recipe: &Recipe,
    prospect: &Prospect,
    runner: &Runner<'_>,
    input: &Input,
) -> Result<(Vec<PathBuf>, StageReport), PipelineError> {
    let begun = Instant::now();
    // in the corpus's own folder: others may share the cache, and shards are linked from here
    let dir = prospect.out.join(SHARDS_DIR).join(&prospect.shard_dir);
    let sizes = recipe.shard.cut(runner.all_items(input))?;
    let mut licences: Vec<Licence> = Vec::new();
    for licence in prospect.store.corpora.iter().flat_map(CorpusWalk::licences) {
        if !licences.contains(licence) {
            licences.push(licence.clone());
        }
    }
    let mut items = runner.all_items(input);
    let mut parts = Vec::with_capacity(sizes.len());
    for (shard_idx, n_samples) in sizes.iter().enumerate() {
        let part = part_dir(&dir, shard_idx);
        let is_new = !is_done(&part);
        let mut these = items.by_ref().take(*n_samples);
        if is_new {
            write_part(&part, these, &prospect.store, &licences)?;
        } else {
            these.try_for_each(|item| item.map(|_: Item| ()))?;
        }
        parts.push(part);
        runner.event("shard", shard_idx + 1, sizes.len(), is_new)?;
    }
    let n_samples: usize = sizes.iter().sum();
    let stage = StageReport {
        name: "shard".to_owned(),
        n_in: n_samples as u64,
        n_out: n_samples as u64,
        seconds: begun.elapsed().as_secs_f64(),
        counts: [("shards".to_owned(), sizes.len() as u64)].into(),
        ..StageReport::default()
    };
    Ok((parts, stage))
}

/// Everything that was left out, in the order of the stages.
fn write_ledger(prospect: &Prospect, runner: &Runner<'_>) -> Result<(), PipelineError> {
    let path = prospect.out.join(LEDGER_FILE);
    let failed = |e| PipelineError::io("write", &path, e);
    let mut file = temporary_beside(&path).map_err(failed)?;
    let mut out = BufWriter::new(&mut file);
    let mut line = |dropped: &Dropped| {
        let mut text = serde_json::to_vec(dropped).map_err(|e| PipelineError::cache(&path, e.to_string()))?;
        text.push(b'\n');
        out.write_all(&text).map_err(failed)
    };
    prospect.plan.repeated.iter().try_for_each(&mut line)?;
    for (_, dir) in &prospect.stages {
        runner.dropped(dir, &mut line)?;
    }
    out.flush().map_err(failed)?;
    drop(out);
    publish(file, &path).map_err(failed)
}

fn sources(recipe: &Recipe, corpora: &[CorpusWalk]) -> Vec<SourceReport> {
    let of = |(dir, corpus): (&PathBuf, &CorpusWalk)| SourceReport {
        dir: dir.display().to_string(),
        content_hash: corpus.stream().content_hash().to_owned(),
        n_samples: corpus.stream().len() as u64,
    };
    recipe.sources.iter().zip(corpora).map(of).collect()
}

pub(crate) fn splits(corpus: &CorpusStream) -> Result<BTreeMap<String, u64>, PipelineError> {
    let mut splits = BTreeMap::new();
    for entry in corpus.entries()? {
        let name = match entry?.split {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        };
        *splits.entry(name.to_owned()).or_default() += 1;
    }
    Ok(splits)
}

fn remove_if_there(path: &Path) -> Result<(), PipelineError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(PipelineError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Files that a process that was killed had begun. Only in a cache of our own: in a shared one they may be another's.
fn remove_leftovers(prospect: &Prospect) {
    for (_, dir) in &prospect.stages {
        let Ok(listing) = fs::read_dir(prospect.store.cache.join(dir)) else { continue };
        for file in listing.flatten() {
            if file.file_name().to_string_lossy().starts_with(".part-") {
                // what cannot be removed does no harm
                fs::remove_file(file.path()).ok();
            }
        }
    }
}

/// The shards are in the corpus now; of a cache of our own what no stage of this recipe uses goes too.
fn tidy_cache(prospect: &Prospect, options: &Options) {
    let cache = &prospect.store.cache;
    fs::remove_dir_all(prospect.out.join(SHARDS_DIR)).ok();
    if !prospect.has_own_cache {
        return;
    }
    if options.discards_cache {
        fs::remove_dir_all(cache).ok();
        return;
    }
    let mut used: HashSet<&str> = prospect.stages.iter().map(|(_, dir)| dir.as_str()).collect();
    used.insert(&prospect.tokenize_dir);
    for item in fs::read_dir(cache).into_iter().flatten().flatten() {
        if !used.contains(item.file_name().to_string_lossy().as_ref()) {
            fs::remove_dir_all(item.path()).ok();
        }
    }
}
