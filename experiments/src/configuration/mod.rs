//! Experiments as TOML files: layers, overrides, and a record of where every value came from.
//!
//! An experiment is one TOML file, on disk or built into the program. It may `extends` another, and
//! `--set a.b=value` overrides any key. Tables merge key by key, arrays are replaced as a whole, and of an enum
//! written as a table (`[optimizer.adamw]`) the variant of the last layer stands alone. What published weights bring that
//! `start` names is a layer too.
//!
//! ```text
//! layers (text with spans) -> tree (values with places) -> T, strictly -> complete TOML + where from
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

mod builtin;
mod classify;
mod error;
mod experiment;
mod label;
mod layer;
mod mixture;
mod provenance;
mod published;
mod requirements;
mod schedule;
mod start;
mod strict;
mod tree;

pub use builtin::{BuiltIn, built_in_configs};
pub use classify::ClassifyConfig;
pub use error::{ConfigError, Problem};
pub use experiment::{
    CorpusConfig, DataConfig, EvaluateConfig, ExperimentConfig, Holdout, TrainConfig, experiment,
};
pub use label::Label;
pub use mixture::WeightedFolder;
pub use provenance::{Origin, Resolved, Setting, describe_differences};
pub use schedule::ObjectiveSchedule;
pub use start::StartConfig;

/// Reads an experiment with all its layers and checks it against `T`.
///
/// `experiment` is a path (it holds a separator or ends in `.toml`) or the name of a built-in config.
///
/// # Errors
/// A file that cannot be read, TOML that does not parse, files that extend each other in a circle, and
/// everything that `T` does not accept: an unknown key, a wrong type, a missing key, an impossible value.
pub fn resolve<T>(experiment: &str, overrides: &[String]) -> Result<Resolved<T>, ConfigError>
where
    T: DeserializeOwned + Serialize,
{
    let layers = layer::load(experiment, overrides)?;
    let (layers, brought, tree) = layers.merge();
    published::check_held(&brought, &tree, &layers)?;
    let value = strict::deserialise(&tree, &layers)?;
    Resolved::new(value, layers, tree)
}
