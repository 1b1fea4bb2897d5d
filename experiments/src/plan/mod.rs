//! What a training takes before anyone starts it: operations, time, memory.

mod frozen;
mod hardware;
mod language;
mod memory;
mod steps;

pub(crate) use frozen::{Frozen, ParameterRow, parameters};
pub(crate) use hardware::HARDWARE;
pub(crate) use language::LanguageModel;
pub(crate) use memory::{Memory, Precision};
pub(crate) use steps::{StepCost, largest_sample};

/// A day at 10^15 operations a second.
pub(crate) const PFLOP_DAY: f64 = 1e15 * 86_400.0;

/// Operations of a training by the rule of six: two for each parameter and token forward, four backward.
///
/// # Reference
/// Kaplan et al. 2020, section 2.1.
pub(crate) fn training_flops(parameters: f64, tokens: f64) -> f64 {
    6.0 * parameters * tokens
}
