//! The step loop: batches to gradients to weights, logged, saved, and resumed bit for bit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::prelude::*;
use serde_json::json;
use triptych_datasets::batch::HostBatch;
use triptych_datasets::text::WordBoundaries;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{Companions, Momentum, Objective, StepInputs, TokenIds, differentiate};

use super::balance::Balance;
use super::checkpoint::{self, Checkpoint, TensorBytes};
use super::conflict;
use super::error::TrainError;
use super::folder::RunFolder;
use super::momentum;
use super::optimizer::OptimizerState;
use super::parameters::{NamedTensors, freeze, named, replace};
use super::pattern::Pace;
pub(crate) use super::window::MetricsRecord;
use super::window::Window;
use crate::configuration::{ExperimentConfig, ObjectiveSchedule};

/// Set by Ctrl-C: the loop saves and stops at the next step.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

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
    words: WordBoundaries,
    device: Device,
    step: u64,
    /// Seconds of training before this process.
    earlier_s: f64,
    teacher: Option<Model>,
    momentum: Option<Momentum>,
    balance: Option<Balance>,
}

impl<'a> Trainer<'a> {
    /// Starts from `model`, whose tensors are on an autodiff device; `teacher` is on the device without.
    ///
    /// # Errors
    /// A pattern in `train.freeze` or `train.lr_ratios` that is of no parameter.
    pub(crate) fn new(
        config: &'a ExperimentConfig,
        fingerprint: String,
        model: Model,
        teacher: Option<Model>,
        (token_ids, words): (TokenIds, WordBoundaries),
        device: &Device,
    ) -> Result<Self, TrainError> {
        let pace = Pace::new(&config.train.freeze, &config.train.lr_ratios);
        pace.check(named(&model).keys().map(String::as_str))?;
        let model = freeze(model, |name| pace.is_frozen(name));
        let objectives = config
            .objectives
            .iter()
            .filter_map(|(name, schedule)| Some((schedule.objective(name)?, schedule)))
            .collect::<Vec<_>>();
        let used = objectives.iter().filter(|(_, schedule)| schedule.weight > 0.0);
        Ok(Self {
            momentum: momentum::new(used.map(|(objective, _)| &**objective), &model),
            balance: config.train.balance.map(Balance::new),
            teacher,
            optimizer: OptimizerState::new(&model, pace),
            config,
            fingerprint,
            model: Some(model),
            objectives,
            token_ids,
            words,
            device: device.clone(),
            step: 0,
            earlier_s: 0.0,
        })
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
        let trained = self.optimizer.average.keys().cloned().collect::<Vec<_>>();
        self.model = Some(model);
        for (state, prefix) in [
            (&mut self.optimizer.first, "first"),
            (&mut self.optimizer.second, "second"),
            (&mut self.optimizer.average, "average"),
        ] {
            let table = take(prefix);
            if let Some(name) = trained.iter().find(|name| !table.contains_key(*name)) {
                return Err(fits(super::parameters::ParameterError::Missing {
                    name: format!("{prefix}/{name}"),
                    expected: names[name].0.clone(),
                }));
            }
            *state = table;
        }
        if let Some(momentum) = &mut self.momentum {
            momentum::load(momentum, take("momentum"), take("queue")).map_err(fits)?;
        }
        if let Some(balance) = &mut self.balance {
            let saved = take("balance").into_iter().filter_map(|(name, values)| {
                let values = values.into_data().iter::<f32>().collect::<Vec<_>>();
                Some((name, values.try_into().ok()?))
            });
            balance.load(saved);
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
        let (train, n_steps) = (&self.config.train, self.config.train.steps);
        let balance = &mut self.balance;
        let weighted = self.objectives.iter().filter_map(|(objective, schedule)| {
            let factor = balance.as_mut().map_or(1.0, |balance| balance.factor(objective.name()));
            Some((&**objective, schedule.weight_at(self.step, n_steps)? * factor))
        });
        let weighted = weighted.collect::<Vec<_>>();
        let inputs = StepInputs {
            model: self.model.as_ref().expect("the model is only away during an update"),
            batch,
            token_ids: self.token_ids,
            words: Some(&self.words),
            device: &self.device,
            seed: self.config.seed,
            step: self.step,
            companions: Companions { teacher: self.teacher.as_ref(), momentum: self.momentum.as_ref() },
        };
        let is_conflict_due = train.conflict_every > 0 && self.step.is_multiple_of(train.conflict_every);
        let wants_norms = self.balance.as_ref().is_some_and(|balance| balance.wants_gradients(self.step));
        if is_conflict_due || wants_norms {
            let measured = conflict::measure(inputs, &weighted, train.micro_batches);
            if is_conflict_due {
                window.add_conflicts(conflict::cosines(&measured));
            }
            if let Some(balance) = self.balance.as_mut().filter(|_| wants_norms) {
                let norms = measured.iter().map(|one| (one.name, one.loss, one.gradients.norm()));
                balance.see_norms(&norms.collect::<Vec<_>>());
            }
        }
        if let Some(mut found) = differentiate(inputs, &weighted, train.micro_batches) {
            for &(name, loss) in &found.named {
                window.add_loss(name, loss);
            }
            if !found.total.is_finite() {
                return Err(TrainError::NotFinite { step: self.step, losses: window.describe() });
            }
            if let Some(balance) = &mut self.balance {
                let is_objective = |name| weighted.iter().any(|(objective, _)| objective.name() == name);
                found.named.retain(|(name, _)| is_objective(*name));
                balance.see_losses(&found.named);
                window.set_factors(balance.factors());
            }
            let model = self.take_model();
            let gradients = &mut found.gradients;
            let (model, figures) =
                self.optimizer.step(model, gradients, &train.optimizer, self.step, n_steps);
            if let Some(momentum) = &mut self.momentum {
                momentum.push(found.queued);
                momentum::follow(momentum, &model, train.momentum_decay);
            }
            self.model = Some(model);
            window.add_step(found.total, figures.grad_norm, batch.ids.len());
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
        if let Some(momentum) = &self.momentum {
            momentum::save(momentum, &mut tensors);
        }
        for (name, values) in self.balance.iter().flat_map(Balance::save) {
            tensors.insert(format!("balance/{name}"), TensorBytes { shape: vec![2], data: values.to_vec() });
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
        let mut weights = named(self.model())
            .into_iter()
            .map(|(name, (_, tensor))| (name, tensor))
            .collect::<NamedTensors>();
        weights.extend(self.optimizer.average.clone());
        replace(self.model().valid(), weights)
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
    replace(model, averages(checkpoint, device)).map_err(|source| TrainError::Parameters { path, source })
}

/// The averaged weights of a checkpoint, and those that were not trained.
pub(crate) fn averages(checkpoint: Checkpoint, device: &Device) -> NamedTensors {
    let mut parts = split_by_prefix(checkpoint.tensors, device);
    let mut weights = parts.remove("model").unwrap_or_default();
    weights.extend(parts.remove("average").unwrap_or_default());
    weights
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
