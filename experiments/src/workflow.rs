//! The main job in four stages: prepare, train, evaluate, report. Each finds what is already done and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::loader::Selection;
use triptych_datasets::sample::Split;
use triptych_encoders::{Modality, TokenSequence};
use triptych_tasks::model::Model;
use triptych_tasks::objectives;

use crate::configuration::{ExperimentConfig, Resolved};
use crate::device::DeviceChoice;
use crate::diagnostic::Interrupted;
use crate::evaluate::{
    Inference, InferenceError, Judge, Perceptions, Predictions, ScoreRow, answer_all, asked, classify,
    measure, members, write_scores,
};
use crate::interrupt::{self, this_command};
use crate::plan::parameters;
use crate::progress::Progress;
use crate::run::TrainError;
use crate::run::checkpoint;
use crate::run::data::{Data, blank_model};
use crate::run::folder::RunFolder;
use crate::run::start::{self, Started};
use crate::run::teacher;
use crate::run::training::{Ending, MetricsRecord, Trainer, averaged_model};

/// Seconds that the stages of a run took, over all the processes that worked on it: `stages.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stages {
    pub(crate) prepare_s: f64,
    pub(crate) train_s: f64,
    pub(crate) evaluate_s: f64,
    /// The most memory that a process of the run held, in bytes.
    pub(crate) peak_memory_bytes: Option<u64>,
    /// What it computed on.
    pub(crate) device: String,
}

impl Stages {
    const FILE: &'static str = "stages.json";

    /// What is known so far; nothing where there is no such file.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(Self::FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn write(&mut self, folder: &RunFolder) -> Result<(), TrainError> {
        self.peak_memory_bytes = self.peak_memory_bytes.max(crate::machine::peak_memory_bytes());
        let json = serde_json::to_vec_pretty(self).expect("plain numbers serialise");
        Ok(folder.write(Self::FILE, &json)?)
    }
}

/// Where and how loudly to work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) device: DeviceChoice,
    pub(crate) is_quiet: bool,
}

/// Prepares the data and trains, or goes on where an earlier process stopped; gives the averaged model.
///
/// # Errors
/// What [`TrainError`] lists, or [`Interrupted`] after Ctrl-C.
pub(crate) fn train(
    resolved: &Resolved<ExperimentConfig>,
    out: &Path,
    work: Work,
) -> miette::Result<Trained> {
    let again = this_command();
    interrupt::catch(&again);
    let config = &resolved.value;
    // what does not fit together is told before anything is written
    parameters(config, config.data_shape(config.data.n_vocab))?;
    let device = work.device.open()?;
    let folder = RunFolder::open(out).map_err(TrainError::from)?;
    folder.settle_config(&resolved.toml).map_err(TrainError::from)?;
    let mut stages = Stages::read(out);
    stages.device = work.device.to_string();
    let data = prepare(config, &folder, work, &mut stages)?;
    check_questions(config, &data)?;
    let found = checkpoint::latest(&folder.checkpoints()).map_err(TrainError::from)?;
    let autodiff = device.clone().autodiff();
    let model = data.model(config, &autodiff)?;
    let n_parameters = burn::module::Module::num_params(&model);
    let model = match found {
        Some(_) => model,
        None => start_training(model, config, &data, &folder, work, &autodiff)?,
    };
    let teacher = teacher::open(config, &data.tokenizer, &device)?;
    let tokens = (data.token_ids(), data.tokenizer.words());
    let mut trainer = Trainer::new(config, resolved.fingerprint(), model, teacher, tokens, &autodiff)?;
    if let Some(found) = found {
        trainer = trainer.resume(found)?;
    }
    let n_steps = config.train.steps;
    if trainer.step() < n_steps {
        let _training = interrupt::Training::begin();
        let started = Instant::now();
        let mut loader = data.training(config, trainer.step()).map_err(TrainError::from)?;
        let mut progress = Progress::resume("training", trainer.step(), n_steps, "steps", work.is_quiet);
        let mut warned = BTreeSet::new();
        let ending = trainer.run(
            &folder,
            || {
                let batch = loader.next_batch()?;
                for (bad, _) in loader.bad_samples() {
                    if warned.insert(bad.id.clone()) {
                        eprintln!("warning: left out: {bad}");
                    }
                }
                Ok(batch)
            },
            |record| progress.set(record.step, &message(record)),
        )?;
        stages.train_s += started.elapsed().as_secs_f64();
        stages.write(&folder)?;
        if let Ending::Interrupted(step) = ending {
            let saved = format!("stopped at step {step} of {n_steps}, saved in {}", out.display());
            return Err(Interrupted { saved, hint: Some(format!("go on with `{again}`")) }.into());
        }
        progress.finish(&format!("{n_parameters} parameters, {n_steps} steps"));
    }
    let model = trainer.averaged()?;
    Ok(Trained { folder, data, model, device, stages })
}

/// The new model with the weights that its config starts from, and the run's record of them.
fn start_training(
    model: Model,
    config: &ExperimentConfig,
    data: &Data,
    folder: &RunFolder,
    work: Work,
    device: &Device,
) -> Result<Model, TrainError> {
    let (model, started) = start::start(model, config, &data.tokenizer, device)?;
    if started.is_empty() {
        return Ok(model);
    }
    let json = serde_json::to_vec_pretty(&started).expect("plain data serialise");
    folder.write(Started::FILE, &json)?;
    if !work.is_quiet {
        started.iter().for_each(|started| eprintln!("start: {}", started.summary()));
    }
    Ok(model)
}

/// An objective that learns from questions needs some.
fn check_questions(config: &ExperimentConfig, data: &Data) -> Result<(), TrainError> {
    let used = config.objectives.iter().filter(|(_, schedule)| schedule.weight > 0.0);
    for (name, modality) in used.filter_map(|(name, _)| Some((name, objectives::find(name)?.asks()?))) {
        let training = Selection::of_split(Split::Train);
        if asked(&data.corpus, Some(&training), modality).is_empty() {
            let corpus = data.corpus.dir().to_owned();
            return Err(TrainError::NoQuestions { objective: name.clone(), corpus });
        }
    }
    Ok(())
}

/// A trained run with its folder locked.
pub(crate) struct Trained {
    pub(crate) folder: RunFolder,
    pub(crate) data: Data,
    pub(crate) model: Model,
    pub(crate) device: Device,
    pub(crate) stages: Stages,
}

/// Opens a run that was trained.
///
/// # Errors
/// When it has no checkpoint or something in it is damaged.
pub(crate) fn open_trained(config: &ExperimentConfig, run: &Path, work: Work) -> miette::Result<Trained> {
    let device = work.device.open()?;
    let folder = RunFolder::open(run).map_err(TrainError::from)?;
    let stages = Stages::read(run);
    let data = Data::open_prepared(config, run)?;
    let found = checkpoint::latest(&folder.checkpoints()).map_err(TrainError::from)?;
    let found = found.ok_or_else(|| TrainError::Untrained { path: run.to_owned() })?;
    let model = averaged_model(blank_model(config, &data.tokenizer, &device)?, found, &device)?;
    Ok(Trained { folder, data, model, device, stages })
}

fn prepare(
    config: &ExperimentConfig,
    folder: &RunFolder,
    work: Work,
    stages: &mut Stages,
) -> Result<Data, TrainError> {
    let started = Instant::now();
    let progress = std::cell::RefCell::new(None::<Progress>);
    let data = Data::open(config, folder.path(), &|done, total, what| {
        let mut progress = progress.borrow_mut();
        let bar = progress
            .get_or_insert_with(|| Progress::new("preparing", total as u64, "samples", work.is_quiet));
        bar.set(done as u64, what);
    })?;
    if let Some(progress) = progress.into_inner() {
        progress.finish(&format!("{} samples", data.corpus.len()));
    }
    let took = started.elapsed().as_secs_f64();
    // a corpus that was there already says nothing about how long preparing takes
    if stages.prepare_s == 0.0 {
        stages.prepare_s = took;
        stages.write(folder)?;
    }
    Ok(data)
}

/// Measures the model on every hold-out and writes `scores.json` and `predictions.json`.
///
/// # Errors
/// When a sample cannot be read, a hold-out is empty, or something cannot be written.
pub(crate) fn evaluate(
    config: &ExperimentConfig,
    trained: &mut Trained,
    work: Work,
) -> Result<Vec<ScoreRow>, TrainError> {
    let started = Instant::now();
    let corpus = trained.data.corpus.clone();
    let (mut images, mut sounds) = (BTreeSet::new(), BTreeSet::new());
    let (mut asked_images, mut asked_sounds) = (BTreeSet::new(), BTreeSet::new());
    let answered = config.answered();
    for holdout in &config.evaluate.holdouts {
        let (mut some_images, mut some_sounds) = members(&corpus, holdout);
        for (modality, selection, some, all) in [
            (Modality::Image, &holdout.images, &mut some_images, &mut asked_images),
            (Modality::Audio, &holdout.sounds, &mut some_sounds, &mut asked_sounds),
        ] {
            if answered.contains(&modality) {
                let asked = asked(&corpus, selection.as_ref(), modality);
                some.extend_from_slice(&asked);
                all.extend(asked);
            }
        }
        if some_images.is_empty() && some_sounds.is_empty() {
            return Err(TrainError::EmptyHoldout { name: holdout.name.clone() });
        }
        images.extend(some_images);
        sounds.extend(some_sounds);
    }
    let inference = Inference::new(
        &trained.model,
        &trained.data.tokenizer,
        config.evaluate.n_beams,
        config.data.max_text_tokens,
        &trained.device,
    );
    let mut judge = (config.evaluate.rerank > 0).then(|| Judge::new(&trained.model, config.judged()));
    let ids =
        |entries: &[usize]| entries.iter().map(|&idx| corpus.entries()[idx].id.clone()).collect::<Vec<_>>();
    if let Some(judge) = &mut judge {
        let texts = images.union(&sounds).filter_map(|&idx| corpus.entries()[idx].texts.first());
        let texts = texts.map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        for texts in texts.chunks(config.evaluate.batch_size) {
            judge.keep(texts.iter().copied().map(ToOwned::to_owned), &inference.read(texts));
        }
    }
    let total = (images.len() + sounds.len()) as u64;
    let mut progress = Progress::new("evaluating", total, "samples", work.is_quiet);
    let mut done = 0;
    let mut perceptions = Perceptions::default();
    let answers = |entries: &[usize], asked: &BTreeSet<usize>, encode: &dyn Fn() -> TokenSequence| {
        let rows = (0..entries.len()).filter(|&row| asked.contains(&entries[row])).collect::<Vec<_>>();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let of_rows = rows.iter().map(|&row| &corpus.entries()[entries[row]]).collect::<Vec<_>>();
        let encoded = inference.rows_of(&encode(), &rows);
        let given = answer_all(&inference, &encoded, &of_rows, config.evaluate.batch_size)?;
        Ok::<_, InferenceError>(rows.iter().map(|&row| entries[row]).zip(given).collect())
    };
    for batch in trained.data.evaluation(config, images.into_iter().collect())? {
        let batch = batch?;
        done += batch.entries.len() as u64;
        if let Some(judge) = &mut judge {
            judge.keep(ids(&batch.entries), &inference.see(&batch.batch));
        }
        perceptions.images.extend(batch.entries.iter().copied().zip(inference.images(&batch.batch)?));
        let encode = || inference.see(&batch.batch);
        perceptions.image_answers.extend(answers(&batch.entries, &asked_images, &encode)?);
        progress.set(done, "pictures");
    }
    for batch in trained.data.evaluation(config, sounds.into_iter().collect())? {
        let batch = batch?;
        done += batch.entries.len() as u64;
        if let Some(judge) = &mut judge {
            judge.keep(ids(&batch.entries), &inference.hear(&batch.batch).encoded);
        }
        perceptions.sounds.extend(batch.entries.iter().copied().zip(inference.sounds(&batch.batch)?));
        let encode = || inference.hear(&batch.batch).encoded;
        perceptions.sound_answers.extend(answers(&batch.entries, &asked_sounds, &encode)?);
        progress.set(done, "sounds");
    }
    let entries = corpus.entries().iter().filter(|entry| !entry.texts.is_empty());
    let texts =
        entries.map(|entry| (entry.group.as_str(), entry.texts[0].as_str())).collect::<BTreeMap<_, _>>();
    let all = texts.values().copied().collect::<Vec<_>>();
    let embeddings = inference.embed_texts(&all, config.evaluate.batch_size);
    perceptions.texts = texts.into_keys().map(ToOwned::to_owned).zip(embeddings).collect();
    let (mut rows, mut predictions) = measure(&corpus, &perceptions, judge.as_ref(), &config.evaluate)?;
    let (classified, classifications) = classify(&inference, &corpus, &perceptions, config)?;
    rows.extend(classified);
    predictions.classifications = classifications;
    write_scores(&trained.folder.path().join("scores.json"), &rows)?;
    let json = serde_json::to_vec(&predictions).expect("plain data serialise");
    trained.folder.write(Predictions::FILE, &json)?;
    trained.stages.evaluate_s = started.elapsed().as_secs_f64();
    trained.stages.write(&trained.folder)?;
    progress.finish(&format!("{} figures", rows.len()));
    Ok(rows)
}

/// Loss by objective, short enough for a line.
fn message(record: &MetricsRecord) -> String {
    let losses =
        record.losses.iter().map(|(name, loss)| format!("{name} {loss:.2}")).collect::<Vec<_>>().join(" ");
    format!("{:.0} samples/s  loss {:.3}  {losses}", record.samples_per_s, record.loss)
}

/// The report's file in a run's folder.
pub(crate) fn report_path(run: &Path) -> PathBuf {
    run.join("report.html")
}

/// Writes the report of an evaluated run.
///
/// # Errors
/// When the predictions or the corpus cannot be read, or the report cannot be written.
pub(crate) fn report(
    resolved: &Resolved<ExperimentConfig>,
    trained: &Trained,
    scores: Vec<ScoreRow>,
) -> Result<PathBuf, TrainError> {
    let run = trained.folder.path();
    let n_parameters = burn::module::Module::num_params(&trained.model);
    let inputs = crate::summary::inputs(resolved, run, &trained.data.corpus, scores, n_parameters)?;
    let path = report_path(run);
    crate::report::write(&inputs, &path)?;
    Ok(path)
}
