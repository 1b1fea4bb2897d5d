//! AdamW over a whole model, with decay groups, clipping by the global norm and an average of the weights.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::layers::ops::{self, AdamHyper};
use triptych_tasks::objectives::GradientTable;

use super::muon::{self, MuonConfig};
use super::parameters::{ModulePath, NamedTensors, named};
use super::pattern::Pace;

/// Settings of the optimizer and the learning rate's course.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Highest learning rate.
    pub lr: f64,
    /// Learning rate at the last step, as a share of the highest.
    #[serde(default)]
    pub final_lr_ratio: f64,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// Decoupled weight decay of weights; norms, biases, positions and temperatures have none.
    pub weight_decay: f64,
    /// Decay of the first and second moment. CLIP: 0.9 and 0.98.
    pub betas: [f64; 2],
    /// Added to the root of the second moment. CLIP: 1e-6.
    pub eps: f64,
    /// Largest norm of the whole gradient.
    pub clip_norm: f64,
    /// Decay of the average of the weights that evaluation uses; at step `t` it is at most `(1 + t) / (10 + t)`.
    pub ema_decay: f64,
    /// Muon for the hidden matrices; without it they are AdamW's too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
}

impl OptimizerConfig {
    /// Learning rate of step `step` (from 0) of `n_steps`: linear warm-up, then half a cosine.
    pub fn lr_at(&self, step: u64, n_steps: u64) -> f64 {
        if step < self.warmup_steps {
            return self.lr * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let rest = n_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / rest as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.lr * (self.final_lr_ratio + (1.0 - self.final_lr_ratio) * cosine)
    }
}

/// Moments of every parameter that is trained and the average of its weights.
#[derive(Debug)]
pub(crate) struct OptimizerState {
    pace: Pace,
    /// First moments.
    pub(crate) first: NamedTensors,
    /// Second moments.
    pub(crate) second: NamedTensors,
    /// Averaged weights.
    pub(crate) average: NamedTensors,
}

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepFigures {
    /// Norm of the whole gradient before clipping.
    pub(crate) grad_norm: f64,
}

impl OptimizerState {
    /// Zero moments; the average starts at the weights.
    pub(crate) fn new<M: Module>(model: &M, pace: Pace) -> Self {
        let mut weights = named(model);
        weights.retain(|name, _| !pace.is_frozen(name));
        let zeros = |tensor: &Tensor<1>| Tensor::zeros(tensor.dims(), &tensor.device());
        Self {
            first: weights.iter().map(|(name, (_, tensor))| (name.clone(), zeros(tensor))).collect(),
            second: weights.iter().map(|(name, (_, tensor))| (name.clone(), zeros(tensor))).collect(),
            // a copy of its own: both are updated in place
            average: weights.into_iter().map(|(name, (_, tensor))| (name, tensor.add_scalar(0.0))).collect(),
            pace,
        }
    }

    /// One step; parameters that had no part in the loss stay as they are.
    pub(crate) fn step<M: Module>(
        &mut self,
        model: M,
        gradients: &mut GradientTable,
        config: &OptimizerConfig,
        step: u64,
        n_steps: u64,
    ) -> (M, StepFigures) {
        let grad_norm = gradients.norm();
        let hyper = AdamHyper {
            beta1: config.betas[0] as f32,
            beta2: config.betas[1] as f32,
            eps: config.eps as f32,
            lr: config.lr_at(step, n_steps) as f32,
            weight_decay: 0.0,
            step: step as usize + 1,
            grad_scale: if grad_norm > config.clip_norm {
                (config.clip_norm / grad_norm) as f32
            } else {
                1.0
            },
        };
        let mut update = Update {
            path: ModulePath::default(),
            state: self,
            gradients,
            hyper,
            weight_decay: config.weight_decay as f32,
            muon: config.muon,
            ema_decay: config.ema_decay.min((1 + step) as f64 / (10 + step) as f64) as f32,
        };
        (model.map(&mut update), StepFigures { grad_norm })
    }
}

struct Update<'a> {
    path: ModulePath,
    state: &'a mut OptimizerState,
    gradients: &'a mut GradientTable,
    hyper: AdamHyper,
    weight_decay: f32,
    muon: Option<MuonConfig>,
    ema_decay: f32,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join();
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove(&name) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let hyper = AdamHyper {
            lr: self.hyper.lr * self.state.pace.lr_ratio(&name) as f32,
            weight_decay: if is_decayed(&name, D) { self.weight_decay } else { 0.0 },
            ..self.hyper
        };
        let taken = "the state holds every parameter of its model";
        let first = self.state.first.remove(&name).expect(taken);
        let second = self.state.second.remove(&name).expect(taken);
        let average = self.state.average.remove(&name).expect(taken);
        let weights = tensor.inner().flatten::<1>(0, D - 1);
        let muon = self.muon.filter(|_| is_hidden_matrix(&name, D));
        let (mut weights, first, second) = match muon {
            Some(muon) => {
                let [rows, columns] = [shape[0], shape[D - 1]];
                let matrix = |tensor: Tensor<1>| tensor.reshape([rows, columns]);
                let gradient = matrix(gradient) * hyper.grad_scale;
                let (first, update) = muon::update(gradient, matrix(first), muon.momentum as f32);
                let lr = hyper.lr * muon.lr_ratio as f32;
                let kept = 1.0 - hyper.lr * hyper.weight_decay;
                let weights = weights * kept - update.reshape([rows * columns]) * lr;
                (weights, first.reshape([rows * columns]), second)
            }
            None => ops::adamw_step(weights, gradient, first, second, hyper),
        };
        if name.ends_with(TEMPERATURE) {
            weights = weights.clamp(0.0, MAX_LOG_SCALE);
        }
        let average = ops::ema_update(average, weights.clone(), self.ema_decay);
        self.state.first.insert(name.clone(), first);
        self.state.second.insert(name.clone(), second);
        self.state.average.insert(name, average);
        let weights = Tensor::from_inner(weights.reshape(shape)).require_grad();
        Param::from_mapped_value(id, weights, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

/// Whether Muon applies: matrices between layers, not tables of embeddings and not what gives scores of labels.
fn is_hidden_matrix(name: &str, rank: usize) -> bool {
    let is_table = ["embedding", "causal", ".words.", ".segments."].iter().any(|table| name.contains(table));
    let is_output =
        ["ctc", "patches", "frames", "matching", "distilled"].iter().any(|head| name.starts_with(head));
    rank == 2 && is_decayed(name, rank) && !is_table && !is_output
}

/// The contrastive temperatures: kept in `[0, ln 100]` after every step (Radford et al. 2021, section 2.5).
const TEMPERATURE: &str = "log_scale";
const MAX_LOG_SCALE: f32 = 4.605_17;

/// Whether weight decay applies: to matrices of weights, not to norms, biases, positions, embeddings of
/// modalities, or temperatures.
fn is_decayed(name: &str, rank: usize) -> bool {
    rank > 1 && !name.ends_with("positions") && !name.ends_with("modalities")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OptimizerConfig {
        OptimizerConfig {
            lr: 1.0,
            final_lr_ratio: 0.1,
            warmup_steps: 10,
            weight_decay: 0.1,
            betas: [0.9, 0.98],
            eps: 1e-6,
            clip_norm: 1.0,
            ema_decay: 0.99,
            muon: None,
        }
    }

    #[test]
    fn the_learning_rate_rises_falls_and_stays_down() {
        let config = config();
        assert_eq!(config.lr_at(0, 100), 0.1);
        assert_eq!(config.lr_at(9, 100), 1.0);
        assert_eq!(config.lr_at(10, 100), 1.0);
        assert!((config.lr_at(55, 100) - 0.55).abs() < 1e-9);
        assert!((config.lr_at(100, 100) - 0.1).abs() < 1e-9);
        assert!((config.lr_at(500, 100) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn norms_biases_positions_and_temperatures_do_not_decay() {
        assert!(is_decayed("text.Transformer.embedding.weight", 2));
        assert!(!is_decayed("vision.Vit.positions", 2));
        assert!(!is_decayed("backbone.causal_positions", 2));
        assert!(!is_decayed("backbone.modalities", 2));
        assert!(!is_decayed("retrieval.log_scale", 1));
    }
}
