//! Running the stages: chunk by chunk, each chunk a file, each stage a folder named by all that it depends on.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;

use super::chunk::Chunk;
use super::error::PipelineError;
use super::item::{Item, Store};
use super::ledger::{Dropped, Fault};
use super::report::StageReport;
use super::similarity::Similarity;
use super::source::Plan;
use super::stage::{Context, Decision, Stage, Tally};
use crate::shard::{publish, temporary_beside};

const DONE_FILE: &str = "done.json";
const DECISION_FILE: &str = "decision.json";

/// What is under way, told after every piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The stage as in the recipe.
    pub stage: &'static str,
    /// Pieces of its work that are done.
    pub n_done: usize,
    /// Pieces that there are.
    pub n_total: usize,
    /// Whether the last one was done now, not taken from the cache.
    pub is_new: bool,
}

/// Called after every piece of work; `Break` stops the preparation, which then can go on from there.
pub type Watch<'a> = &'a dyn Fn(Event) -> ControlFlow<()>;

/// Where a stage reads from.
#[derive(Clone)]
pub(crate) enum Input {
    Sources,
    /// The folder of a stage, relative to the cache.
    Stage(String),
}

pub(crate) struct Runner<'a> {
    pub store: &'a Store,
    pub plan: &'a Plan,
    pub context: Context<'a>,
    pub similarity: Option<&'a dyn Similarity>,
    pub is_strict: bool,
    pub watch: Watch<'a>,
}

/// The name of a chunk below the cache.
fn chunk_name(stage_dir: &str, chunk_idx: usize) -> String {
    format!("{stage_dir}/{}", chunk_file(chunk_idx))
}

/// The name of a chunk in its stage's folder.
pub(crate) fn chunk_file(chunk_idx: usize) -> String {
    format!("chunk-{chunk_idx:06}")
}

impl Runner<'_> {
    /// Runs what is left of a stage into `stage_dir`, and says what came of all of it.
    pub(crate) fn run(
        &self,
        stage: &dyn Stage,
        input: &Input,
        stage_dir: &str,
    ) -> Result<StageReport, PipelineError> {
        let n_chunks = self.plan.n_chunks();
        let dir = self.store.cache.join(stage_dir);
        if let Some(report) = self.finished(&dir)? {
            if self.is_strict && report.n_bad > 0 {
                self.dropped(stage_dir, |dropped| self.tolerate(dropped))?;
            }
            self.tell(stage.name(), n_chunks, false)?;
            return Ok(StageReport { is_cached: true, ..report });
        }
        fs::create_dir_all(&dir).map_err(|e| PipelineError::io("create", &dir, e))?;
        let mut report = StageReport { name: stage.name().to_owned(), ..StageReport::default() };
        let decision = self.decide(stage, input, &dir, &mut report)?;
        let mut place = 0;
        for chunk_idx in 0..n_chunks {
            let name = chunk_name(stage_dir, chunk_idx);
            let (chunk, is_new) = match Chunk::read(&self.store.cache, &name)? {
                Some(chunk) => (chunk, false),
                None => {
                    let items = self.items(input, chunk_idx)?;
                    let mut chunk = self.apply(stage, items, place, &decision)?;
                    chunk.write(&self.store.cache, &name)?;
                    self.store.release();
                    (chunk, true)
                }
            };
            place += (chunk.items.len() + chunk.dropped.len()) as u64;
            account(&mut report, &chunk);
            chunk.dropped.iter().try_for_each(|dropped| self.tolerate(dropped))?;
            self.event(stage.name(), chunk_idx + 1, n_chunks, is_new)?;
        }
        for (name, n) in &decision.tally {
            *report.counts.entry(name.clone()).or_default() += n;
        }
        write_json(&dir.join(DONE_FILE), &report)?;
        Ok(report)
    }

    /// The record of a stage that is done.
    pub(crate) fn finished(&self, dir: &Path) -> Result<Option<StageReport>, PipelineError> {
        read_json(&dir.join(DONE_FILE))
    }

    pub(crate) fn event(
        &self,
        stage: &'static str,
        n_done: usize,
        n_total: usize,
        is_new: bool,
    ) -> Result<(), PipelineError> {
        match (self.watch)(Event { stage, n_done, n_total, is_new }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(PipelineError::Stopped),
        }
    }

    fn tell(&self, stage: &'static str, n_total: usize, is_new: bool) -> Result<(), PipelineError> {
        self.event(stage, n_total, n_total, is_new)
    }

    fn tolerate(&self, dropped: &Dropped) -> Result<(), PipelineError> {
        if !self.is_strict || !dropped.is_bad {
            return Ok(());
        }
        Err(PipelineError::BadItem {
            id: dropped.id.clone(),
            origin: dropped.source.clone(),
            reason: dropped.reason.clone(),
        })
    }

    fn decide(
        &self,
        stage: &dyn Stage,
        input: &Input,
        dir: &Path,
        report: &mut StageReport,
    ) -> Result<Decision, PipelineError> {
        if !stage.is_global() {
            return Ok(Decision::default());
        }
        let path = dir.join(DECISION_FILE);
        if let Some(decision) = read_json(&path)? {
            return Ok(decision);
        }
        let begun = Instant::now();
        let decision = stage.survey(&|| Box::new(self.all_items(input)), dir)?;
        write_json(&path, &decision)?;
        report.seconds += begun.elapsed().as_secs_f64();
        Ok(decision)
    }

    fn items(&self, input: &Input, chunk_idx: usize) -> Result<Vec<Item>, PipelineError> {
        match input {
            Input::Sources => self.plan.items(&self.store.corpora, chunk_idx),
            Input::Stage(dir) => Ok(self.chunk(dir, chunk_idx)?.items),
        }
    }

    fn chunk(&self, stage_dir: &str, chunk_idx: usize) -> Result<Chunk, PipelineError> {
        let name = chunk_name(stage_dir, chunk_idx);
        Chunk::read(&self.store.cache, &name)?.ok_or_else(|| {
            let path = self.store.cache.join(&name);
            PipelineError::cache(&path, "expected what an earlier stage had written, got nothing or a part")
        })
    }

    /// Every sample, one chunk in memory at a time.
    pub(crate) fn all_items<'b>(
        &'b self,
        input: &'b Input,
    ) -> impl Iterator<Item = Result<Item, PipelineError>> + 'b {
        (0..self.plan.n_chunks()).flat_map(move |chunk_idx| match self.items(input, chunk_idx) {
            Ok(items) => items.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Every sample that a stage took out.
    pub(crate) fn dropped(
        &self,
        stage_dir: &str,
        mut accept: impl FnMut(&Dropped) -> Result<(), PipelineError>,
    ) -> Result<(), PipelineError> {
        for chunk_idx in 0..self.plan.n_chunks() {
            self.chunk(stage_dir, chunk_idx)?.dropped.iter().try_for_each(&mut accept)?;
        }
        Ok(())
    }

    fn apply(
        &self,
        stage: &dyn Stage,
        items: Vec<Item>,
        place: u64,
        decision: &Decision,
    ) -> Result<Chunk, PipelineError> {
        let begun = Instant::now();
        // a model need not be shared between threads
        let context = &self.context;
        let applied: Vec<(Item, Option<Fault>, Tally)> = items
            .into_par_iter()
            .enumerate()
            .map(|(idx, mut item)| {
                let mut tally = Tally::new();
                let place = place + idx as u64;
                let fault = stage.apply(&mut item, place, decision, context, &mut tally)?;
                Ok((item, fault, tally))
            })
            .collect::<Result<_, PipelineError>>()?;
        let mut chunk = Chunk::default();
        for (item, fault, tally) in applied {
            for (name, n) in tally {
                *chunk.tally.entry(name).or_default() += n;
            }
            match fault {
                None => chunk.items.push(item),
                Some(fault) => chunk.dropped.push(dropped(stage, item, fault)),
            }
        }
        let faults =
            stage.apply_together(&mut chunk.items, &self.context, self.similarity, &mut chunk.tally)?;
        if faults.iter().any(Option::is_some) {
            let items = std::mem::take(&mut chunk.items);
            for (item, fault) in items.into_iter().zip(faults) {
                match fault {
                    None => chunk.items.push(item),
                    Some(fault) => chunk.dropped.push(dropped(stage, item, fault)),
                }
            }
        }
        chunk.seconds = begun.elapsed().as_secs_f64();
        Ok(chunk)
    }
}

fn dropped(stage: &dyn Stage, item: Item, fault: Fault) -> Dropped {
    Dropped {
        id: item.id,
        source: item.source,
        stage: stage.name().to_owned(),
        kind: fault.kind,
        reason: fault.reason,
        is_bad: fault.is_bad,
    }
}

fn account(report: &mut StageReport, chunk: &Chunk) {
    report.n_in += (chunk.items.len() + chunk.dropped.len()) as u64;
    report.n_out += chunk.items.len() as u64;
    report.seconds += chunk.seconds;
    for dropped in &chunk.dropped {
        report.n_bad += u64::from(dropped.is_bad);
        *report.dropped.entry(dropped.kind.clone()).or_default() += 1;
    }
    for (name, n) in &chunk.tally {
        *report.counts.entry(name.clone()).or_default() += n;
    }
}

pub(crate) fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), PipelineError> {
    let failed = |e| PipelineError::io("write", path, e);
    let mut file = temporary_beside(path).map_err(failed)?;
    // not through the memory: what was decided about a million samples is long
    let mut out = BufWriter::new(&mut file);
    serde_json::to_writer_pretty(&mut out, value).map_err(|e| failed(e.into()))?;
    out.write_all(b"\n").and_then(|()| out.flush()).map_err(failed)?;
    drop(out);
    publish(file, path).map_err(failed)
}

/// None if there is no such file, or it does not hold what it should.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, PipelineError> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(PipelineError::io("read", path, e)),
    }
}

/// Holds a folder against other processes for as long as it lives, also against its own crash.
pub(crate) struct Lock(#[allow(dead_code, reason = "the lock goes when the file is closed")] File);

impl Lock {
    pub(crate) fn take(path: PathBuf, dir: &Path) -> Result<Self, PipelineError> {
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| PipelineError::io("create", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(PipelineError::Busy { dir: dir.to_owned() }),
            Err(fs::TryLockError::Error(e)) => Err(PipelineError::io("lock", &path, e)),
        }
    }
}
