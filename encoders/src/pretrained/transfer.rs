//! Published models in and out, whatever their family.

use std::path::Path;

use burn::prelude::*;

use super::checkpoint::Checkpoint;
use super::companions;
use super::config::PublishedConfig;
use super::error::CheckpointError;
use super::families::Family;
use super::folder::PublishedFolder;
use super::imported::{ImportedFolder, ModelDescription};
use super::mapping::{Completeness, Imported, Mapping, MappingError};
use super::sentence::SentenceSettings;
use crate::ConfigError;
use crate::layers::initializer::Initializer;

#[cfg(test)]
mod tests;

/// Why a published model cannot be taken in, loaded or given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainedError {
    /// Its files.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its tensors.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// Its sizes.
    #[error("{}: {source}", path.display())]
    Config {
        /// The folder.
        path: std::path::PathBuf,
        /// What does not fit together.
        source: ConfigError,
    },
}

impl PretrainedError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Checkpoint(error) => error.hint(),
            Self::Mapping(error) => error.hint(),
            Self::Config { .. } => None,
        }
    }
}

/// How to take a model in.
#[derive(Clone, Debug)]
pub struct Import {
    /// How much of it has to be there.
    pub completeness: Completeness,
    /// Of the weights that a partial import leaves at random.
    pub seed: u64,
}

/// Takes the published model in `source` into the new folder `out`.
///
/// # Errors
/// When the config asks for what is not implemented, something does not fit, or a file cannot be read or written; there
/// is then no folder `out`.
pub fn import<F: Family>(
    source: &PublishedFolder,
    out: &Path,
    options: &Import,
) -> Result<(ImportedFolder, Imported), PretrainedError> {
    let device = Device::flex();
    // a whole import replaces every value, so that none has to be drawn
    let mut init = match options.completeness {
        Completeness::Whole => Initializer::zeros(&device),
        Completeness::Partial => Initializer::new(options.seed, &device),
    };
    let (published, config, model, imported) = read::<F>(source, options.completeness, &mut init)?;
    let description = ModelDescription {
        family: F::NAME,
        model: serde_json::to_value(&config).map_err(|e| CheckpointError::io("write", out, e.into()))?,
        config: published,
        n_vocab: F::n_vocab(&config),
    };
    let folder = ImportedFolder::create(out, source, description, |path| -> Result<(), PretrainedError> {
        Ok(Mapping::own(&model).export(&model, path)?)
    })?;
    Ok((folder, imported))
}

/// A published model on a device, straight from its files.
///
/// # Errors
/// When the config asks for what is not implemented, something does not fit, the tokenizer beside the weights has more
/// tokens than they, or a file cannot be read.
pub(super) fn load_published<F: Family>(
    source: &PublishedFolder,
    device: &Device,
) -> Result<(F::Config, F::Model), PretrainedError> {
    let mut init = Initializer::zeros(device);
    let (_, config, model, _) = read::<F>(source, Completeness::Whole, &mut init)?;
    if let Some(n_vocab) = F::n_vocab(&config) {
        companions::check_tokenizer(source, n_vocab)?;
    }
    Ok((config, model))
}

/// What a published folder holds, checked against itself.
fn read<F: Family>(
    source: &PublishedFolder,
    completeness: Completeness,
    init: &mut Initializer,
) -> Result<(PublishedConfig, F::Config, F::Model, Imported), PretrainedError> {
    let weights = Checkpoint::open(source)?;
    let published = PublishedConfig::open(source)?;
    let config = F::config(&published, &weights)?;
    if let Some(settings) = source.json("preprocessor_config.json")? {
        let path = source.path().join("preprocessor_config.json");
        F::check_preprocessing(&config, &PublishedConfig::new(&path, settings)?)?;
    }
    // of sentence models, whose steps behind the encoder are read when they are used
    SentenceSettings::read(source)?;
    let fresh = init_model::<F>(source.path(), &config, init)?;
    let (model, imported) = F::mapping(&config).import(fresh, &weights, completeness)?;
    Ok((published, config, model, imported))
}

/// The sizes of an imported model.
///
/// # Errors
/// When it is of another family.
pub(super) fn imported_config<F: Family>(folder: &ImportedFolder) -> Result<F::Config, PretrainedError> {
    if folder.family() != F::NAME {
        let expected = format!("a model of the family {}", F::NAME);
        return Err(CheckpointError::content(folder.path(), "itself", expected, folder.family()).into());
    }
    Ok(serde_json::from_value(folder.model().clone()).map_err(|error| {
        let expected = format!("a config of the family {}", F::NAME);
        CheckpointError::content(folder.path(), "key `model`", expected, error.to_string())
    })?)
}

/// An imported model on a device.
///
/// # Errors
/// When it is of another family, or its weights are damaged.
pub fn load<F: Family>(
    folder: &ImportedFolder,
    device: &Device,
) -> Result<(F::Config, F::Model), PretrainedError> {
    let config = imported_config::<F>(folder)?;
    let fresh = init_model::<F>(folder.path(), &config, &mut Initializer::zeros(device))?;
    let own = Mapping::own(&fresh);
    let (model, _) = own.import(fresh, &folder.weights()?, Completeness::Whole)?;
    Ok((config, model))
}

/// Writes an imported model into the new folder `out` in the layout it was published in.
///
/// # Errors
/// When the model cannot be loaded, or a file cannot be written; there is then no folder `out`.
pub fn export<F: Family>(folder: &ImportedFolder, out: &Path) -> Result<(), PretrainedError> {
    let (config, model) = load::<F>(folder, &Device::flex())?;
    folder.publish(out, |path| Ok(F::mapping(&config).export(&model, path)?))
}

fn init_model<F: Family>(
    path: &Path,
    config: &F::Config,
    init: &mut Initializer,
) -> Result<F::Model, PretrainedError> {
    F::init(config, init).map_err(|source| PretrainedError::Config { path: path.to_owned(), source })
}
