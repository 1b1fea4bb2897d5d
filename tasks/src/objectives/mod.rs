//! Training objectives. Each is one file and one line of [`OBJECTIVES`]; they combine freely, each over the
//! modalities that it needs.

mod caption;
mod context;
mod contrastive;
mod ctc;
#[cfg(test)]
mod differences;
mod distillation;
mod hard_negatives;
mod linearised;
mod masked_audio;
mod masked_image;
mod masked_text;
mod matching;
mod momentum;
mod options;
mod sigmoid;

use burn::prelude::*;
pub use context::{PAD_ID, StepContext, TokenIds};
pub use contrastive::{info_nce, info_nce_towards};
pub use distillation::{FeatureDistance, contrastive_distillation, feature_distillation, token_distillation};
pub use hard_negatives::negative_probabilities;
pub use linearised::Linearised;
pub use matching::matching_loss;
pub use momentum::momentum_contrast;
pub use options::{OptionError, Options};
pub use sigmoid::sigmoid_contrast;
use triptych_encoders::Modality;

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
    &ctc::Ctc,
    &masked_text::GIVEN_IMAGE,
    &masked_text::GIVEN_AUDIO,
    &masked_image::MaskedImage,
    &masked_audio::MaskedAudio,
];

/// The objective of that name.
pub fn find(name: &str) -> Option<&'static dyn Objective> {
    OBJECTIVES.iter().copied().find(|objective| objective.name() == name)
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
