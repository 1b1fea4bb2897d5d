//! Masked sound: spans of frames are blanked, and predicted with the text in view.

use burn::prelude::*;
use triptych_encoders::{AudioInput, Modality};
use triptych_fusion::sequence::Segment;

use super::{Objective, OptionError, Options, StepContext, without_options};

/// Share of the tokens that the spans cover at least.
const MASKED: f32 = 0.65;
/// Length of a span in frames, rounded up to whole tokens.
const SPAN_FRAMES: usize = 10;

/// Squared error of the log-mel frames behind the masked tokens; a row's padding counts nothing.
///
/// # Reference
/// Baevski et al. 2022 (data2vec), section 4.2, for the spans; log-mel regression as in Liu et al. 2020.
///
/// # Differences from the reference
/// The prediction is read off the backbone's audio span, with the text beside it (FLAVA's joint masking).
#[derive(Clone, Copy)]
pub(super) struct MaskedAudio;

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

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.frames.as_ref()?;
        let [places, text_places] = context.paired(Modality::Audio, Modality::Text)?;
        let text = context.encoded_at(Modality::Text, &text_places)?;
        let input = rows_at(context.audio_input()?, &places, context);
        let [_, _, n_mels] = input.frames.dims();
        let d_token = head.weight.dims()[1];
        let frames_per_token = d_token / n_mels;
        let input = whole_tokens(input, frames_per_token);
        let [batch, n_frames, _] = input.frames.dims();
        let n_tokens = n_frames / frames_per_token;

        let visible = self.visible(context, &input, n_tokens, frames_per_token);
        let masked = (0..visible.len()).filter(|&idx| visible[idx] == 0.0).collect::<Vec<_>>();
        if masked.is_empty() {
            return None;
        }
        // the last token of a row may reach into its padding
        let counts = masked.iter().flat_map(|&idx| {
            let (row, first) = (idx / n_tokens, idx % n_tokens * frames_per_token);
            let length = input.lengths[row];
            (first..first + frames_per_token).map(move |frame| if frame < length { 1.0f32 } else { 0.0 })
        });
        let counts = counts.collect::<Vec<_>>();
        let n_values = counts.iter().sum::<f32>() * n_mels as f32;

        let device = context.device();
        let visible = Tensor::<4>::from_data(TensorData::new(visible, [batch, n_tokens, 1, 1]), device);
        let counts = TensorData::new(counts, [masked.len(), frames_per_token, 1]);
        let counts = Tensor::<3>::from_data(counts, device);
        let frames = input.frames.reshape([batch, n_tokens, frames_per_token, n_mels]);
        let seen = (frames.clone() * visible).reshape([batch, n_frames, n_mels]);
        let seen = AudioInput { frames: seen, lengths: input.lengths };
        let fused = context.fuse(&[context.model.encode_audio(&seen), text]);
        let span = fused.span(Segment::Encoded(Modality::Audio))?;
        let [_, n_span, d_model] = span.dims();
        assert_eq!(n_span, n_tokens, "the stem gives one token for every {frames_per_token} frames");
        let n_masked = masked.len();
        let masked = context.indices(&masked);
        let predicted = head.forward(span.reshape([batch * n_tokens, d_model]).select(0, masked.clone()));
        let target = frames.reshape([batch * n_tokens, d_token]).select(0, masked);
        let error = (predicted - target).reshape([n_masked, frames_per_token, n_mels]) * counts;
        Some(error.powi_scalar(2).sum().div_scalar(n_values))
    }
}

impl MaskedAudio {
    /// `[batch * n_tokens]`, 0 where a span blanks the token.
    fn visible(
        &self,
        context: &StepContext<'_>,
        input: &AudioInput,
        n_tokens: usize,
        frames_per_token: usize,
    ) -> Vec<f32> {
        let mut draw = context.draw(self.name());
        let mut visible = vec![1.0f32; input.lengths.len() * n_tokens];
        for (row, length) in context.model.audio_token_lengths(input).into_iter().enumerate() {
            let row = &mut visible[row * n_tokens..][..length];
            let span = SPAN_FRAMES.div_ceil(frames_per_token).min(length);
            let n_masked = (length as f32 * MASKED).ceil() as usize;
            while row.iter().filter(|&&v| v == 0.0).count() < n_masked {
                let start = draw.below(length - span + 1);
                row[start..start + span].fill(0.0);
            }
        }
        visible
    }
}

/// The rows at `places`.
fn rows_at(input: &AudioInput, places: &[usize], context: &StepContext<'_>) -> AudioInput {
    if places.len() == input.lengths.len() {
        return input.clone();
    }
    AudioInput {
        frames: input.frames.clone().select(0, context.indices(places)),
        lengths: places.iter().map(|&place| input.lengths[place]).collect(),
    }
}

/// Adds padding up to a whole number of tokens.
fn whole_tokens(input: AudioInput, frames_per_token: usize) -> AudioInput {
    let [batch, n_frames, n_mels] = input.frames.dims();
    let n_missing = n_frames.next_multiple_of(frames_per_token) - n_frames;
    if n_missing == 0 {
        return input;
    }
    let missing = Tensor::zeros([batch, n_missing, n_mels], &input.frames.device());
    AudioInput { frames: Tensor::cat(vec![input.frames, missing], 1), lengths: input.lengths }
}
