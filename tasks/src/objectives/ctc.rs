//! Connectionist temporal classification on the audio span of the fused sequence.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::audio::{Frames, MaskFill, SpecAugment};
use triptych_encoders::layers::ops;
use triptych_encoders::{AudioInput, Modality};
use triptych_fusion::backbone::FusionKind;
use triptych_fusion::sequence::{FusedSequence, Segment};

use super::caption::{shared_transcript, with_texts};
use super::options::{self, OptionError, Options};
use super::{Objective, PAD_ID, StepContext, consistent_ctc, lacks_tokens};
use crate::model::ModelConfig;

/// What is hidden of each view: the masks of Park et al. 2019 with more stripes in time, 2.5 times what hides 15% of a sound in
/// Yao et al. 2024, section 3.3.
const VIEW: SpecAugment = SpecAugment {
    n_mel_masks: 2,
    mel_width: 27.0 / 80.0,
    n_time_masks: 15,
    time_width: 0.05,
    max_time_frames: 100,
    fill: MaskFill::Mean,
};

/// What a config may set of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CtcOptions {
    /// Blocks of the backbone behind which CTC is learned too: 1 is behind the first, 0 before it, where the audio encoder's
    /// output comes in.
    intermediate: Vec<usize>,
    /// How much these count together; the last output counts what is left of 1 (0.3 in Lee and Watanabe 2021).
    intermediate_weight: f64,
    /// Above 0, two masked views of each sound are to agree, and so much does that count (0.2 in Yao et al. 2024).
    consistency: f64,
}

/// With its defaults.
pub(super) const CTC: Ctc =
    Ctc { options: CtcOptions { intermediate: Vec::new(), intermediate_weight: 0.3, consistency: 0.0 } };

/// The text is some path of labels and blanks through the audio tokens.
///
/// Each row's loss is divided by the length of its text, then they are averaged, as PyTorch's `mean` does; rows
/// whose text does not fit count as 0 (`zero_infinity`), and an empty text is the path of blanks.
///
/// # Reference
/// Graves et al. 2006; PyTorch `ctc_loss`; Lee and Watanabe 2021, "Intermediate loss regularization for CTC-based speech
/// recognition", equation 7; Yao et al. 2024 (CR-CTC).
///
/// # Differences from the reference
/// Intermediate outputs are those of the shared backbone's blocks, and are read by the same head behind the same
/// normalisation as the last.
#[derive(Clone)]
pub(super) struct Ctc {
    options: CtcOptions,
}

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

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let mut options: CtcOptions = options::given(&self.options, given)?;
        options.intermediate.sort_unstable();
        options.intermediate.dedup();
        options::check_share("intermediate_weight", options.intermediate_weight)?;
        if !(0.0..=100.0).contains(&options.consistency) {
            return Err(OptionError::new("consistency", "between 0 and 100"));
        }
        Ok(Box::new(Self { options }))
    }

    fn lacks(&self, model: &ModelConfig) -> Option<String> {
        let depth = model.fusion.transformer.depth;
        if let Some(block) = self.options.intermediate.iter().find(|block| **block >= depth) {
            return Some(format!(
                "with `intermediate` blocks below the last of the {depth} of `model.fusion`, not {block}"
            ));
        }
        if !self.options.intermediate.is_empty() && model.fusion.kind == FusionKind::CoAttention {
            let lacking = "without `intermediate`, as co-attention has no one sequence between its blocks";
            return Some(lacking.to_owned());
        }
        if let Some(lacking) = lacks_tokens(model, Modality::Audio) {
            return Some(lacking);
        }
        let reads_waveform = model.audio.as_ref().is_some_and(|audio| audio.reads_waveform());
        (reads_waveform && self.options.consistency > 0.0).then(|| {
            "without `consistency`, as the audio encoder reads no bands that could be masked".to_owned()
        })
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let CtcOptions { intermediate, intermediate_weight, consistency } = &self.options;
        if intermediate.is_empty() && *consistency == 0.0 {
            return of_transcript(context);
        }
        let (encoded, texts, places) = with_texts(context, Modality::Audio)?;
        let input = context.sounds_at(&places)?;
        let lengths = context.model.audio_token_lengths(&input);
        let encoded = if *consistency > 0.0 {
            context.model.encode_audio(&views(context, &input, &places))
        } else {
            encoded
        };
        let outputs = context.fuse_tapped(&[encoded], intermediate);
        let losses = outputs.iter().map(|fused| {
            let logits = logits(context, fused)?;
            let losses = if *consistency > 0.0 {
                let pair = [0, 1].map(|view| logits.clone().narrow(0, view * texts.len(), texts.len()));
                consistent_ctc(pair, &lengths, &texts, PAD_ID, *consistency as f32)
            } else {
                ops::ctc_loss(logits, &lengths, &texts, PAD_ID)
            };
            Some(mean_by_length(losses, &texts))
        });
        let mut losses = losses.collect::<Option<Vec<_>>>()?;
        let whole = losses.pop()?;
        let n_before = losses.len() as f32;
        let weight = *intermediate_weight as f32;
        Some(match losses.into_iter().reduce(|total, loss| total + loss) {
            Some(before) => whole.mul_scalar(1.0 - weight) + before.mul_scalar(weight / n_before),
            None => whole,
        })
    }
}

/// CTC over the pass that transcripts are written in; it sees nothing of them.
pub(super) fn of_transcript(context: &StepContext<'_>) -> Option<Tensor<1>> {
    let (_, texts, places) = with_texts(context, Modality::Audio)?;
    let written = shared_transcript(context)?;
    let logits = logits(context, &written.fused)?;
    let lengths = context.model.audio_token_lengths(context.audio_input()?);
    let lengths = places.iter().map(|&place| lengths[place]).collect::<Vec<_>>();
    Some(mean_ctc(logits, &lengths, &texts))
}

/// The mean over rows of the CTC loss by the text's length.
///
/// # Shapes
/// Logits `[batch, n_frames, n_labels]` of labels and, first, the blank -> `[1]`
///
/// # Reference
/// PyTorch's `ctc_loss` with `zero_infinity` and the reduction `mean`, which divides by 1 where a text is empty.
///
/// # Panics
/// As [`ops::ctc_loss`].
pub fn mean_ctc(logits: Tensor<3>, lengths: &[usize], texts: &[Vec<u32>]) -> Tensor<1> {
    mean_by_length(ops::ctc_loss(logits, lengths, texts, PAD_ID), texts)
}

fn mean_by_length(losses: Tensor<1>, texts: &[Vec<u32>]) -> Tensor<1> {
    let share = texts.iter().map(|text| 1.0 / (text.len().max(1) * texts.len()) as f32).collect::<Vec<_>>();
    let share = Tensor::<1>::from_data(TensorData::new(share, [texts.len()]), &losses.device());
    (losses * share).sum()
}

fn logits(context: &StepContext<'_>, fused: &FusedSequence) -> Option<Tensor<3>> {
    Some(context.model.ctc.as_ref()?.forward(fused.span(Segment::Encoded(Modality::Audio))?))
}

/// Two masked views of each sound, the second views of all behind the first ones.
fn views(context: &StepContext<'_>, input: &AudioInput, places: &[usize]) -> AudioInput {
    let [batch, n_frames, n_mels] = input.frames.dims();
    let host = input.frames.clone().into_data().iter::<f32>().collect::<Vec<_>>();
    let mut frames = Vec::with_capacity(2 * host.len());
    for purpose in ["ctc, first view", "ctc, second view"] {
        let draws = context.draws(purpose, Modality::Audio, places);
        let rows = host.chunks_exact((n_frames * n_mels).max(1)).zip(&input.lengths).zip(draws);
        for ((row, &length), mut draw) in rows {
            let (sound, padding) = row.split_at(length * n_mels);
            let mut sound = Frames { values: sound.to_vec(), n_frames: length, n_mels };
            VIEW.apply(&mut sound, &mut draw);
            frames.extend(sound.values);
            frames.extend(padding);
        }
    }
    let frames = TensorData::new(frames, [2 * batch, n_frames, n_mels]);
    AudioInput { frames: Tensor::from_data(frames, context.device()), lengths: input.lengths.repeat(2) }
}
