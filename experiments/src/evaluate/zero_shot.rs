//! Hold-outs told apart by the names of classes.

use std::collections::{BTreeMap, BTreeSet};

use miette::Diagnostic;
use triptych_datasets::shard::Corpus;
use triptych_encoders::Modality;
use triptych_tasks::heads::zero_shot::{Template, ZeroShot, prompts};
use triptych_tasks::metrics::{Bootstrap, Resampling};

use super::inference::{Inference, Perceived};
use super::predictions::ClassificationPrediction;
use super::recognition::Recognition;
use super::{Perceptions, ScoreRow, members};
use crate::configuration::{ClassifyConfig, ExperimentConfig};
use crate::run::TrainError;

/// Why a hold-out cannot be classified.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ClassifyError {
    /// A sample without a class.
    #[error("hold-out `{holdout}`: sample {id:?} has no {label} to be classified by")]
    #[diagnostic(help("select samples that have it by the tags of the hold-out"))]
    Unlabelled {
        /// The hold-out.
        holdout: String,
        /// The sample.
        id: String,
        /// What its class would be.
        label: String,
    },
    /// A sample of a class that there is not.
    #[error("hold-out `{holdout}`: sample {id:?} is {class:?}, which is not among the {n_classes} classes")]
    #[diagnostic(help(
        "name it in `evaluate.classify.classes`, or leave them out to take all of the corpus"
    ))]
    OtherClass {
        /// The hold-out.
        holdout: String,
        /// The sample.
        id: String,
        /// Its class.
        class: String,
        /// How many classes there are.
        n_classes: usize,
    },
    /// A figure that is undefined.
    #[error("hold-out `{holdout}`: {problem}")]
    Figure {
        /// The hold-out.
        holdout: String,
        /// Why.
        problem: triptych_tasks::metrics::MetricError,
    },
}

/// Classes as a model understands their names.
pub(crate) struct Classes {
    pub(crate) names: Vec<String>,
    prompts: Vec<Vec<f32>>,
    n_templates: usize,
    d_space: usize,
}

impl Classes {
    /// `words` is what a class is called in the prompts, where that is not its own name.
    pub(crate) fn new(
        inference: &Inference<'_>,
        config: &ExperimentConfig,
        names: Vec<String>,
        words: &BTreeMap<String, String>,
        templates: &[Template],
    ) -> Self {
        let called = names.iter().map(|name| words.get(name).unwrap_or(name)).collect::<Vec<_>>();
        let texts = prompts(templates, &called);
        warn_of_cut_prompts(inference, &texts);
        let texts = texts.iter().map(String::as_str).collect::<Vec<_>>();
        Self {
            prompts: inference.embed_texts(&texts, config.evaluate.batch_size),
            names,
            n_templates: templates.len(),
            d_space: config.model.d_embedding,
        }
    }

    /// The head that classifies pictures or sounds.
    pub(crate) fn head(&self, inference: &Inference<'_>, modality: Modality) -> ZeroShot {
        ZeroShot::new(&self.prompts, self.n_templates, self.d_space, inference.text_scale(modality))
    }
}

/// A class's name that lies beyond the last token is not read.
fn warn_of_cut_prompts(inference: &Inference<'_>, texts: &[String]) {
    let too_long = texts.iter().filter(|text| {
        let (n_tokens, n_read) = inference.text_length(text);
        n_tokens > n_read
    });
    let too_long = too_long.collect::<Vec<_>>();
    if let Some(text) = too_long.iter().max_by_key(|text| text.len()) {
        let (n_tokens, n_read) = inference.text_length(text);
        eprintln!(
            "warning: {} of {} prompts are cut to the {n_read} tokens that the model reads, the longest of {n_tokens}: {text:?}",
            too_long.len(),
            texts.len()
        );
    }
}

/// Classifies what `evaluate.classify` names.
///
/// # Errors
/// A sample without a class or of another than there are, and similarities that are NaN.
pub(crate) fn classify(
    inference: &Inference<'_>,
    corpus: &Corpus,
    perceptions: &Perceptions,
    config: &ExperimentConfig,
) -> Result<(Vec<ScoreRow>, Vec<ClassificationPrediction>), TrainError> {
    let (mut rows, mut predictions) = (Vec::new(), Vec::new());
    let bootstrap = Bootstrap { n_resamples: config.evaluate.resamples, seed: 0 };
    let resampling = Resampling { bootstrap, clusters: None };
    for task in &config.evaluate.classify {
        let classes =
            Classes::new(inference, config, class_names(corpus, task), &task.words, &task.templates);
        let holdouts = config.evaluate.holdouts.iter().filter(|holdout| holdout.name == task.holdout);
        for holdout in holdouts {
            let (images, sounds) = members(corpus, holdout);
            let sides = [
                (Modality::Image, "image", images, &perceptions.images),
                (Modality::Audio, "speech", sounds, &perceptions.sounds),
            ];
            for (modality, query, members, perceived) in sides {
                if members.is_empty() {
                    continue;
                }
                let head = classes.head(inference, modality);
                let recognition = recognise(corpus, task, &classes, &head, &members, perceived)?;
                let direction = (Some(query), Some(task.label.name()));
                let n_classes = classes.names.len() as f64;
                let figure = |problem| ClassifyError::Figure { holdout: task.holdout.clone(), problem };
                for score in recognition.figures.scores(&resampling).map_err(figure)? {
                    let chance = match score.name.as_str() {
                        "accuracy" | "mean per-class accuracy" => Some(100.0 / n_classes),
                        "top-5 accuracy" => Some(500.0 / n_classes),
                        _ => None,
                    };
                    rows.push(ScoreRow::new("zero-shot", &task.holdout, direction, score, chance));
                }
                predictions.push(ClassificationPrediction {
                    holdout: task.holdout.clone(),
                    query: query.to_owned(),
                    label: task.label.to_string(),
                    templates: task.templates.iter().map(ToString::to_string).collect(),
                    classes: recognition.outcomes(&classes.names),
                    samples: recognition.samples,
                });
            }
        }
    }
    Ok((rows, predictions))
}

/// Those named, else all that occur in the corpus, by name.
fn class_names(corpus: &Corpus, task: &ClassifyConfig) -> Vec<String> {
    if !task.classes.is_empty() {
        return task.classes.clone();
    }
    let names: BTreeSet<&str> = corpus.entries().iter().filter_map(|entry| task.label.of(entry)).collect();
    names.into_iter().map(ToOwned::to_owned).collect()
}

/// Tells the members of a hold-out apart.
fn recognise(
    corpus: &Corpus,
    task: &ClassifyConfig,
    classes: &Classes,
    head: &ZeroShot,
    members: &[usize],
    perceived: &BTreeMap<usize, Perceived>,
) -> Result<Recognition, ClassifyError> {
    let places = classes.names.iter().enumerate().map(|(idx, name)| (name.as_str(), idx));
    let places = places.collect::<BTreeMap<_, _>>();
    let holdout = || task.holdout.clone();
    let (mut ids, mut labels, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for &idx in members {
        let entry = &corpus.entries()[idx];
        let class = task.label.of(entry).ok_or_else(|| ClassifyError::Unlabelled {
            holdout: holdout(),
            id: entry.id.clone(),
            label: task.label.to_string(),
        })?;
        ids.push(entry.id.as_str());
        labels.push(*places.get(class).ok_or_else(|| ClassifyError::OtherClass {
            holdout: holdout(),
            id: entry.id.clone(),
            class: class.to_owned(),
            n_classes: classes.names.len(),
        })?);
        scores.extend(head.logits(&perceived[&idx].embedding));
    }
    Recognition::new(&ids, &labels, &classes.names, &scores)
        .map_err(|problem| ClassifyError::Figure { holdout: holdout(), problem })
}
