//! `triptych data merge`: slices that were prepared on their own become one corpus.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::decode::DecodeSettings;
use super::deduplicate::DeduplicateSettings;
use super::error::PipelineError;
use super::key::Key;
use super::prepare::{LEDGER_FILE, Options, Prepared, REPORT_FILE, prepare, splits};
use super::recipe::Recipe;
use super::report::{Report, StageReport};
use super::run::{read_json, write_json};
use super::shard::ShardSettings;
use super::tokenize::TOKENIZER_FILE;
use crate::shard::{CorpusStream, INDEX_FILE, check_ids, merge_corpora, publish, temporary_beside};

/// How to merge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MergeOptions {
    /// The new corpus's name; that of the first part unless told.
    pub name: Option<String>,
    /// Whether slices may be missing.
    pub allows_missing: bool,
    /// What counts as the same in two parts; duplicates stay unless told. They are looked for as *deduplicate* does it, in
    /// all parts together: the test split wins.
    pub deduplicate: Option<DeduplicateSettings>,
}

/// Where the parts' samples are compared, inside the corpus's folder.
const DEDUPLICATED_DIR: &str = ".deduplicated";

/// Joins corpora into one: their samples in the order of the folders, their shards linked or copied, their ledgers and
/// reports added up. Slices of one preparation must all be there, once each.
///
/// # Errors
/// No part, a part that cannot be opened, an identifier that two parts have, slices that are missing, repeated or of
/// different preparations, a folder that cannot be written.
pub fn merge(parts: &[PathBuf], out: &Path, options: &MergeOptions) -> Result<Prepared, PipelineError> {
    let [first, ..] = parts else {
        return Err(PipelineError::usage("expected at least one corpus to merge, got none", ""));
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let Some(part) = parts.iter().find(|part| real(part) == real(out)) {
        return Err(PipelineError::usage(
            format!("{} is both a part and where the corpus goes", part.display()),
            "choose another folder for `--out`",
        ));
    }
    if out.join(INDEX_FILE).exists() && !out.join(REPORT_FILE).exists() {
        return Err(PipelineError::usage(
            format!("{} holds a corpus that was not merged or prepared", out.display()),
            "choose another folder, or delete it first",
        ));
    }
    let mut reports = Vec::new();
    for part in parts {
        // also of corpora that no recipe made
        let report: Option<Report> = read_json(&part.join(REPORT_FILE))?;
        reports.push(report.unwrap_or_default());
    }
    check_slices(parts, &reports, options.allows_missing)?;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => CorpusStream::open(first)?.name().to_owned(),
    };
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(CorpusStream::open(part)?.content_hash().as_bytes());
    }
    let key = hasher.finalize().to_hex().to_string();
    std::fs::create_dir_all(out).map_err(|e| PipelineError::io("create", out, e))?;
    let mut ledgers = parts.to_vec();
    let tokenizer = copy_tokenizer(parts, out, &reports)?;
    let deduplicated = out.join(DEDUPLICATED_DIR);
    let (parts, key) = match &options.deduplicate {
        None => (parts.to_vec(), key),
        Some(settings) => {
            check_ids(parts)?;
            let made = deduplicate(parts, &deduplicated, &name, settings)?;
            let key = made.report.recipe.clone();
            reports.push(only_deduplicate(made.report));
            ledgers.push(deduplicated.clone());
            (vec![deduplicated.clone()], key)
        }
    };
    write_ledger(&ledgers, out)?;
    let corpus = merge_corpora(&parts, out, &name, &key)?;
    let mut report = Report {
        name,
        recipe: key,
        content_hash: corpus.content_hash().to_owned(),
        n_samples: corpus.len() as u64,
        splits: splits(&corpus)?,
        tokenizer,
        ..Report::default()
    };
    for part in reports {
        for source in part.sources {
            if !report.sources.contains(&source) {
                report.sources.push(source);
            }
        }
        for stage in part.stages {
            match report.stages.iter_mut().find(|mine| mine.name == stage.name) {
                Some(mine) => mine.add(&stage),
                None => report.stages.push(stage),
            }
        }
    }
    write_json(&out.join(REPORT_FILE), &report)?;
    if options.deduplicate.is_some() {
        // its shards are linked from the corpus now; what cannot be removed does no harm
        std::fs::remove_dir_all(&deduplicated).ok();
    }
    Ok(Prepared { corpus, report, was_there: false })
}

/// The parts as one corpus without what is there twice; goes on where it was stopped.
fn deduplicate(
    parts: &[PathBuf],
    dir: &Path,
    name: &str,
    settings: &DeduplicateSettings,
) -> Result<Prepared, PipelineError> {
    let recipe = Recipe {
        name: name.to_owned(),
        sources: parts.to_vec(),
        out: Some(dir.to_owned()),
        seed: 0,
        slice_by: Key::default(),
        // the limit was the parts' own
        decode: DecodeSettings { max_audio_s: f64::MAX },
        normalise: None,
        filter: None,
        deduplicate: Some(settings.clone()),
        anonymise: None,
        classify: None,
        split: None,
        tokenize: None,
        shard: ShardSettings::default(),
    };
    prepare(&recipe, &Options::default(), None, &|_| ControlFlow::Continue(()))
}

/// Of the report on all parts together what the parts' own do not say.
fn only_deduplicate(report: Report) -> Report {
    let rename = |mut stage: StageReport| {
        stage.name = format!("{} (merge)", stage.name);
        stage
    };
    let stages = report.stages.into_iter().filter(|stage| stage.name != "shard").map(rename).collect();
    Report { stages, ..Report::default() }
}

/// Slices of one preparation belong together, all of them.
fn check_slices(parts: &[PathBuf], reports: &[Report], allows_missing: bool) -> Result<(), PipelineError> {
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    let mut n_slices = None;
    for (part, report) in parts.iter().zip(reports) {
        let Some(slice) = report.slice else { continue };
        if *n_slices.get_or_insert(slice.n) != slice.n {
            let expected = n_slices.unwrap_or_default();
            let problem = format!("{} is slice {slice}, where others are of {expected}", part.display());
            return Err(PipelineError::usage(problem, "merge slices that were cut in the same way"));
        }
        if !seen.insert(slice.idx) {
            let problem = format!("{} is slice {slice}, which another part is too", part.display());
            return Err(PipelineError::usage(problem, "give each slice once"));
        }
    }
    let missing: Vec<String> =
        (0..n_slices.unwrap_or(0)).filter(|idx| !seen.contains(idx)).map(|idx| idx.to_string()).collect();
    if missing.is_empty() || allows_missing {
        return Ok(());
    }
    Err(PipelineError::usage(
        format!("of {} slices these are missing: {}", n_slices.unwrap_or(0), missing.join(", ")),
        "prepare them, or give `--partial` to merge without them",
    ))
}

fn write_ledger(parts: &[PathBuf], out: &Path) -> Result<(), PipelineError> {
    let path = out.join(LEDGER_FILE);
    let failed = |e| PipelineError::io("write", &path, e);
    let mut file = temporary_beside(&path).map_err(failed)?;
    for part in parts {
        let source = part.join(LEDGER_FILE);
        match File::open(&source) {
            Ok(mut ledger) => std::io::copy(&mut ledger, &mut file).map_err(failed).map(|_| ())?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(PipelineError::io("open", &source, e)),
        }
    }
    publish(file, &path).map_err(failed)
}

/// Parts that share a vocabulary hand it on.
fn copy_tokenizer(
    parts: &[PathBuf],
    out: &Path,
    reports: &[Report],
) -> Result<Option<super::report::TokenizerReport>, PipelineError> {
    let hashes: BTreeSet<&str> = reports
        .iter()
        .map(|report| report.tokenizer.as_ref().map_or("", |tokenizer| tokenizer.hash.as_str()))
        .collect();
    let (Some(part), Some(tokenizer), 1) =
        (parts.first(), reports.first().and_then(|r| r.tokenizer.clone()), hashes.len())
    else {
        return Ok(None);
    };
    crate::text::Tokenizer::load(part.join(TOKENIZER_FILE))?.save(out.join(TOKENIZER_FILE))?;
    Ok(Some(tokenizer))
}
