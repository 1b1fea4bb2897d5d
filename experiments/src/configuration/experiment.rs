//! What an experiment's TOML file says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use triptych_datasets::audio::{AudioTransform, Features};
use triptych_datasets::corpora::emoji::EmojiOptions;
use triptych_datasets::image::ImageTransform;
use triptych_datasets::loader::{Fill, LengthOf, LoaderConfig, OnBad, Selection, TextChoice, TextOptions};
use triptych_datasets::mixup::MAX_ALPHA;
use triptych_datasets::sample::Split;
use triptych_datasets::text::TokenizerKind;
use triptych_encoders::Modality;
use triptych_tasks::heads::pair::Pair;
use triptych_tasks::model::{DataShape, ModelConfig};
use triptych_tasks::objectives::{self, OBJECTIVES};

use super::classify::{ClassifyConfig, check_classify};
use super::mixture::{WeightedFolder, check_mixture};
use super::requirements::check_requirements;
use super::schedule::ObjectiveSchedule;
use super::start::StartConfig;
use super::{ConfigError, Resolved, resolve};
use crate::run::balance::BalanceConfig;
use crate::run::optimizer::OptimizerConfig;

/// An experiment: data, model, objectives, training, evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Shown in the report.
    pub title: String,
    /// Decides everything that is drawn at random.
    pub seed: u64,
    /// Where samples come from and what is made of them.
    pub data: DataConfig,
    /// The weights that training starts from; random ones where nothing is named.
    #[serde(default, skip_serializing_if = "StartConfig::is_nothing")]
    pub start: StartConfig,
    /// Encoders, backbone, heads.
    pub model: ModelConfig,
    /// Weight and schedule of every objective in use, by name.
    pub objectives: BTreeMap<String, ObjectiveSchedule>,
    /// The step loop.
    pub train: TrainConfig,
    /// What is measured afterwards, and on what.
    pub evaluate: EvaluateConfig,
}

/// Where samples come from and what is made of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The corpus.
    pub corpus: CorpusConfig,
    /// What a token is.
    #[serde(default)]
    pub tokenizer: TokenizerKind,
    /// Largest number of token ids, special ones included; the tokenizer is trained on the training texts. A published one has
    /// its own number.
    pub n_vocab: usize,
    /// Longest text in tokens; longer ones are cut.
    pub max_text_tokens: usize,
    /// Which of a sample's texts it is trained on.
    #[serde(default, skip_serializing_if = "TextChoice::is_first")]
    pub texts: TextChoice,
    /// Rows of a training batch; the most that it may have where `fill` sets another limit.
    pub batch_size: usize,
    /// When a training batch is full: `"rows"`, or so many seconds of sound or tokens of text, padding included.
    #[serde(default, skip_serializing_if = "Fill::is_rows")]
    pub fill: Fill,
    /// Puts rows of like length into a training batch; implied where `fill` counts lengths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<LengthOf>,
    /// Sounds that stand for each of its rows. Sounds are cheap beside pictures, and voices are many.
    #[serde(default = "one_sound")]
    pub sounds_per_row: usize,
    /// Threads that load batches; they decide nothing but speed.
    pub workers: usize,
    /// What a picture becomes.
    #[serde(default = "small_pictures")]
    pub image: ImageTransform,
    /// Blends each picture of a batch with another one, by shares drawn from Beta(alpha, alpha): this alpha. The contrastive
    /// objectives then aim at both of its counterparts; others that need pictures have no target for such a blend.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub image_mixup: f64,
    /// What a sound becomes.
    #[serde(default)]
    pub audio: AudioTransform,
    /// What happens to a sample that cannot be read.
    pub on_bad: OnBad,
}

fn one_sound() -> usize {
    1
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn small_pictures() -> ImageTransform {
    ImageTransform::new(64)
}

impl ExperimentConfig {
    /// What the data decides about the model's shape, with a tokenizer of `n_vocab` token ids.
    pub(crate) fn data_shape(&self, n_vocab: usize) -> DataShape {
        DataShape { n_vocab, image_side: self.data.image.side, n_mels: self.data.audio.n_mels }
    }

    /// The pairs of modalities that the model learns to judge.
    pub(crate) fn judged(&self) -> Vec<Pair> {
        let is_learned = |pair: &Pair| self.objectives.contains_key(&format!("matching_{}", pair.name()));
        Pair::ALL.into_iter().filter(is_learned).collect()
    }

    /// What the model learns to answer questions about.
    pub(crate) fn answered(&self) -> Vec<Modality> {
        let used = self.objectives.iter().filter(|(_, schedule)| schedule.weight > 0.0);
        used.filter_map(|(name, _)| objectives::find(name)?.asks()).collect()
    }

    /// What the loader of training batches is told: the modalities that the model has an encoder for.
    pub fn training_loader(&self) -> LoaderConfig {
        let Self { data, model, .. } = self;
        LoaderConfig {
            select: vec![Selection::of_split(Split::Train)],
            streams: data.corpus.streams(),
            fill: data.fill,
            bucket: data.bucket,
            seed: self.seed,
            text: model
                .text
                .as_ref()
                .map(|_| TextOptions { max_tokens: data.max_text_tokens, choose: data.texts }),
            image: model.vision.as_ref().map(|_| data.image.clone()),
            image_mixup: data.image_mixup,
            audio: model.audio.as_ref().map(|_| data.audio.clone()),
            sounds_per_row: data.sounds_per_row,
            workers: data.workers,
            on_bad: data.on_bad,
            ..LoaderConfig::new(data.batch_size)
        }
    }
}

/// Which corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CorpusConfig {
    /// The bundled one.
    Emoji(EmojiOptions),
    /// A prepared folder with an `index.json`.
    Folder(PathBuf),
    /// Several of them, mixed by weight in training. Their samples, groups and the tag `corpus` carry their names.
    Folders(Vec<WeightedFolder>),
}

/// The step loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of steps.
    pub steps: u64,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// How many checkpoints are kept.
    pub keep_checkpoints: usize,
    /// Pieces that a batch is cut into, for batches whose graph does not fit the memory. Objectives that compare embeddings
    /// learn exactly as from the whole batch, others from the mean over the pieces.
    #[serde(default = "one_piece", skip_serializing_if = "is_one_piece")]
    pub micro_batches: usize,
    /// A trained run's folder, or one of its checkpoints: what objectives learn from that have a teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// Decay of the slow average that momentum contrast compares with. ALBEF: 0.995.
    #[serde(default = "momentum_decay", skip_serializing_if = "is_momentum_decay")]
    pub momentum_decay: f64,
    /// Parameters that stay as they start, by patterns of their names in which `*` is anything: `text.*`. `triptych model
    /// describe --parameters` lists the names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// What the learning rate is multiplied by for parameters of some names, by such patterns; all that fit count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lr_ratios: BTreeMap<String, f64>,
    /// How the objectives' weights follow the training; without it they stay as they are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<BalanceConfig>,
    /// Steps between two measurements of how the objectives' gradients point; 0 for none. Each costs a forward and backward
    /// pass for every objective.
    #[serde(default, skip_serializing_if = "is_never")]
    pub conflict_every: u64,
    /// AdamW and the learning rate's course.
    pub optimizer: OptimizerConfig,
}

fn one_piece() -> usize {
    1
}

fn is_one_piece(n: &usize) -> bool {
    *n == 1
}

/// Li et al. 2021, "Align before fuse", section 3.5.
const MOMENTUM_DECAY: f64 = 0.995;

fn momentum_decay() -> f64 {
    MOMENTUM_DECAY
}

fn is_momentum_decay(decay: &f64) -> bool {
    *decay == MOMENTUM_DECAY
}

fn is_none(n: &usize) -> bool {
    *n == 0
}

fn is_never(every: &u64) -> bool {
    *every == 0
}

/// What is measured after training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Rows of an evaluation batch; changes nothing but speed.
    pub batch_size: usize,
    /// Width of the beam search that writes captions and transcripts; 1 is greedy.
    pub n_beams: usize,
    /// Bootstrap resamples behind every interval.
    pub resamples: usize,
    /// Captions, transcripts and searches shown a hold-out.
    pub gallery: usize,
    /// Best results of every search that the matching head puts into its order, for figures of their own; 0 for none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rerank: usize,
    /// What training never saw.
    pub holdouts: Vec<Holdout>,
    /// Which hold-outs are classified by the names of classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classify: Vec<ClassifyConfig>,
}

/// A part of the corpus to measure on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Name in scores and reports.
    pub name: String,
    /// Which pictures, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Selection>,
    /// Which sounds, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sounds: Option<Selection>,
}

/// Reads and checks an experiment: a file or a built-in name, with overrides.
///
/// # Errors
/// What [`resolve`] finds, and values that make no sense together.
pub fn experiment(name: &str, overrides: &[String]) -> Result<Resolved<ExperimentConfig>, ConfigError> {
    let resolved = resolve::<ExperimentConfig>(name, overrides)?;
    check(&resolved)?;
    Ok(resolved)
}

fn check(resolved: &Resolved<ExperimentConfig>) -> Result<(), ConfigError> {
    let config = &resolved.value;
    for (name, schedule) in &config.objectives {
        let Some(objective) = objectives::find(name) else {
            let names = OBJECTIVES.iter().map(|objective| objective.name()).collect::<Vec<_>>().join(", ");
            return Err(resolved.reject(&format!("objectives.{name}"), format!("one of {names}")));
        };
        let known = objective.options();
        if let Some(option) = schedule.options.keys().find(|option| !known.contains_key(*option)) {
            let valid = ObjectiveSchedule::KEYS.into_iter().chain(known.keys().map(String::as_str));
            let path = format!("objectives.{name}");
            return Err(resolved.unknown_key(&path, option, &valid.collect::<Vec<_>>()));
        }
        objective.with(&schedule.options).map_err(|error| {
            resolved.reject(&format!("objectives.{name}.{}", error.option), error.expected)
        })?;
        if schedule.every == 0 {
            return Err(resolved.reject(&format!("objectives.{name}.every"), "at least 1"));
        }
        if !schedule.weight.is_finite() || schedule.weight < 0.0 {
            return Err(
                resolved.reject(&format!("objectives.{name}.weight"), "a finite number of at least 0")
            );
        }
    }
    let positive = [
        ("data.batch_size", config.data.batch_size as u64),
        ("data.workers", config.data.workers as u64),
        ("data.max_text_tokens", config.data.max_text_tokens as u64),
        ("train.steps", config.train.steps),
        ("train.micro_batches", config.train.micro_batches as u64),
        ("train.log_every", config.train.log_every),
        ("train.checkpoint_every", config.train.checkpoint_every),
        ("train.keep_checkpoints", config.train.keep_checkpoints as u64),
        ("evaluate.batch_size", config.evaluate.batch_size as u64),
        ("evaluate.n_beams", config.evaluate.n_beams as u64),
        ("evaluate.resamples", config.evaluate.resamples as u64),
    ];
    for (key, value) in positive {
        if value == 0 {
            return Err(resolved.reject(key, "at least 1"));
        }
    }
    let is_published = config.data.tokenizer == TokenizerKind::Published;
    if is_published != config.start.text.is_some() {
        let expected = match is_published {
            true => "another, or `start.text` given a published model that it comes with",
            false => "\"published\", as the weights of `start.text` know no other tokens",
        };
        return Err(resolved.reject("data.tokenizer", expected));
    }
    if let Some((pattern, _)) = config.train.lr_ratios.iter().find(|(_, ratio)| !(0.0..=1e3).contains(*ratio))
    {
        return Err(resolved.reject(&format!("train.lr_ratios.{pattern}"), "0 to 1000"));
    }
    check_mixture(resolved)?;
    check_mixup(resolved)?;
    check_requirements(resolved)?;
    check_classify(resolved)?;
    let optimizer = &config.train.optimizer;
    if !(optimizer.lr.is_finite() && optimizer.lr > 0.0) {
        return Err(resolved.reject("train.optimizer.lr", "a finite number above 0"));
    }
    if !(0.0..1.0).contains(&optimizer.ema_decay) {
        return Err(resolved.reject("train.optimizer.ema_decay", "at least 0 and below 1"));
    }
    if optimizer.betas.iter().any(|beta| !(0.0..1.0).contains(beta)) {
        return Err(resolved.reject("train.optimizer.betas", "two numbers of at least 0 and below 1"));
    }
    if optimizer.clip_norm.is_nan() || optimizer.clip_norm <= 0.0 {
        return Err(resolved.reject("train.optimizer.clip_norm", "above 0"));
    }
    if config.model.fusion.max_causal_tokens < config.data.max_text_tokens + 1 {
        let least = config.data.max_text_tokens + 1;
        return Err(resolved.reject(
            "model.fusion.max_causal_tokens",
            format!("at least {least}, data.max_text_tokens and a mark"),
        ));
    }
    let encoders = [
        (Modality::Text, config.model.text.is_some()),
        (Modality::Image, config.model.vision.is_some()),
        (Modality::Audio, config.model.audio.is_some()),
    ];
    let lacks = |modality: Modality| encoders.contains(&(modality, false));
    for (name, schedule) in &config.objectives {
        let objective = schedule.objective(name);
        let needs = objective.as_ref().map_or(&[][..], |objective| objective.needs());
        if let Some(modality) = needs.iter().copied().find(|modality| lacks(*modality)) {
            let expected = format!("left out, or the model given an encoder for {}", modality.name());
            return Err(resolved.reject(&format!("objectives.{name}"), expected));
        }
        let in_use = objective.filter(|_| schedule.weight > 0.0);
        if let Some(lacking) = in_use.and_then(|objective| objective.lacks(&config.model)) {
            let expected = format!("left out, or the model {lacking}");
            return Err(resolved.reject(&format!("objectives.{name}"), expected));
        }
    }
    for holdout in &config.evaluate.holdouts {
        let uses = [
            (Modality::Text, true),
            (Modality::Image, holdout.images.is_some()),
            (Modality::Audio, holdout.sounds.is_some()),
        ];
        if let Some((modality, _)) = uses.iter().find(|(modality, is_used)| *is_used && lacks(*modality)) {
            let expected = format!(
                "without {} in `{}`, or the model given an encoder for it",
                modality.name(),
                holdout.name
            );
            return Err(resolved.reject("evaluate.holdouts", expected));
        }
    }
    if let Some(text) = &config.model.text
        && text.max_tokens() < config.data.max_text_tokens
    {
        return Err(resolved.reject(
            "data.max_text_tokens",
            format!("at most {}, the text encoder's max_tokens", text.max_tokens()),
        ));
    }
    if let Some(audio) = &config.model.audio {
        let longest_s =
            audio.max_tokens().saturating_mul(audio.frames_per_token()) as f64 / FRAMES_PER_SECOND;
        if config.data.audio.max_s > longest_s {
            return Err(resolved.reject(
                "data.audio.max_s",
                format!("at most {longest_s}, the seconds that the audio encoder's max_tokens hold"),
            ));
        }
        if audio.reads_waveform() != (config.data.audio.features == Features::Waveform) {
            let expected = if audio.reads_waveform() {
                "\"waveform\", which the audio encoder reads"
            } else {
                "features of bands, as the audio encoder reads no waveform"
            };
            return Err(resolved.reject("data.audio.features", expected));
        }
    }
    Ok(())
}

/// Blended pictures need objectives that know what they are blended of.
fn check_mixup(resolved: &Resolved<ExperimentConfig>) -> Result<(), ConfigError> {
    let (alpha, key) = (resolved.value.data.image_mixup, "data.image_mixup");
    if !(0.0..=MAX_ALPHA).contains(&alpha) {
        return Err(resolved.reject(key, format!("0 to {MAX_ALPHA}")));
    }
    if alpha == 0.0 {
        return Ok(());
    }
    let in_use = resolved.value.objectives.iter().filter(|(_, schedule)| schedule.weight > 0.0);
    let of_pictures = in_use.filter_map(|(name, _)| objectives::find(name));
    let of_pictures = of_pictures.filter(|objective| objective.needs().contains(&Modality::Image));
    let of_pictures = of_pictures.collect::<Vec<_>>();
    match of_pictures.iter().find(|objective| !objective.knows_blends()) {
        Some(objective) => {
            let name = objective.name();
            Err(resolved
                .reject(key, format!("0 beside the objective `{name}`, which has no target for blends")))
        }
        None if of_pictures.is_empty() => {
            Err(resolved.reject(key, "0, or a contrastive objective that learns from pictures"))
        }
        None => Ok(()),
    }
}

/// Log-mel frames are 10 ms apart.
const FRAMES_PER_SECOND: f64 = 100.0;
