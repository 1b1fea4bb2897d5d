//! Training objectives. Each is one file and one line of [`OBJECTIVES`]; they combine freely, each over the
//! modalities that it needs.

mod answer;
mod caption;
mod companions;
mod compared;
mod consistency;
mod context;
mod contrastive;
mod covering;
mod ctc;
#[cfg(test)]
mod differences;
mod distillation;
mod embeddings;
mod gradients;
mod hard_negatives;
mod hidden_text;
mod hybrid;
mod joint_masking;
mod linearised;
mod masked_audio;
mod masked_audio_codes;
mod masked_autoencoder;
mod masked_image;
mod masked_text;
pub mod masks;
mod matching;
mod momentum;
mod options;
mod patch_targets;
mod pieces;
mod quantizer;
mod sigmoid;
mod step;
mod taught;
mod text_generation;

use burn::prelude::*;
pub use companions::{Companions, Entries, Momentum, Queue};
pub use consistency::{consistent_ctc, disagreement};
pub use context::{PAD_ID, StepContext, TokenIds};
pub use contrastive::{info_nce, info_nce_towards};
pub use ctc::mean_ctc;
pub use distillation::{FeatureDistance, contrastive_distillation, feature_distillation, token_distillation};
pub use gradients::GradientTable;
pub use hard_negatives::negative_probabilities;
pub use hybrid::hybrid;
pub use linearised::Linearised;
pub use matching::matching_loss;
pub use momentum::momentum_contrast;
pub use options::{OptionError, Options};
pub use patch_targets::PatchTargets;
pub use quantizer::RandomQuantizer;
pub use sigmoid::sigmoid_contrast;
pub use step::{StepGradients, StepInputs, differentiate};
use triptych_encoders::Modality;

use crate::heads::pair::Pair;
use crate::model::ModelConfig;

/// What an objective cannot do without, beside modalities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The model's head of a sigmoid's scales and biases.
    SigmoidHead,
    /// The model's head that judges pairs.
    MatchingHead,
    /// The model's projections into a teacher's space.
    DistilledHead,
    /// A frozen teacher.
    Teacher,
    /// A frozen teacher with the same token ids.
    TeacherTokens,
    /// A slow average of the model.
    Momentum,
}

/// Something that a model can learn from a batch.
pub trait Objective: Send + Sync {
    /// Key in the configuration, in logs and in reports.
    fn name(&self) -> &'static str;

    /// One line for `triptych list`.
    fn about(&self) -> &'static str;

    /// The modalities that a batch and the model must have.
    fn needs(&self) -> &'static [Modality];

    /// What it cannot do without besides.
    fn requires(&self) -> &'static [Requirement] {
        &[]
    }

    /// The modalities of which it compares the batch's embeddings, where it computes with nothing else: then the batch may
    /// be embedded piece by piece. `None` for others.
    fn embeds(&self) -> Option<&'static [Modality]> {
        None
    }

    /// The pair of which it keeps a queue, and how long that gets.
    fn queue(&self) -> Option<(Pair, usize)> {
        None
    }

    /// What it puts into its queue after a step.
    fn queued(&self, _: &StepContext<'_>) -> Option<(Pair, Entries)> {
        None
    }

    /// Whether it has a target for a picture that is blended of two. Others of those that need pictures refuse mixup.
    fn knows_blends(&self) -> bool {
        false
    }

    /// The modality about which samples must hold questions, where it learns from those.
    fn asks(&self) -> Option<Modality> {
        None
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
    &answer::ANSWER,
    &answer::ANSWER_AUDIO,
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
    &sigmoid::IMAGE_TEXT,
    &sigmoid::AUDIO_TEXT,
    &sigmoid::IMAGE_AUDIO,
    &matching::IMAGE_TEXT,
    &matching::AUDIO_TEXT,
    &momentum::IMAGE_TEXT,
    &momentum::AUDIO_TEXT,
    &taught::SIMILARITIES_IMAGE_TEXT,
    &taught::SIMILARITIES_AUDIO_TEXT,
    &taught::EMBEDDING_TEXT,
    &taught::EMBEDDING_IMAGE,
    &taught::EMBEDDING_AUDIO,
    &taught::CAPTION,
    &taught::TRANSCRIPT,
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
