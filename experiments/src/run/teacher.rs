//! A trained run that another one learns from.

use burn::prelude::*;
use triptych_datasets::text::Tokenizer;
use triptych_encoders::Modality;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{Objective, Requirement};

use super::data::{blank_model, saved_tokenizer};
use super::error::TrainError;
use super::start::run_checkpoint;
use super::trained::run_config;
use super::training::averaged_model;
use crate::configuration::ExperimentConfig;

/// Opens the teacher that the config names, if it does: the averaged weights of a run's newest checkpoint, or of the
/// checkpoint that is named.
///
/// # Errors
/// When there is no such run, or it cannot teach what `config` learns from it.
pub(crate) fn open(
    config: &ExperimentConfig,
    tokenizer: &Tokenizer,
    device: &Device,
) -> miette::Result<Option<Model>> {
    let Some(place) = &config.train.teacher else { return Ok(None) };
    let (folder, found) = run_checkpoint(place)?;
    let theirs = run_config(&folder)?.value;
    let their_tokenizer = saved_tokenizer(&folder)?;
    let model = averaged_model(blank_model(&theirs, &their_tokenizer, device)?, found, device)?;
    let taught = config.objectives.iter().filter_map(|(name, schedule)| schedule.objective(name));
    for objective in taught.filter(|objective| is_taught(&**objective)) {
        let fits = check(&*objective, (config, tokenizer), (&theirs, &their_tokenizer, &model));
        fits.map_err(|problem| TrainError::Teacher {
            path: folder.clone(),
            objective: objective.name(),
            problem,
        })?;
    }
    Ok(Some(model))
}

fn is_taught(objective: &dyn Objective) -> bool {
    let of_teacher = [Requirement::Teacher, Requirement::TeacherTokens];
    objective.requires().iter().any(|requirement| of_teacher.contains(requirement))
}

/// Whether both models read the same batch alike.
fn check(
    objective: &dyn Objective,
    (config, tokenizer): (&ExperimentConfig, &Tokenizer),
    (theirs, their_tokenizer, teacher): (&ExperimentConfig, &Tokenizer, &Model),
) -> Result<(), String> {
    for &modality in objective.needs() {
        if !teacher.knows(modality) {
            return Err(format!("it has no encoder for {}", modality.name()));
        }
        let (ours, other) = (&config.data, &theirs.data);
        match modality {
            Modality::Text if tokenizer.hash() != their_tokenizer.hash() => {
                return Err("its tokenizer is another one".to_owned());
            }
            Modality::Image if ours.image.side != other.image.side => {
                return Err(format!(
                    "its pictures have a side of {} pixels, those here {}",
                    other.image.side, ours.image.side
                ));
            }
            Modality::Audio
                if (ours.audio.n_mels, ours.audio.features) != (other.audio.n_mels, other.audio.features) =>
            {
                return Err(format!(
                    "its sounds are {:?} of {} bands, those here {:?} of {}",
                    other.audio.features, other.audio.n_mels, ours.audio.features, ours.audio.n_mels
                ));
            }
            _ => {}
        }
    }
    let width = teacher.retrieval.width();
    match config.model.heads.d_teacher {
        Some(d_teacher)
            if objective.requires().contains(&Requirement::DistilledHead) && d_teacher != width =>
        {
            Err(format!("its embeddings have {width} values, `model.heads.d_teacher` is {d_teacher}"))
        }
        _ => Ok(()),
    }
}
