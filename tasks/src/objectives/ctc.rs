//! Connectionist temporal classification on the audio span of the fused sequence.

use burn::prelude::*;
use triptych_encoders::Modality;
use triptych_encoders::layers::ops;
use triptych_fusion::sequence::Segment;

use super::caption::{with_texts, write};
use super::{Objective, OptionError, Options, PAD_ID, StepContext, without_options};

/// The text is some path of labels and blanks through the audio tokens.
///
/// Each row's loss is divided by the length of its text, then they are averaged, as PyTorch's `mean` does; rows
/// whose text does not fit count as 0 (`zero_infinity`).
///
/// # Reference
/// Graves et al. 2006; PyTorch `ctc_loss`.
#[derive(Clone, Copy)]
pub(super) struct Ctc;

impl Objective for Ctc {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn about(&self) -> &'static str {
        "CTC of a sound's text on the audio span"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Audio, Modality::Text]
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.ctc.as_ref()?;
        let (_, texts, places) = with_texts(context, Modality::Audio)?;
        let written = context.transcript(|| write(context, Modality::Audio))?;
        let logits = head.forward(written.fused.span(Segment::Encoded(Modality::Audio))?);
        let lengths = context.model.audio_token_lengths(context.audio_input()?);
        let lengths = places.iter().map(|&place| lengths[place]).collect::<Vec<_>>();
        let losses = ops::ctc_loss(logits, &lengths, &texts, PAD_ID);
        let share =
            texts.iter().map(|text| 1.0 / (text.len().max(1) * texts.len()) as f32).collect::<Vec<_>>();
        let share = Tensor::<1>::from_data(TensorData::new(share, [texts.len()]), context.device());
        Some((losses * share).sum())
    }
}
