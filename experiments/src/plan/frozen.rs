//! Which of a model's parameters an experiment leaves as they start.

use burn::prelude::*;
use triptych_tasks::model::DataShape;

use crate::configuration::ExperimentConfig;
use crate::run::TrainError;
use crate::run::parameters::named;
use crate::run::pattern::Pace;

/// A parameter of an experiment's model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct ParameterRow {
    /// As patterns of names find it.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) is_frozen: bool,
}

impl ParameterRow {
    pub(crate) fn n_values(&self) -> u64 {
        self.shape.iter().map(|&length| length as u64).product()
    }

    /// The name without the kinds of encoders, which are written large: as modules are named.
    fn module_name(&self) -> String {
        let is_kind = |part: &&str| part.starts_with(|first: char| first.is_ascii_uppercase());
        self.name.split('.').filter(|part| !is_kind(part)).collect::<Vec<_>>().join(".")
    }
}

/// Every parameter of the experiment's model.
///
/// # Errors
/// Sizes that do not fit together, and patterns that are of no parameter.
pub(crate) fn parameters(
    config: &ExperimentConfig,
    shape: DataShape,
) -> Result<Vec<ParameterRow>, TrainError> {
    let model = config.model.blank(shape, &Device::flex())?;
    let pace = Pace::new(&config.train.freeze, &config.train.lr_ratios);
    let found = named(&model);
    pace.check(found.keys().map(String::as_str))?;
    let row = |(name, (shape, _)): (String, (Vec<usize>, _))| {
        let is_frozen = pace.is_frozen(&name);
        ParameterRow { name, shape, is_frozen }
    };
    Ok(found.into_iter().map(row).collect())
}

/// What is frozen of each module, by its path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frozen {
    /// Module path of each parameter, its values, and whether it is frozen.
    parameters: Vec<(String, u64, bool)>,
}

impl Frozen {
    pub(crate) fn new(rows: &[ParameterRow]) -> Self {
        let rows = rows.iter().map(|row| (row.module_name(), row.n_values(), row.is_frozen));
        Self { parameters: rows.collect() }
    }

    /// Values of the module at `path` that are frozen, and all of its values; none where no parameter is named so.
    pub(crate) fn of(&self, path: &str) -> Option<(u64, u64)> {
        let within = |name: &str| {
            path.is_empty()
                || name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let (mut frozen, mut all) = (0, 0);
        for (_, n, is_frozen) in self.parameters.iter().filter(|(name, _, _)| within(name)) {
            all += n;
            frozen += if *is_frozen { *n } else { 0 };
        }
        (all > 0).then_some((frozen, all))
    }

    /// Whether all of the module at `path` is frozen.
    pub(crate) fn is_whole(&self, path: &str) -> bool {
        self.of(path).is_some_and(|(frozen, all)| frozen == all)
    }
}
