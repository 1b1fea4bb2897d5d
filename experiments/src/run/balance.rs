//! Weights of the objectives that follow their losses or gradients, on top of those that are configured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the objectives' weights follow the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BalanceConfig {
    /// By how uncertain each is.
    Uncertainty(UncertaintyConfig),
    /// So that their gradients are of like norm.
    GradientNorm(GradientNormConfig),
}

/// Each loss `L` counts as `exp(-s) L + s / 2`, with a learned logarithm `s` of its variance.
///
/// # Reference
/// Kendall, Gal and Cipolla 2018, "Multi-task learning using uncertainty to weigh losses", equation 10.
///
/// # Differences from the reference
/// `s` moves down its own gradient by a rate of its own, not by the model's optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UncertaintyConfig {
    /// How fast the logarithms of the variances move.
    #[serde(default = "uncertainty_lr")]
    pub lr: f64,
}

fn uncertainty_lr() -> f64 {
    0.01
}

/// The weights move so that each objective's gradient has the mean norm, or more where its loss fell less than others'.
///
/// # Reference
/// Chen et al. 2018, "GradNorm", section 3.2.
///
/// # Differences from the reference
/// The norms are those of the gradient at all parameters, measured at every so many-th step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientNormConfig {
    /// Steps between two measurements; each costs a forward and backward pass for every objective.
    #[serde(default = "norm_every")]
    pub every: u64,
    /// How much an objective that lags behind is favoured; 1.5 where tasks differ much, 0 for norms that are all alike.
    #[serde(default = "norm_alpha")]
    pub alpha: f64,
    /// How fast the weights move, as a share of the mean norm.
    #[serde(default = "norm_lr")]
    pub lr: f64,
}

fn norm_every() -> u64 {
    10
}

fn norm_alpha() -> f64 {
    1.5
}

fn norm_lr() -> f64 {
    0.025
}

/// The widest that `s` gets: factors from 1/22,000 to 22,000.
const MOST_LOG_VARIANCE: f64 = 10.0;
/// The least weight, so that none turns negative.
const LEAST_WEIGHT: f64 = 0.01;

/// What is known of an objective.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    /// The logarithm of the variance, or the weight.
    value: f32,
    /// The first loss measured; NaN before.
    first_loss: f32,
}

/// Weights that follow the training.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    config: BalanceConfig,
    entries: BTreeMap<String, Entry>,
}

impl Balance {
    /// All objectives weigh alike.
    pub(crate) fn new(config: BalanceConfig) -> Self {
        Self { config, entries: BTreeMap::new() }
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        let value = match self.config {
            BalanceConfig::Uncertainty(_) => 0.0,
            BalanceConfig::GradientNorm(_) => 1.0,
        };
        self.entries.entry(name.to_owned()).or_insert(Entry { value, first_loss: f32::NAN })
    }

    /// The factor on an objective's configured weight.
    pub(crate) fn factor(&mut self, name: &str) -> f32 {
        let value = self.entry(name).value;
        match self.config {
            BalanceConfig::Uncertainty(_) => (-value).exp(),
            BalanceConfig::GradientNorm(_) => value,
        }
    }

    /// Takes note of a step's losses, before weights.
    pub(crate) fn see_losses(&mut self, losses: &[(&str, f64)]) {
        let BalanceConfig::Uncertainty(UncertaintyConfig { lr }) = self.config else { return };
        for (name, loss) in losses {
            let entry = self.entry(name);
            let slope = 0.5 - (-f64::from(entry.value)).exp() * loss;
            let moved = f64::from(entry.value) - lr * slope;
            entry.value = moved.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE) as f32;
        }
    }

    /// Whether the gradients of each objective are wanted at `step`.
    pub(crate) fn wants_gradients(&self, step: u64) -> bool {
        match self.config {
            BalanceConfig::Uncertainty(_) => false,
            BalanceConfig::GradientNorm(config) => step.is_multiple_of(config.every.max(1)),
        }
    }

    /// Takes note of each objective's loss and of its gradient's norm, before the factor.
    pub(crate) fn see_norms(&mut self, measured: &[(&str, f64, f64)]) {
        let BalanceConfig::GradientNorm(config) = self.config else { return };
        if measured.is_empty() {
            return;
        }
        let n = measured.len() as f64;
        let states = measured.iter().map(|(name, loss, norm)| {
            let entry = self.entry(name);
            if entry.first_loss.is_nan() {
                entry.first_loss = *loss as f32;
            }
            let left = if entry.first_loss > 0.0 { loss / f64::from(entry.first_loss) } else { 1.0 };
            (f64::from(entry.value), *norm, left)
        });
        let states = states.collect::<Vec<_>>();
        let mean_norm = states.iter().map(|(weight, norm, _)| weight * norm).sum::<f64>() / n;
        let mean_left = states.iter().map(|(.., left)| left).sum::<f64>() / n;
        if !(mean_norm > 0.0 && mean_norm.is_finite() && mean_left > 0.0) {
            return;
        }
        let moved = states.iter().map(|(weight, norm, left)| {
            let goal = mean_norm * (left / mean_left).powf(config.alpha);
            let slope = (weight * norm - goal).signum() * norm / mean_norm;
            (weight - config.lr * slope).max(LEAST_WEIGHT)
        });
        let moved = moved.collect::<Vec<_>>();
        let total = moved.iter().sum::<f64>();
        for ((name, ..), weight) in measured.iter().zip(moved) {
            self.entry(name).value = (weight * n / total) as f32;
        }
    }

    /// All factors by objective.
    pub(crate) fn factors(&mut self) -> BTreeMap<String, f64> {
        let names = self.entries.keys().cloned().collect::<Vec<_>>();
        names.into_iter().map(|name| (name.clone(), f64::from(self.factor(&name)))).collect()
    }

    /// What a checkpoint holds of it.
    pub(crate) fn save(&self) -> impl Iterator<Item = (&String, [f32; 2])> {
        self.entries.iter().map(|(name, entry)| (name, [entry.value, entry.first_loss]))
    }

    /// Takes up what a checkpoint holds.
    pub(crate) fn load(&mut self, saved: impl Iterator<Item = (String, [f32; 2])>) {
        self.entries = saved.map(|(name, [value, first_loss])| (name, Entry { value, first_loss })).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uncertain_objective_weighs_half_the_inverse_of_its_loss() {
        let mut balance = Balance::new(BalanceConfig::Uncertainty(UncertaintyConfig { lr: 0.1 }));
        assert_eq!(balance.factor("a"), 1.0);
        for _ in 0..2000 {
            balance.see_losses(&[("a", 4.0), ("b", 0.25)]);
        }
        // where the slope 1/2 - exp(-s) L is 0
        assert!((balance.factor("a") - 0.125).abs() < 1e-3, "{}", balance.factor("a"));
        assert!((balance.factor("b") - 2.0).abs() < 1e-3, "{}", balance.factor("b"));
    }

    #[test]
    fn norms_become_alike_and_their_mean_weight_stays_one() {
        let config = GradientNormConfig { every: 1, alpha: 0.0, lr: 0.01 };
        let mut balance = Balance::new(BalanceConfig::GradientNorm(config));
        for _ in 0..2000 {
            balance.see_norms(&[("a", 1.0, 3.0), ("b", 1.0, 1.0)]);
        }
        let (a, b) = (balance.factor("a"), balance.factor("b"));
        assert!((3.0 * a - b).abs() < 0.1, "weights {a} and {b} of norms 3 and 1");
        assert!((a + b - 2.0).abs() < 1e-5);
    }

    #[test]
    fn an_objective_that_lags_behind_is_favoured() {
        let config = GradientNormConfig { every: 5, alpha: 1.5, lr: 0.01 };
        let mut balance = Balance::new(BalanceConfig::GradientNorm(config));
        assert!(balance.wants_gradients(10) && !balance.wants_gradients(11));
        balance.see_norms(&[("fast", 1.0, 1.0), ("slow", 1.0, 1.0)]);
        for _ in 0..20 {
            balance.see_norms(&[("fast", 0.1, 1.0), ("slow", 0.9, 1.0)]);
        }
        assert!(balance.factor("slow") > 1.1, "{}", balance.factor("slow"));
    }

    #[test]
    fn odd_losses_leave_finite_weights() {
        let norm = BalanceConfig::GradientNorm(GradientNormConfig { every: 1, alpha: 1.5, lr: 0.1 });
        let uncertainty = BalanceConfig::Uncertainty(UncertaintyConfig { lr: 1.0 });
        for config in [norm, uncertainty] {
            let mut balance = Balance::new(config);
            for odd in [0.0, -1.0, 1e30] {
                balance.see_norms(&[("a", odd, odd.abs()), ("b", 1.0, 0.0)]);
                balance.see_losses(&[("a", odd), ("b", 1.0)]);
            }
            assert!(balance.factors().values().all(|factor| factor.is_finite() && *factor > 0.0));
        }
    }

    #[test]
    fn what_is_saved_comes_back() {
        let mut balance = Balance::new(BalanceConfig::Uncertainty(UncertaintyConfig { lr: 0.3 }));
        balance.see_losses(&[("a", 4.0), ("b", 0.25)]);
        let mut other = Balance::new(balance.config);
        other.load(balance.save().map(|(name, values)| (name.clone(), values)));
        assert_eq!(balance.factors(), other.factors());
    }
}
