//! What a recipe comes to: its stages with the names of their results, before any of it is done.

use std::path::{Path, PathBuf};

use super::anonymise::Anonymise;
use super::classify::Classify;
use super::decode::Decode;
use super::deduplicate::Deduplicate;
use super::error::PipelineError;
use super::filter::Filter;
use super::fingerprint::Fingerprint;
use super::item::Store;
use super::normalise::Normalise;
use super::prepare::Options;
use super::recipe::Recipe;
use super::similarity::Similarity;
use super::source::Plan;
use super::split::Divide;
use super::stage::Stage;
use crate::shard::{CorpusStream, CorpusWalk, FORMAT_VERSION};

const PIPELINE_VERSION: u32 = 2;
/// The cache's folder inside the corpus's, unless another is given.
pub(crate) const CACHE_DIR: &str = ".cache";

/// What would be done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outline {
    /// Where the corpus goes.
    pub out: PathBuf,
    /// Samples of the sources, or of the slice of them.
    pub n_samples: usize,
    /// Samples whose identifier an earlier source has; they are left out.
    pub n_repeated: usize,
    /// Whether the corpus is there already, made by the same recipe from the same sources.
    pub is_prepared: bool,
    /// The stages in their order.
    pub stages: Vec<StageOutline>,
}

/// A stage before it is run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StageOutline {
    /// As in the recipe.
    pub name: String,
    /// Chunks that the cache has.
    pub n_chunks_done: usize,
    /// Chunks that there are.
    pub n_chunks: usize,
}

/// A recipe with its sources opened and everything checked that can be without work.
pub(crate) struct Prospect {
    pub out: PathBuf,
    pub store: Store,
    pub plan: Plan,
    pub stages: Vec<(Box<dyn Stage>, String)>,
    /// Folders of the tokenizer and of the shards.
    pub tokenize_dir: String,
    pub shard_dir: String,
    /// Hash of everything that the corpus depends on.
    pub key: String,
    pub has_own_cache: bool,
}

impl Prospect {
    pub(crate) fn new(
        recipe: &Recipe,
        options: &Options,
        similarity: Option<&dyn Similarity>,
    ) -> Result<Self, PipelineError> {
        let out = options.out.as_ref().or(recipe.out.as_ref()).cloned().ok_or_else(|| {
            PipelineError::usage(
                "expected a folder for the corpus, got none",
                "add `out` to the recipe or give `--out`",
            )
        })?;
        if recipe.sources.is_empty() {
            let hint = "add `sources = [\"data/raw\"]` to the recipe";
            return Err(PipelineError::usage("expected at least one source, got none", hint));
        }
        if options.chunk_samples == 0 {
            return Err(PipelineError::usage("expected chunks of at least 1 sample, got 0", ""));
        }
        check_model(recipe, similarity)?;
        check_slice(recipe, options)?;
        check_folders(&out, recipe)?;
        let corpora = recipe.sources.iter().map(CorpusWalk::open).collect::<Result<Vec<_>, _>>()?;
        let plan = Plan::new(&corpora, &recipe.slice_by, options.slice, options.chunk_samples)?;

        let slice = options.slice.map(|slice| slice.to_string());
        let hashes: Vec<&str> = corpora.iter().map(|corpus| corpus.stream().content_hash()).collect();
        let base = (PIPELINE_VERSION, FORMAT_VERSION, hashes, slice, &recipe.slice_by, options.chunk_samples);
        let mut key = hash_json(&serde_json::json!(base));
        let mut stages = Vec::new();
        for stage in stages_of(recipe, similarity)? {
            key = next_key(&key, stage.name(), stage.version(), &stage.settings()?);
            let dir = dir_name(stage.name(), &key);
            stages.push((stage, dir));
        }
        let tokenize = match &recipe.tokenize {
            None => serde_json::Value::Null,
            Some(settings) => {
                let file = settings
                    .file
                    .as_ref()
                    .map(|path| std::fs::read(path).map_err(|e| PipelineError::io("read", path, e)));
                let hash = file.transpose()?.map(|bytes| blake3::hash(&bytes).to_hex().to_string());
                serde_json::json!((settings, hash))
            }
        };
        let tokenize_key = next_key(&key, "tokenize", 1, &tokenize);
        let licences: Vec<_> = corpora.iter().map(CorpusWalk::licences).collect();
        let shard = serde_json::json!((&recipe.name, &recipe.shard, licences));
        let shard_key = next_key(&key, "shard", 1, &shard);
        let (cache, has_own_cache) = match &options.cache {
            Some(cache) => (cache.clone(), false),
            None => (out.join(CACHE_DIR), true),
        };
        Ok(Self {
            store: Store { corpora, cache },
            out,
            plan,
            stages,
            tokenize_dir: dir_name("tokenize", &tokenize_key),
            shard_dir: dir_name("shard", &shard_key),
            key: hash_json(&serde_json::json!((tokenize_key, shard_key))),
            has_own_cache,
        })
    }
}

/// Says what would be done, and does nothing.
///
/// # Errors
/// As [`super::prepare`], before it writes anything.
pub fn outline(
    recipe: &Recipe,
    options: &Options,
    similarity: Option<&dyn Similarity>,
) -> Result<Outline, PipelineError> {
    let prospect = Prospect::new(recipe, options, similarity)?;
    let n_chunks = prospect.plan.n_chunks();
    let is_prepared = CorpusStream::open(&prospect.out).is_ok_and(|corpus| corpus.recipe() == prospect.key);
    let stage = |(stage, dir): &(Box<dyn Stage>, String)| {
        let dir = prospect.store.cache.join(dir);
        let is_there = |idx: &usize| dir.join(super::run::chunk_file(*idx)).is_file();
        StageOutline {
            name: stage.name().to_owned(),
            n_chunks_done: (0..n_chunks).filter(is_there).count(),
            n_chunks,
        }
    };
    Ok(Outline {
        n_samples: prospect.plan.n_samples(),
        n_repeated: prospect.plan.repeated.len(),
        is_prepared,
        stages: prospect.stages.iter().map(stage).collect(),
        out: prospect.out,
    })
}

fn stages_of(
    recipe: &Recipe,
    similarity: Option<&dyn Similarity>,
) -> Result<Vec<Box<dyn Stage>>, PipelineError> {
    let identity = |is_needed: bool| similarity.filter(|_| is_needed).map(Similarity::identity);
    let mut stages: Vec<Box<dyn Stage>> = vec![Box::new(Decode(recipe.decode.clone()))];
    if let Some(settings) = &recipe.normalise {
        stages.push(Box::new(Normalise(settings.clone())));
    }
    if let Some(settings) = &recipe.filter {
        stages.push(Box::new(Filter::new(settings, identity(settings.needs_model()))?));
    }
    if let Some(settings) = &recipe.deduplicate {
        stages.push(Box::new(Fingerprint::new(settings)));
        stages.push(Box::new(Deduplicate(settings.clone())));
    }
    if let Some(settings) = &recipe.anonymise {
        stages.push(Box::new(Anonymise::new(settings)?));
    }
    if let Some(settings) = &recipe.classify {
        stages.push(Box::new(Classify::new(settings, identity(settings.needs_model()))?));
    }
    if let Some(settings) = &recipe.split {
        stages.push(Box::new(Divide { settings: settings.clone(), seed: recipe.seed }));
    }
    Ok(stages)
}

fn check_model(recipe: &Recipe, similarity: Option<&dyn Similarity>) -> Result<(), PipelineError> {
    let filters = recipe.filter.as_ref().is_some_and(|settings| settings.needs_model());
    let classifies = recipe.classify.as_ref().is_some_and(|settings| settings.needs_model());
    match (filters, classifies) {
        _ if similarity.is_some() => Ok(()),
        (false, false) => Ok(()),
        (true, _) => Err(PipelineError::usage(
            "`filter.similarity` needs a trained model, got none",
            "give `--model RUN`, or take it out of the recipe",
        )),
        (_, true) => Err(PipelineError::usage(
            "`classify.zero_shot` needs a trained model, got none",
            "give `--model RUN`, or take it out of the recipe",
        )),
    }
}

/// A slice must decide by itself what all slices together would.
fn check_slice(recipe: &Recipe, options: &Options) -> Result<(), PipelineError> {
    let key = String::from(recipe.slice_by.clone());
    if !recipe.slice_by.is_single() {
        return Err(PipelineError::usage(
            format!("`slice_by`: expected group, id or tag:NAME, got {key:?}"),
            "a sample has one of these, known before any stage",
        ));
    }
    if options.slice.is_none() {
        return Ok(());
    }
    if let Some(split) = &recipe.split
        && split.by != [recipe.slice_by.clone()]
    {
        let by: Vec<String> = split.by.iter().cloned().map(String::from).collect();
        return Err(PipelineError::usage(
            format!("a slice can only split by what slices are cut by ({key:?}), got `split.by` = {by:?}"),
            "set `slice_by` and `split.by` to the same one key, or split after `triptych data merge` by a recipe of its own",
        ));
    }
    if recipe.tokenize.as_ref().is_some_and(|settings| settings.file.is_none()) {
        return Err(PipelineError::usage(
            "a slice would train a vocabulary of its own, unlike those of the others",
            "train it after `triptych data merge` by a recipe of its own, or give `tokenize.file`",
        ));
    }
    Ok(())
}

/// The corpus must not be written over what it is made from.
fn check_folders(out: &Path, recipe: &Recipe) -> Result<(), PipelineError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for source in &recipe.sources {
        if real(source) == real(out) {
            return Err(PipelineError::usage(
                format!("{} is both a source and where the corpus goes", out.display()),
                "choose another folder",
            ));
        }
    }
    Ok(())
}

fn next_key(before: &str, name: &str, version: u32, settings: &serde_json::Value) -> String {
    hash_json(&serde_json::json!((before, name, version, settings)))
}

fn hash_json(value: &serde_json::Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}

fn dir_name(stage: &str, key: &str) -> String {
    format!("{stage}-{}", &key[..16])
}
