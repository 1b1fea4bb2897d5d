//! Masked sound: spans of frames are blanked, and predicted with the text in view.

use burn::prelude::*;
use triptych_encoders::{AudioInput, Modality};
use triptych_fusion::sequence::Segment;

use super::caption::with_texts;
use super::{Objective, StepContext};

/// Share of the tokens that the spans cover at least.
const MASKED: f32 = 0.65;
/// Length of a span in frames, rounded up to whole tokens.
const SPAN_FRAMES: usize = 10;

/// Squared error of the log-mel frames behind the masked tokens.
///
/// # Reference
/// Baevski et al. 2022 (data2vec), section 4.2, for the spans; log-mel regression as in Liu et al. 2020.
///
/// # Differences from the reference
/// The prediction is read off the backbone's audio span, with the text beside it (FLAVA's joint masking).
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

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.frames.as_ref()?;
        let audio = context.audio_batch()?;
        let (_, texts, places) = with_texts(context, Modality::Audio)?;
        let text = context.encoded(Modality::Text)?.0;
        // sounds without a text are left out, as are texts without a sound
        if places.len() != audio.rows.len() || texts.len() != context.text_batch()?.rows.len() {
            return None;
        }
        let input = AudioInput::new(audio, context.device());
        let lengths = context.model.audio_token_lengths(&input);
        let [batch, n_frames, n_mels] = input.frames.dims();
        let d_token = head.weight.dims()[1];
        let frames_per_token = d_token / n_mels;
        let n_tokens = n_frames.div_ceil(frames_per_token);
        let mut draw = context.draw(self.name());
        let mut visible = vec![1.0f32; batch * n_tokens];
        for (row, &length) in lengths.iter().enumerate() {
            let row = &mut visible[row * n_tokens..][..length];
            let span = SPAN_FRAMES.div_ceil(frames_per_token).min(length);
            let n_masked = (length as f32 * MASKED).ceil() as usize;
            while row.iter().filter(|&&v| v == 0.0).count() < n_masked {
                let start = draw.below(length - span + 1);
                row[start..start + span].fill(0.0);
            }
        }
        let masked = (0..visible.len()).filter(|&idx| visible[idx] == 0.0).collect::<Vec<_>>();
        if masked.is_empty() || !n_frames.is_multiple_of(frames_per_token) {
            return None;
        }
        let device = context.device();
        let visible = Tensor::<4>::from_data(TensorData::new(visible, [batch, n_tokens, 1, 1]), device);
        let frames = input.frames.reshape([batch, n_tokens, frames_per_token, n_mels]);
        let seen = (frames.clone() * visible).reshape([batch, n_frames, n_mels]);
        let seen = AudioInput { frames: seen, lengths: input.lengths };
        let fused = context.model.backbone.forward(&[context.model.encode_audio(&seen), text.clone()]);
        let span = fused.span(Segment::Encoded(Modality::Audio))?;
        let [_, n_span, d_model] = span.dims();
        assert_eq!(n_span, n_tokens, "the stem gives one token for every {frames_per_token} frames");
        let masked = context.indices(&masked);
        let predicted = head.forward(span.reshape([batch * n_tokens, d_model]).select(0, masked.clone()));
        let target = frames.reshape([batch * n_tokens, d_token]).select(0, masked);
        Some((predicted - target).powi_scalar(2).mean())
    }
}
