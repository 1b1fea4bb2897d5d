//! The families of published models: their configs, their modules and the names of their tensors. One file a family, and
//! one line in [`FAMILIES`].

mod bert;
mod blocks;
mod clip;
mod patches;
mod registry;
mod sample;
mod siglip;
mod vit;
mod wav2vec2;
mod whisper;

pub use bert::{BertFamily, PublishedBertConfig};
use burn::module::Module;
pub use clip::{Clip, ClipConfig, ClipFamily};
pub use patches::PatchConfig;
pub use registry::{FAMILIES, FamilyEntry, Importer};
pub use sample::LargestSample;
use serde::Serialize;
use serde::de::DeserializeOwned;
pub use siglip::{Siglip, SiglipConfig, SiglipFamily};
pub use vit::{PublishedVit, PublishedVitConfig, VitFamily};
pub use wav2vec2::{PublishedWav2vec2Config, Wav2vec2Family};
pub use whisper::{Whisper, WhisperConfig, WhisperFamily};

use super::checkpoint::Checkpoint;
use super::config::PublishedConfig;
use super::error::CheckpointError;
use super::mapping::Mapping;
use crate::ConfigError;
use crate::layers::cost::CostTree;
use crate::layers::initializer::Initializer;

/// A family of published models: what an import and an export of one need to know.
pub trait Family {
    /// Sizes of a model, kept with it after its import.
    type Config: Serialize + DeserializeOwned;
    /// The module.
    type Model: Module;
    /// How the family is called here.
    const NAME: &'static str;
    /// What it is, in a line.
    const ABOUT: &'static str;
    /// What `model_type` in a published config says.
    const MODEL_TYPES: &'static [&'static str];

    /// Our config for a published one. Parts that a config does not tell of, such as a pooler, are there if the checkpoint
    /// has their tensors.
    ///
    /// # Errors
    /// When a setting is not implemented.
    fn config(published: &PublishedConfig, weights: &Checkpoint) -> Result<Self::Config, CheckpointError>;

    /// The module with weights of `init`.
    ///
    /// # Errors
    /// When sizes do not fit together.
    fn init(config: &Self::Config, init: &mut Initializer) -> Result<Self::Model, ConfigError>;

    /// Where the published tensors lie in the module.
    fn mapping(config: &Self::Config) -> Mapping;

    /// Token ids that the model knows, where it reads or writes text.
    fn n_vocab(config: &Self::Config) -> Option<usize>;

    /// The largest sample that the model was made for.
    fn largest_sample(config: &Self::Config) -> LargestSample;

    /// What that sample costs: the modules of [`init`](Self::init) with their sizes.
    fn cost(config: &Self::Config) -> CostTree;

    /// Whether the settings of the preprocessing, the published `preprocessor_config.json`, are such as the model needs.
    ///
    /// # Errors
    /// When one is not.
    fn check_preprocessing(config: &Self::Config, settings: &PublishedConfig) -> Result<(), CheckpointError>;
}
