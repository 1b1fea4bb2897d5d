//! What is logged: means over the steps since the last line of `metrics.jsonl`.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

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
    /// Factors that follow the training, on top of the configured weights.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) factors: BTreeMap<String, f64>,
    /// Cosines between the gradients of two objectives, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) conflicts: BTreeMap<String, f64>,
}

/// Sums since the last line of the log.
pub(super) struct Window {
    started: Instant,
    total: f64,
    grad_norm: f64,
    n_steps: u64,
    n_samples: usize,
    losses: BTreeMap<&'static str, (f64, u64)>,
    factors: BTreeMap<String, f64>,
    conflicts: BTreeMap<String, (f64, u64)>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            total: 0.0,
            grad_norm: 0.0,
            n_steps: 0,
            n_samples: 0,
            losses: BTreeMap::new(),
            factors: BTreeMap::new(),
            conflicts: BTreeMap::new(),
        }
    }

    pub(super) fn add_loss(&mut self, name: &'static str, loss: f64) {
        let entry = self.losses.entry(name).or_default();
        entry.0 += loss;
        entry.1 += 1;
    }

    pub(super) fn add_step(&mut self, total: f64, grad_norm: f64, n_samples: usize) {
        self.total += total;
        self.grad_norm += grad_norm;
        self.n_steps += 1;
        self.n_samples += n_samples;
    }

    /// Cosines between gradients at a step.
    pub(super) fn add_conflicts(&mut self, cosines: BTreeMap<String, f64>) {
        for (names, cosine) in cosines {
            let entry = self.conflicts.entry(names).or_default();
            entry.0 += cosine;
            entry.1 += 1;
        }
    }

    /// The factors on the objectives' weights, of which the last are logged.
    pub(super) fn set_factors(&mut self, factors: BTreeMap<String, f64>) {
        self.factors = factors;
    }

    pub(super) fn describe(&self) -> String {
        let losses = self.losses.iter().map(|(name, (sum, n))| format!("{name} {:.3}", sum / *n as f64));
        losses.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn record(self, step: u64, lr: f64, elapsed_s: f64) -> MetricsRecord {
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
            factors: self.factors,
            conflicts: self.conflicts.into_iter().map(|(names, (sum, n))| (names, sum / n as f64)).collect(),
        }
    }
}
