//! Transcription by attention and by CTC at once, over one pass of the backbone.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;

use super::caption::shared_transcript;
use super::ctc::of_transcript;
use super::options::{self, OptionError, Options};
use super::{Objective, StepContext};

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct HybridOptions {
    /// How much CTC counts; the attention counts what is left of 1. 0.3 in ESPnet's recipes.
    ctc_weight: f64,
    /// Share of the attention's target that all tokens get alike.
    label_smoothing: f64,
}

/// With its defaults.
pub(super) const HYBRID: Hybrid = Hybrid { options: HybridOptions { ctc_weight: 0.3, label_smoothing: 0.1 } };

/// `w · CTC + (1 - w) · attention`
///
/// # Reference
/// Watanabe et al. 2017, "Hybrid CTC/attention architecture for end-to-end speech recognition", equation 39.
pub fn hybrid(ctc: Tensor<1>, attention: Tensor<1>, ctc_weight: f32) -> Tensor<1> {
    ctc.mul_scalar(ctc_weight) + attention.mul_scalar(1.0 - ctc_weight)
}

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct Hybrid {
    options: HybridOptions,
}

impl Objective for Hybrid {
    fn name(&self) -> &'static str {
        "transcript_hybrid"
    }

    fn about(&self) -> &'static str {
        "CTC and attention together over a sound's text"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Audio, Modality::Text]
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: HybridOptions = options::given(&self.options, given)?;
        options::check_share("ctc_weight", options.ctc_weight)?;
        options::check_label_smoothing(options.label_smoothing)?;
        Ok(Box::new(Self { options }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let written = shared_transcript(context)?;
        let ctc = of_transcript(context)?;
        let attention = written.loss(context, self.options.label_smoothing as f32);
        Some(hybrid(ctc, attention, self.options.ctc_weight as f32))
    }
}
