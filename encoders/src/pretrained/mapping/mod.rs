//! The names, shapes and orders of published tensors against our modules' parameters: one declaration, read in both
//! directions.

mod export;
mod import;
mod layout;
mod mismatch;
mod module;
mod part;
mod rule;
#[cfg(test)]
mod tests;

pub use import::{Completeness, Imported};
pub use layout::Layout;
pub use mismatch::{Mismatch, MismatchKind, MismatchRow};
pub use part::Part;
pub use rule::Mapping;

use super::CheckpointError;

/// Every parameter's values by its path, for tests.
#[cfg(test)]
pub(super) fn named_values<M: burn::module::Module>(
    model: &M,
) -> std::collections::BTreeMap<String, burn::tensor::TensorData> {
    let parameters = module::parameters(model).into_iter();
    parameters.map(|(path, (_, values))| (path, values.into_data())).collect()
}

/// Why an import or export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The files.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tensors.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A declared parameter that the module does not have, or one that is declared twice.
    #[error(
        "mapping of {path}: expected one declaration of a parameter of the module, got two or no such parameter"
    )]
    Rule {
        /// Its path.
        path: String,
    },
    /// A parameter of the module that is not declared.
    #[error("parameter {path}: expected a declaration of its published tensors, got none")]
    NoRule {
        /// Its path.
        path: String,
    },
    /// A parameter whose last axis does not divide.
    #[error("parameter {path}: expected a last axis of {n} equal shares, got {shape:?}")]
    Shares {
        /// Its path.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The parts.
        n: usize,
    },
    /// A parameter that cannot be laid out as declared.
    #[error("parameter {path}: expected a shape that can be laid out as declared, got {shape:?}")]
    Layout {
        /// Its path.
        path: String,
        /// The shape of the share that the published tensor makes up.
        shape: Vec<usize>,
    },
    /// A published tensor of which the declared shares are not the whole.
    #[error("published tensor {published}: expected declarations of all of its shares, got some")]
    Incomplete {
        /// Its name.
        published: String,
    },
    /// A parameter for which the published model has no place.
    #[error("parameter {path}: expected zeros, as the published model has no such parameter, got {value}")]
    NotZero {
        /// Its path.
        path: String,
        /// The first value that is not zero.
        value: f32,
    },
}

impl MappingError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Checkpoint(error) => error.hint(),
            Self::Mismatch(mismatch) => mismatch.hint(),
            _ => None,
        }
    }
}
