//! Masked sound: spans of frames are blanked, and predicted with the text in view.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::{AudioInput, Modality};

use super::blanking::BlankedSounds;
use super::masks::spans;
use super::options::{self, OptionError, Options};
use super::{Objective, StepContext, lacks_tokens};
use crate::model::ModelConfig;

/// What a config may set of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SpanMask {
    /// Shares of the tokens that the spans cover at least and at most.
    pub(super) masked: [f64; 2],
    /// Length of a span in frames, rounded up to whole tokens.
    pub(super) span_frames: usize,
}

impl SpanMask {
    /// Baevski et al. 2022 (data2vec), section 4.2.
    pub(super) const DATA2VEC: Self = Self { masked: [0.65, 0.8], span_frames: 10 };

    pub(super) fn check(&self) -> Result<(), OptionError> {
        let [low, high] = self.masked;
        if !(low > 0.0 && low <= high && high < 1.0) {
            return Err(OptionError::new("masked", "two shares above 0 and below 1, the smaller first"));
        }
        if self.span_frames == 0 {
            return Err(OptionError::new("span_frames", "at least 1"));
        }
        Ok(())
    }

    /// What is hidden of the tokens of each sound, which lie at `places` of their batch.
    pub(super) fn draw(
        &self,
        context: &StepContext<'_>,
        purpose: &str,
        places: &[usize],
        input: &AudioInput,
        frames_per_token: usize,
    ) -> Vec<Vec<bool>> {
        let lengths = context.model.audio_token_lengths(input);
        let draws = context.draws(purpose, Modality::Audio, places);
        let shares = self.masked.map(|share| share as f32);
        let span = self.span_frames.div_ceil(frames_per_token);
        draws.into_iter().zip(lengths).map(|(mut draw, n)| spans(n, span, shares, &mut draw)).collect()
    }
}

/// With its defaults.
pub(super) const MASKED_AUDIO: MaskedAudio = MaskedAudio { mask: SpanMask::DATA2VEC };

/// Squared error of the log-mel frames behind the masked tokens; a row's padding counts nothing.
///
/// # Reference
/// Baevski et al. 2022 (data2vec), section 4.2, for the spans; log-mel regression as in Liu et al. 2020.
///
/// # Differences from the reference
/// The prediction is read off the backbone's audio span, with the text beside it (FLAVA's joint masking).
#[derive(Clone, Copy)]
pub(super) struct MaskedAudio {
    mask: SpanMask,
}

impl Objective for MaskedAudio {
    fn name(&self) -> &'static str {
        "masked_audio"
    }

    fn about(&self) -> &'static str {
        "log-mel frames of blanked spans, with the text in view"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Audio, Modality::Text]
    }

    fn options(&self) -> Options {
        options::table(&self.mask)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let mask: SpanMask = options::given(&self.mask, given)?;
        mask.check()?;
        Ok(Box::new(Self { mask }))
    }

    fn lacks(&self, model: &ModelConfig) -> Option<String> {
        lacks_tokens(model, Modality::Audio)
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let d_token = context.model.frames.as_ref()?.weight.dims()[1];
        let [places, text_places] = context.paired(Modality::Audio, Modality::Text)?;
        let text = context.encoded_at(Modality::Text, &text_places)?;
        let input = context.sounds_at(&places)?;
        let frames_per_token = d_token / input.frames.dims()[2];
        let hidden = self.mask.draw(context, self.name(), &places, &input, frames_per_token);
        let sounds = BlankedSounds::new(input, frames_per_token, &hidden);
        let masked = sounds.places(&hidden);
        if masked.is_empty() {
            return None;
        }
        let fused = context.fuse(&[context.model.encode_audio(&sounds.input), text]);
        sounds.error(context, &fused, &masked)
    }
}
