//! One import from the first item to the sealed corpus.

use std::path::{Component, Path};

use rayon::prelude::*;

use super::identifier::identifier;
use super::ledger::Ledger;
use super::recording::Cutter;
use super::resolve::{Limits, Resolved, resolve};
use super::split::Shares;
use super::summary::Tally;
use super::{Failure, Format, RawMedia, RawSample, Source, Summary};
use crate::corpora::{ImportError, Request};
use crate::sample::Split;
use crate::shard::{CorpusError, Licence, SeenKeys, ShardWriter};

/// A licence that nobody named.
const UNKNOWN: &str = "unknown";
/// Items that are read and checked at once.
const BATCH_ITEMS: usize = 256;
/// Fewer where their pictures and sounds are this many bytes together.
const BATCH_BYTES: u64 = 32 << 20;
/// Samples between two calls of the progress callback.
const PROGRESS_STEP: usize = 100;

/// Imports what a format reads.
pub(super) fn import(format: &dyn Format, request: &Request<'_>) -> Result<Summary, ImportError> {
    let name = format.name();
    let Some(path) = request.source else { return Err(ImportError::NoSource { corpus: name }) };
    let source = Source::open(path)?;
    check_shares(request, name)?;
    let mut items = format.read(&source, request.options)?;
    let mut run = Run::begin(name, &source, request)?;
    let mut cutter = Cutter::default();
    let limits = Limits::of(request);
    loop {
        let mut batch = Vec::new();
        let mut n_bytes = 0;
        while batch.len() < BATCH_ITEMS && n_bytes < BATCH_BYTES {
            let Some(item) = items.next() else { break };
            let item = item.and_then(|raw| prepare(raw, &source, request, &mut cutter));
            n_bytes += item.as_ref().map_or(0, |item| item.n_bytes);
            batch.push(item);
        }
        if batch.is_empty() {
            break;
        }
        let resolved: Vec<_> = batch
            .into_par_iter()
            .map(|item| {
                let Prepared { raw, split, cut_s, .. } = item?;
                resolve(raw, split, cut_s, &source, limits)
            })
            .collect();
        for item in resolved {
            run.take(item)?;
        }
    }
    drop(items);
    run.finish(licences(format, &source, request))
}

/// An item whose span is cut and whose split is known.
struct Prepared {
    raw: RawSample,
    split: Split,
    cut_s: Option<f64>,
    /// Of its picture and its sound, read or not.
    n_bytes: u64,
}

fn prepare(
    mut raw: RawSample,
    source: &Source,
    request: &Request<'_>,
    cutter: &mut Cutter,
) -> Result<Prepared, Failure> {
    let id = identifier(&raw.id);
    let split = request.split.split(request.shares, &raw, raw.group.as_deref().unwrap_or(&id));
    let mut cut_s = None;
    if let Some((start_s, end_s)) = raw.span_s {
        let fail = |reason: String| Failure::of(raw.id.clone(), raw.place.clone(), reason);
        let Some(RawMedia::File(path)) = &raw.audio else {
            return Err(fail("expected a sound file to cut the span from, got none".to_owned()));
        };
        let (media, duration_s) =
            cutter.cut(source, path, start_s, end_s).map_err(|reason| fail(format!("{path}: {reason}")))?;
        cut_s = Some(duration_s);
        raw.audio = Some(RawMedia::Bytes(media));
    }
    let size = |media: &RawMedia| match media {
        RawMedia::Bytes(media) => media.bytes.len() as u64,
        RawMedia::File(path) => source.size(path),
    };
    let n_bytes = raw.image.iter().chain(&raw.audio).map(size).sum();
    Ok(Prepared { raw, split, cut_s, n_bytes })
}

/// Where samples and failures go.
struct Run<'a> {
    request: &'a Request<'a>,
    summary: Summary,
    output: Output,
}

enum Output {
    Corpus { writer: Box<ShardWriter>, ledger: Ledger },
    DryRun { seen: SeenKeys },
}

impl<'a> Run<'a> {
    fn begin(name: &str, source: &Source, request: &'a Request<'a>) -> Result<Self, ImportError> {
        let output = if request.is_dry_run {
            Output::DryRun { seen: SeenKeys::in_dir(&std::env::temp_dir()) }
        } else {
            check_folders(source, request.out)?;
            let writer = ShardWriter::create(request.out, name)?;
            Output::Corpus { writer: Box::new(writer), ledger: Ledger::create(request.out)? }
        };
        let summary = Summary { format: name.to_owned(), is_new: true, ..Summary::default() };
        Ok(Self { request, summary, output })
    }

    fn take(&mut self, item: Result<Resolved, Failure>) -> Result<(), ImportError> {
        match item {
            Ok(resolved) => self.push(resolved)?,
            Err(failure) => self.fail(failure)?,
        }
        let n_done = self.summary.n_samples + self.summary.n_failed;
        if n_done.is_multiple_of(PROGRESS_STEP) {
            let message = match self.summary.n_failed {
                0 => String::new(),
                n_failed => format!("{n_failed} failed"),
            };
            (self.request.progress)(n_done, 0, &message);
        }
        Ok(())
    }

    fn push(&mut self, resolved: Resolved) -> Result<(), ImportError> {
        let Resolved { sample, duration_s, place } = resolved;
        let tally = Tally::of(&sample, duration_s);
        let id = sample.id.clone();
        let pushed = match &mut self.output {
            Output::Corpus { writer, .. } => writer.push_measured(sample, duration_s),
            Output::DryRun { seen } => {
                let temporary = std::env::temp_dir();
                let is_new = seen.insert(&id).map_err(|e| CorpusError::io("write", &temporary, e))?;
                if is_new {
                    self.summary.show(&sample, duration_s);
                    Ok(())
                } else {
                    Err(CorpusError::duplicate(&id))
                }
            }
        };
        match pushed {
            Ok(()) => self.summary.add(&tally),
            Err(CorpusError::BadSample { problem, .. }) => self.fail(Failure::of(id, place, problem))?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure) -> Result<(), ImportError> {
        if let Output::Corpus { ledger, .. } = &mut self.output {
            ledger.write(&failure)?;
        }
        if self.request.is_strict {
            return Err(ImportError::Strict { failure: Box::new(failure) });
        }
        self.summary.fail(failure);
        Ok(())
    }

    fn finish(self, licences: Vec<Licence>) -> Result<Summary, ImportError> {
        let Self { request, mut summary, output } = self;
        let Output::Corpus { writer, ledger } = output else { return Ok(summary) };
        summary.ledger = ledger.finish()?;
        if summary.n_samples == 0 {
            let first = summary.failures.into_iter().next().map(Box::new);
            return Err(ImportError::Nothing { n_failed: summary.n_failed, first, ledger: summary.ledger });
        }
        let corpus = writer.seal(&licences)?;
        if request.is_verified {
            corpus.verify()?;
        }
        summary.has_unknown_licence = licences.iter().any(|row| row.licence == UNKNOWN);
        summary.content_hash = Some(corpus.content_hash().to_owned());
        summary.out = Some(request.out.to_owned());
        Ok(summary)
    }
}

/// What the format knows of its licences, else what the user said, else that nobody said anything.
fn licences(format: &dyn Format, source: &Source, request: &Request<'_>) -> Vec<Licence> {
    let known = format.licences();
    let (licence, attribution) =
        (request.licence.unwrap_or_default(), request.attribution.unwrap_or_default());
    if !known.is_empty() && licence.is_empty() && attribution.is_empty() {
        return known;
    }
    let folder = source.root().file_name().unwrap_or_default().to_string_lossy().into_owned();
    vec![Licence {
        part: "everything".to_owned(),
        source: folder,
        licence: if licence.is_empty() { UNKNOWN.to_owned() } else { licence.to_owned() },
        attribution: attribution.to_owned(),
        ..Licence::default()
    }]
}

fn check_shares(request: &Request<'_>, corpus: &'static str) -> Result<(), ImportError> {
    let Shares { validation_percent, test_percent } = request.shares;
    if u32::from(validation_percent) + u32::from(test_percent) > 100 {
        let problem = format!(
            "expected at most 100 percent for validation and test together, got {validation_percent} and {test_percent}"
        );
        return Err(ImportError::Options { corpus, problem });
    }
    Ok(())
}

/// The corpus must not be written into what it is made from, nor over it.
fn check_folders(source: &Source, out: &Path) -> Result<(), ImportError> {
    let here =
        |part: &Path| if part.as_os_str().is_empty() { Path::new(".").to_owned() } else { part.to_owned() };
    // the part of the path that exists already with its links resolved, and the rest of it behind
    let Some((part, mut whole)) =
        out.ancestors().find_map(|part| here(part).canonicalize().ok().map(|whole| (part, whole)))
    else {
        return Ok(());
    };
    for component in out.strip_prefix(part).unwrap_or(out).components() {
        match component {
            Component::ParentDir => {
                whole.pop();
            }
            Component::Normal(name) => whole.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    if whole.starts_with(source.root()) || source.root().starts_with(&whole) {
        return Err(ImportError::Overlap { source_dir: source.root().to_owned(), out: out.to_owned() });
    }
    Ok(())
}
