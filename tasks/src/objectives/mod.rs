//! Training objectives. Each is one file and one line of [`OBJECTIVES`]; they combine freely, each over the
//! modalities that it needs.

mod blanking;
mod caption;
mod consistency;
mod context;
mod contrastive;
mod ctc;
mod hidden_text;
mod hybrid;
mod joint_masking;
mod masked_audio;
mod masked_audio_codes;
mod masked_autoencoder;
mod masked_image;
mod masked_text;
pub mod masks;
mod options;
mod patch_targets;
mod quantizer;
mod text_generation;

use burn::prelude::*;
pub use consistency::{consistent_ctc, disagreement};
pub use context::{PAD_ID, StepContext, TokenIds};
pub use contrastive::{info_nce, info_nce_towards};
pub use ctc::mean_ctc;
pub use hybrid::hybrid;
pub use options::{OptionError, Options};
pub use patch_targets::PatchTargets;
pub use quantizer::RandomQuantizer;
use triptych_encoders::Modality;

use crate::model::ModelConfig;

/// Something that a model can learn from a batch.
pub trait Objective: Send + Sync {
    /// Key in the configuration, in logs and in reports.
    fn name(&self) -> &'static str;

    /// One line for `triptych list`.
    fn about(&self) -> &'static str;

    /// The modalities that a batch and the model must have.
    fn needs(&self) -> &'static [Modality];

    /// Whether it has a target for a picture that is blended of two. Others of those that need pictures refuse mixup.
    fn knows_blends(&self) -> bool {
        false
    }

    /// What a config may set of it by name, with the values that it has.
    fn options(&self) -> Options {
        Options::new()
    }

    /// The same objective with the options that are `given` in place of its own.
    ///
    /// # Errors
    /// An option that it does not have, and a value that makes no sense.
    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError>;

    /// What a model of this config lacks for it with its options, in words that go on from "the model must be"; `None` where
    /// nothing is missing. The encoders of the modalities that it needs are not asked for here.
    fn lacks(&self, _: &ModelConfig) -> Option<String> {
        None
    }

    /// The loss, one value; `None` when the batch has too few rows with all the modalities needed.
    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>>;
}

/// Every objective there is, with its defaults.
pub static OBJECTIVES: &[&dyn Objective] = &[
    &contrastive::IMAGE_TEXT,
    &contrastive::AUDIO_TEXT,
    &contrastive::IMAGE_AUDIO,
    &caption::CAPTION,
    &caption::TRANSCRIPT,
    &hybrid::HYBRID,
    &text_generation::TEXT_GENERATION,
    &ctc::CTC,
    &masked_text::ALONE,
    &masked_text::GIVEN_IMAGE,
    &masked_text::GIVEN_AUDIO,
    &masked_image::MASKED_IMAGE,
    &masked_autoencoder::MASKED_AUTOENCODER,
    &masked_audio::MASKED_AUDIO,
    &masked_audio_codes::MASKED_AUDIO_CODES,
    &joint_masking::IMAGE_TEXT,
    &joint_masking::AUDIO_TEXT,
    &joint_masking::ALL,
];

/// The objective of that name.
pub fn find(name: &str) -> Option<&'static dyn Objective> {
    OBJECTIVES.iter().copied().find(|objective| objective.name() == name)
}

/// What a model lacks whose backbone resamples a modality, for an objective that reads all of its tokens.
fn lacks_tokens(model: &ModelConfig, modality: Modality) -> Option<String> {
    let is_resampled = model.fusion.resample.of(modality).is_some();
    let name = modality.name();
    is_resampled.then(|| format!("without `model.fusion.resample.{name}`, as it reads every token of {name}"))
}

/// An objective that has no options is given none.
fn without_options(given: &Options) -> Result<(), OptionError> {
    match given.keys().next() {
        Some(option) => Err(OptionError::new(option, "left out: the objective has no options")),
        None => Ok(()),
    }
}

/// A step's loss and what it consists of.
#[derive(Debug)]
pub struct LossParts {
    /// The weighted sum, to be differentiated.
    pub total: Tensor<1>,
    /// Each objective's own loss before its weight, those of the routers of a mixture of experts, and the share of its
    /// choices that an expert had no room for.
    pub named: Vec<(&'static str, Tensor<1>)>,
}

/// Adds up the weighted losses of a step; `None` when no objective applies to the batch.
pub fn combine(context: &StepContext<'_>, weighted: &[(&dyn Objective, f32)]) -> Option<LossParts> {
    let mut total: Option<Tensor<1>> = None;
    let mut named = Vec::with_capacity(weighted.len());
    for &(objective, weight) in weighted {
        let Some(loss) = objective.loss(context) else { continue };
        named.push((objective.name(), loss.clone().detach()));
        let part = loss.mul_scalar(weight);
        total = Some(match total {
            Some(total) => total + part,
            None => part,
        });
    }
    if let Some(routing) = context.routing() {
        let losses = [("router_balance", routing.balance), ("router_z", routing.z)];
        for ((name, loss), weight) in losses.into_iter().zip(routing.weights) {
            named.push((name, loss.clone().detach()));
            total = total.map(|total| total + loss.mul_scalar(weight));
        }
        let dropped = routing.n_dropped as f32 / routing.n_chosen.max(1) as f32;
        named.push(("router_dropped", Tensor::from_floats([dropped], context.device())));
    }
    total.map(|total| LossParts { total, named })
}
