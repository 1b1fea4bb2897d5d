//! A trained run opened for reading: nothing is locked or written, so that it may lie on a read-only disk or be
//! training still.

use std::io;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use triptych_datasets::loader::LoaderError;
use triptych_datasets::text::Tokenizer;
use triptych_encoders::Modality;
use triptych_tasks::model::Model;

use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::data::{Data, blank_model, saved_tokenizer};
use super::error::TrainError;
use super::folder::saved_config;
use super::training::averaged_model;
use crate::configuration::{ExperimentConfig, Resolved, experiment};
use crate::device::DeviceChoice;
use crate::diagnostic::UsageError;
use crate::evaluate::Inference;

/// The config that the run in `folder` was started with.
///
/// # Errors
/// When there is no run, or its config is wrong.
pub(crate) fn run_config(folder: &Path) -> miette::Result<Resolved<ExperimentConfig>> {
    saved_config(folder)?;
    Ok(experiment(&folder.join("config.toml").to_string_lossy(), &[])?)
}

/// The model of a run's newest checkpoint, with what is needed to use it.
pub(crate) struct TrainedRun {
    pub(crate) config: ExperimentConfig,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) model: Model,
    pub(crate) device: Device,
    /// Steps that it was trained for.
    pub(crate) step: u64,
    folder: PathBuf,
}

impl TrainedRun {
    /// Reads the averaged weights of the newest checkpoint.
    ///
    /// # Errors
    /// When the folder holds no run, or one without a checkpoint, or something in it is damaged.
    pub(crate) fn open(folder: &Path, device: DeviceChoice) -> miette::Result<Self> {
        let config = run_config(folder)?.value;
        let loader = config.training_loader();
        loader.check().map_err(|problem| TrainError::from(LoaderError::Config { problem }))?;
        let device = device.open()?;
        let found = newest(&folder.join(checkpoint::FOLDER)).map_err(TrainError::from)?;
        let found = found.ok_or_else(|| TrainError::Untrained { path: folder.to_owned() })?;
        let tokenizer = saved_tokenizer(folder)?;
        let step = found.step;
        let model = averaged_model(blank_model(&config, &tokenizer, &device)?, found, &device)?;
        Ok(Self { config, tokenizer, model, device, step, folder: folder.to_owned() })
    }

    /// Checks that the model has an encoder for `modality`.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn require(&self, modality: Modality) -> Result<(), UsageError> {
        if self.model.knows(modality) {
            return Ok(());
        }
        let (things, table) = match modality {
            Modality::Text => ("texts", "text"),
            Modality::Image => ("pictures", "vision"),
            Modality::Audio => ("sounds", "audio"),
        };
        Err(UsageError {
            message: format!("the model of {} was trained without {things}", self.folder.display()),
            hint: Some(format!("train one whose config has a table `model.{table}`")),
        })
    }

    /// The corpus that the run learned from.
    ///
    /// # Errors
    /// When it is absent or damaged.
    pub(crate) fn data(&self) -> Result<Data, TrainError> {
        Data::open_prepared(&self.config, &self.folder)
    }

    /// The model, ready to be used.
    pub(crate) fn inference(&self) -> Inference<'_> {
        Inference::new(
            &self.model,
            &self.tokenizer,
            self.config.evaluate.n_beams,
            self.config.data.max_text_tokens,
            &self.device,
        )
    }
}

/// The newest checkpoint, also while a process that trains makes newer ones and removes old ones.
fn newest(folder: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    match checkpoint::latest(folder) {
        Err(CheckpointError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            checkpoint::latest(folder)
        }
        result => result,
    }
}
