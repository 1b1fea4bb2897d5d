//! Writing texts by themselves, token by token, on the backbone's causal segment.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;

use super::caption::{CausalText, Written};
use super::options::{self, OptionError, Options};
use super::{Objective, StepContext};

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct GenerationOptions {
    /// Share of the target that all tokens get alike.
    label_smoothing: f64,
}

/// With its defaults.
pub(super) const TEXT_GENERATION: TextGeneration =
    TextGeneration { options: GenerationOptions { label_smoothing: 0.0 } };

/// Cross entropy of each token of a text given those before it, with nothing else in view.
///
/// # Reference
/// Radford et al. 2018, section 3.1.
#[derive(Clone, Copy)]
pub(super) struct TextGeneration {
    options: GenerationOptions,
}

impl Objective for TextGeneration {
    fn name(&self) -> &'static str {
        "text_generation"
    }

    fn about(&self) -> &'static str {
        "cross entropy of a text alone on the causal segment"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Text]
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: GenerationOptions = options::given(&self.options, given)?;
        options::check_label_smoothing(options.label_smoothing)?;
        Ok(Box::new(Self { options }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let texts = context.texts_at(&(0..context.text_batch()?.rows.len()).collect::<Vec<_>>())?;
        let causal = CausalText::new(&texts, &vec![false; texts.len()], context);
        let fused = context.fuse_causal(&[], &causal.input);
        Some(Written::new(fused, causal).loss(context, self.options.label_smoothing as f32))
    }
}
