//! The step loop: batches to gradients to weights, logged, saved, and resumed bit for bit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use triptych_datasets::batch::HostBatch;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{Objective, StepContext, TokenIds, combine};

use super::checkpoint::{self, Checkpoint, TensorBytes};
use super::error::TrainError;
use super::folder::RunFolder;
use super::optimizer::OptimizerState;
use super::parameters::{NamedTensors, named, replace};
use crate::configuration::{ExperimentConfig, ObjectiveSchedule};

/// Set by Ctrl-C: the loop saves and stops at the next step.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// One line of `metrics.jsonl`: means over the steps since the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MetricsRecord {
    pub(crate) step: u64,
    pub(crate) loss: f64,
    pub(crate) losses: BTreeMap<String, f64>,
    pub(crate) lr: f64,
    pub(crate) grad_norm: f64,
    pub(crate) samples_per_s: f64,
    pub(crate) elapsed_s: f64,
}

/// How a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All steps are done.
    Finished,
    /// Ctrl-C: saved after this many steps.
    Interrupted(u64),
}

/// A model in training, with all that a checkpoint holds.
pub(crate) struct Trainer<'a> {
    config: &'a ExperimentConfig,
    fingerprint: String,
    /// Taken out for the moment of an update alone, so that it is made in place.
    model: Option<Model>,
    optimizer: OptimizerState,
    objectives: Vec<(Box<dyn Objective>, &'a ObjectiveSchedule)>,
    token_ids: TokenIds,
    device: Device,
    step: u64,
    /// Seconds of training before this process.
    earlier_s: f64,
}

impl<'a> Trainer<'a> {
    /// Starts from `model`, whose tensors are on an autodiff device.
    pub(crate) fn new(
        config: &'a ExperimentConfig,
        fingerprint: String,
        model: Model,
        token_ids: TokenIds,
        device: &Device,
    ) -> Self {
        let objectives = config
            .objectives
            .iter()
            .filter_map(|(name, schedule)| Some((schedule.objective(name)?, schedule)))
            .collect();
        Self {
            optimizer: OptimizerState::new(&model),
            config,
            fingerprint,
            model: Some(model),
            objectives,
            token_ids,
            device: device.clone(),
            step: 0,
            earlier_s: 0.0,
        }
    }

    fn model(&self) -> &Model {
        self.model.as_ref().expect("the model is only away during an update")
    }

    fn take_model(&mut self) -> Model {
        self.model.take().expect("the model is only away during an update")
    }

    /// Steps done.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// Takes up where `checkpoint` left off.
    ///
    /// # Errors
    /// When it belongs to another config or does not fit the model.
    pub(crate) fn resume(mut self, checkpoint: Checkpoint) -> Result<Self, TrainError> {
        if checkpoint.config != self.fingerprint {
            return Err(TrainError::OtherConfig { path: checkpoint.path });
        }
        let mut parts = split_by_prefix(checkpoint.tensors, &self.device.clone().inner());
        let mut take = |prefix: &str| parts.remove(prefix).unwrap_or_default();
        let path = checkpoint.path.clone();
        let fits = |error| TrainError::Parameters { path: path.clone(), source: error };
        let model = replace(self.take_model(), take("model")).map_err(fits)?;
        let names = named(&model);
        self.model = Some(model);
        for (state, prefix) in [
            (&mut self.optimizer.first, "first"),
            (&mut self.optimizer.second, "second"),
            (&mut self.optimizer.average, "average"),
        ] {
            let table = take(prefix);
            if let Some(name) = names.keys().find(|name| !table.contains_key(*name)) {
                return Err(fits(super::parameters::ParameterError::Missing {
                    name: format!("{prefix}/{name}"),
                    expected: names[name].0.clone(),
                }));
            }
            *state = table;
        }
        self.step = checkpoint.step;
        self.earlier_s = checkpoint.state["elapsed_s"].as_f64().unwrap_or(0.0);
        Ok(self)
    }

    /// Runs until all steps are done or Ctrl-C. `next_batch` gives the batches from the current step on;
    /// `report` is called with every line of the log.
    ///
    /// # Errors
    /// When a batch cannot be loaded, a loss is not finite, or something cannot be written.
    pub(crate) fn run(
        &mut self,
        folder: &RunFolder,
        mut next_batch: impl FnMut() -> Result<HostBatch, TrainError>,
        mut report: impl FnMut(&MetricsRecord),
    ) -> Result<Ending, TrainError> {
        let n_steps = self.config.train.steps;
        let mut log = folder.metrics(self.step)?;
        let started = Instant::now();
        let mut window = Window::new();
        while self.step < n_steps {
            if INTERRUPTED.load(Ordering::Relaxed) {
                self.save(folder, started)?;
                return Ok(Ending::Interrupted(self.step));
            }
            let batch = next_batch()?;
            self.train_step(&batch, &mut window)?;
            if self.step.is_multiple_of(self.config.train.log_every) || self.step == n_steps {
                let elapsed_s = self.earlier_s + started.elapsed().as_secs_f64();
                let lr = self.config.train.optimizer.lr_at(self.step - 1, n_steps);
                let record = std::mem::replace(&mut window, Window::new()).record(self.step, lr, elapsed_s);
                log.append(&record)?;
                report(&record);
            }
            if self.step.is_multiple_of(self.config.train.checkpoint_every) || self.step == n_steps {
                self.save(folder, started)?;
            }
        }
        Ok(Ending::Finished)
    }

    fn train_step(&mut self, batch: &HostBatch, window: &mut Window) -> Result<(), TrainError> {
        let n_steps = self.config.train.steps;
        // what is drawn on the device (which samples skip a block) is a function of the seed and the step too
        self.device.seed(self.config.seed.wrapping_add(self.step).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let weighted = self
            .objectives
            .iter()
            .filter_map(|(objective, schedule)| Some((&**objective, schedule.weight_at(self.step, n_steps)?)))
            .collect::<Vec<_>>();
        let context =
            StepContext::new(self.model(), batch, self.token_ids, &self.device, self.config.seed, self.step);
        if let Some(parts) = combine(&context, &weighted) {
            let mut gradients = parts.total.backward();
            drop(context);
            let total = parts.total.into_scalar::<f64>();
            for (name, loss) in parts.named {
                window.add_loss(name, loss.into_scalar::<f64>());
            }
            if !total.is_finite() {
                return Err(TrainError::NotFinite { step: self.step, losses: window.describe() });
            }
            let model = self.take_model();
            let optimizer = &self.config.train.optimizer;
            let (model, figures) = self.optimizer.step(model, &mut gradients, optimizer, self.step, n_steps);
            self.model = Some(model);
            window.add_step(total, figures.grad_norm, batch.ids.len());
        }
        self.step += 1;
        Ok(())
    }

    fn save(&self, folder: &RunFolder, started: Instant) -> Result<PathBuf, TrainError> {
        let mut tensors = BTreeMap::new();
        let model = named(self.model());
        for (prefix, table) in [
            ("first", &self.optimizer.first),
            ("second", &self.optimizer.second),
            ("average", &self.optimizer.average),
        ] {
            for (name, tensor) in table {
                let shape = model[name].0.clone();
                tensors.insert(format!("{prefix}/{name}"), to_bytes(shape, tensor.clone()));
            }
        }
        for (name, (shape, tensor)) in model {
            tensors.insert(format!("model/{name}"), to_bytes(shape, tensor));
        }
        let state = json!({
            "seed": self.config.seed,
            "next_batch": self.step,
            "elapsed_s": self.earlier_s + started.elapsed().as_secs_f64(),
        });
        let path = checkpoint::save(&folder.checkpoints(), self.step, &self.fingerprint, &tensors, &state)?;
        checkpoint::prune(&folder.checkpoints(), self.config.train.keep_checkpoints)?;
        Ok(path)
    }

    /// The model with the averaged weights, for evaluation.
    ///
    /// # Errors
    /// Never for a state that belongs to the model.
    pub(crate) fn averaged(&self) -> Result<Model, TrainError> {
        use burn::module::Module;
        let average = self.optimizer.average.clone();
        replace(self.model().valid(), average)
            .map_err(|source| TrainError::Parameters { path: PathBuf::from("(in memory)"), source })
    }
}

/// The averaged weights of a checkpoint in `model`, for evaluation.
///
/// # Errors
/// When they do not fit the model.
pub(crate) fn averaged_model(
    model: Model,
    checkpoint: Checkpoint,
    device: &Device,
) -> Result<Model, TrainError> {
    let path = checkpoint.path.clone();
    let average = split_by_prefix(checkpoint.tensors, device).remove("average").unwrap_or_default();
    replace(model, average).map_err(|source| TrainError::Parameters { path, source })
}

fn to_bytes(shape: Vec<usize>, tensor: Tensor<1>) -> TensorBytes {
    let data = tensor.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to float32");
    TensorBytes { shape, data }
}

fn split_by_prefix(
    tensors: BTreeMap<String, TensorBytes>,
    device: &Device,
) -> BTreeMap<String, NamedTensors> {
    let mut parts = BTreeMap::<String, NamedTensors>::new();
    for (name, TensorBytes { data, .. }) in tensors {
        let (prefix, rest) = name.split_once('/').unwrap_or(("", &name));
        let n = data.len();
        let tensor = Tensor::from_data(TensorData::new(data, [n]), device);
        parts.entry(prefix.to_owned()).or_default().insert(rest.to_owned(), tensor);
    }
    parts
}

/// Sums since the last line of the log.
struct Window {
    started: Instant,
    total: f64,
    grad_norm: f64,
    n_steps: u64,
    n_samples: usize,
    losses: BTreeMap<&'static str, (f64, u64)>,
}

impl Window {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            total: 0.0,
            grad_norm: 0.0,
            n_steps: 0,
            n_samples: 0,
            losses: BTreeMap::new(),
        }
    }

    fn add_loss(&mut self, name: &'static str, loss: f64) {
        let entry = self.losses.entry(name).or_default();
        entry.0 += loss;
        entry.1 += 1;
    }

    fn add_step(&mut self, total: f64, grad_norm: f64, n_samples: usize) {
        self.total += total;
        self.grad_norm += grad_norm;
        self.n_steps += 1;
        self.n_samples += n_samples;
    }

    fn describe(&self) -> String {
        let losses = self.losses.iter().map(|(name, (sum, n))| format!("{name} {:.3}", sum / *n as f64));
        losses.collect::<Vec<_>>().join(", ")
    }

    fn record(self, step: u64, lr: f64, elapsed_s: f64) -> MetricsRecord {
        let n = self.n_steps.max(1) as f64;
        let losses = self.losses.iter().map(|(name, (sum, n))| ((*name).to_owned(), sum / *n as f64));
        MetricsRecord {
            step,
            loss: self.total / n,
            losses: losses.collect(),
            lr,
            grad_norm: self.grad_norm / n,
            samples_per_s: self.n_samples as f64 / self.started.elapsed().as_secs_f64().max(1e-9),
            elapsed_s,
        }
    }
}
