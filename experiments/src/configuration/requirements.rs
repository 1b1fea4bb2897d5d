//! What objectives cannot do without, beside modalities.

use triptych_tasks::objectives::Requirement;

use super::experiment::ExperimentConfig;
use super::{ConfigError, Resolved};
use crate::run::balance::BalanceConfig;

/// Checks that the config has what its objectives require, and that the settings around them make sense.
pub(super) fn check_requirements(resolved: &Resolved<ExperimentConfig>) -> Result<(), ConfigError> {
    let (train, heads) = (&resolved.value.train, &resolved.value.model.heads);
    for (name, schedule) in &resolved.value.objectives {
        let Some(objective) = schedule.objective(name) else { continue };
        for requirement in objective.requires() {
            let (is_there, remedy) = match requirement {
                Requirement::SigmoidHead => (heads.sigmoid, "`model.heads.sigmoid = true`"),
                Requirement::MatchingHead => (heads.matching, "`model.heads.matching = true`"),
                Requirement::DistilledHead => (
                    heads.d_teacher.is_some(),
                    "`model.heads.d_teacher`, the width of the teacher's embeddings",
                ),
                Requirement::Teacher | Requirement::TeacherTokens => {
                    (train.teacher.is_some(), "`train.teacher`, the folder of a trained run")
                }
                Requirement::Momentum => (true, ""),
            };
            if !is_there {
                let expected = format!("left out, or the config given {remedy}");
                return Err(resolved.reject(&format!("objectives.{name}"), expected));
            }
        }
    }
    if resolved.value.evaluate.rerank > 0 && !heads.matching {
        return Err(
            resolved.reject("evaluate.rerank", "0, or the config given `model.heads.matching = true`")
        );
    }
    if !(0.0..1.0).contains(&train.momentum_decay) {
        return Err(resolved.reject("train.momentum_decay", "at least 0 and below 1"));
    }
    let is_rate = |lr: f64| lr.is_finite() && lr > 0.0;
    match train.balance {
        Some(BalanceConfig::Uncertainty(config)) if !is_rate(config.lr) => {
            Err(resolved.reject("train.balance.uncertainty.lr", "a finite number above 0"))
        }
        Some(BalanceConfig::GradientNorm(config)) if !is_rate(config.lr) => {
            Err(resolved.reject("train.balance.gradient_norm.lr", "a finite number above 0"))
        }
        Some(BalanceConfig::GradientNorm(config)) if config.every == 0 => {
            Err(resolved.reject("train.balance.gradient_norm.every", "at least 1"))
        }
        Some(BalanceConfig::GradientNorm(config)) if !(0.0..=10.0).contains(&config.alpha) => {
            Err(resolved.reject("train.balance.gradient_norm.alpha", "0 to 10"))
        }
        _ => Ok(()),
    }
}
