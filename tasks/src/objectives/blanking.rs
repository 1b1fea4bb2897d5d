//! Pictures and sounds of which a part is blanked, and what is to be predicted of it.

use burn::prelude::*;
use triptych_encoders::input::padding;
use triptych_encoders::layers::ops;
use triptych_encoders::{AudioInput, ImageInput, Modality};
use triptych_fusion::sequence::{FusedSequence, Segment};

use super::{PatchTargets, StepContext};

/// Pictures with blank patches.
pub(super) struct BlankedPictures {
    /// As the encoder sees them.
    pub(super) input: ImageInput,
    /// Whole, `[batch * n_patches, d_patch]`.
    patches: Tensor<2>,
}

impl BlankedPictures {
    /// Blanks what is `hidden` of the patches of `d_patch` values, `[n_patches]` a picture.
    pub(super) fn new(pixels: Tensor<4>, d_patch: usize, hidden: &[Vec<bool>]) -> Self {
        let [batch, height, width, channels] = pixels.dims();
        let [rows, columns] = grid(&pixels, d_patch);
        let side = height / rows;
        let visible = hidden.iter().flatten().map(|hidden| if *hidden { 0.0f32 } else { 1.0 });
        let visible = TensorData::new(visible.collect::<Vec<_>>(), [batch, rows, 1, columns, 1, 1]);
        let visible = Tensor::<6>::from_data(visible, &pixels.device());
        let seen = pixels.clone().reshape([batch, rows, side, columns, side, channels]) * visible;
        let patches = ops::unfold(pixels, [side; 2], [side; 2], [0, 0]);
        Self {
            input: ImageInput { pixels: seen.reshape([batch, height, width, channels]) },
            patches: patches.reshape([batch * rows * columns, d_patch]),
        }
    }

    /// The patches at `places` among those of all pictures.
    pub(super) fn patches(&self, places: Tensor<1, Int>) -> Tensor<2> {
        self.patches.clone().select(0, places)
    }

    /// The error of the model's head for patches at `places`, read off the picture's span of what was fused.
    pub(super) fn error(
        &self,
        context: &StepContext<'_>,
        fused: &FusedSequence,
        places: &[usize],
        targets: PatchTargets,
    ) -> Option<Tensor<1>> {
        let head = context.model.patches.as_ref()?;
        let places = context.indices(places);
        let predicted = head.forward(at(fused, Modality::Image, places.clone())?);
        Some(targets.error(predicted, self.patches(places)))
    }
}

/// Rows and columns of patches of `d_patch` values.
pub(super) fn grid(pixels: &Tensor<4>, d_patch: usize) -> [usize; 2] {
    let [_, height, width, channels] = pixels.dims();
    let side = (d_patch / channels).isqrt();
    [height / side, width / side]
}

/// Sounds with blank tokens.
pub(super) struct BlankedSounds {
    /// As the encoder hears them.
    pub(super) input: AudioInput,
    /// Whole, with zeros behind each row's end: `[batch * n_tokens, frames_per_token * n_mels]`.
    frames: Tensor<2>,
    n_tokens: usize,
    frames_per_token: usize,
    n_mels: usize,
}

impl BlankedSounds {
    /// Blanks what is `hidden` of each row's tokens.
    pub(super) fn new(input: AudioInput, frames_per_token: usize, hidden: &[Vec<bool>]) -> Self {
        let AudioInput { frames, lengths } = whole_tokens(input, frames_per_token);
        let [batch, n_frames, n_mels] = frames.dims();
        let n_tokens = n_frames / frames_per_token;
        let device = frames.device();
        let is_pad = padding(&lengths, n_frames, &device);
        let is_pad = is_pad.reshape([batch, n_frames, 1]).expand([batch, n_frames, n_mels]);
        let frames = frames.mask_fill(is_pad, 0.0).reshape([batch, n_tokens, frames_per_token, n_mels]);
        let visible = hidden.iter().flat_map(|hidden| {
            (0..n_tokens).map(|token| if hidden.get(token) == Some(&true) { 0.0f32 } else { 1.0 })
        });
        let visible = TensorData::new(visible.collect::<Vec<_>>(), [batch, n_tokens, 1, 1]);
        let seen = frames.clone() * Tensor::<4>::from_data(visible, &device);
        Self {
            input: AudioInput { frames: seen.reshape([batch, n_frames, n_mels]), lengths },
            frames: frames.reshape([batch * n_tokens, frames_per_token * n_mels]),
            n_tokens,
            frames_per_token,
            n_mels,
        }
    }

    /// Where the `chosen` tokens of each row lie among the tokens of all rows.
    pub(super) fn places(&self, chosen: &[Vec<bool>]) -> Vec<usize> {
        let rows = chosen.iter().enumerate().flat_map(|(row, chosen)| {
            chosen.iter().enumerate().filter(|(_, chosen)| **chosen).map(move |(token, _)| (row, token))
        });
        rows.map(|(row, token)| row * self.n_tokens + token).collect()
    }

    /// The frames behind tokens.
    ///
    /// # Shapes
    /// -> `[n, frames_per_token * n_mels]`
    pub(super) fn frames(&self, places: Tensor<1, Int>) -> Tensor<2> {
        self.frames.clone().select(0, places)
    }

    /// Mean squared error of the model's head for frames at `places`; a row's padding counts nothing.
    pub(super) fn error(
        &self,
        context: &StepContext<'_>,
        fused: &FusedSequence,
        places: &[usize],
    ) -> Option<Tensor<1>> {
        let head = context.model.frames.as_ref()?;
        // the last token of a row may reach into its padding
        let counts = places.iter().flat_map(|&place| {
            let (row, first) = (place / self.n_tokens, place % self.n_tokens * self.frames_per_token);
            let length = self.input.lengths[row];
            let frames = first..first + self.frames_per_token;
            frames.map(move |frame| if frame < length { 1.0f32 } else { 0.0 })
        });
        let counts = counts.collect::<Vec<_>>();
        let n_values = (counts.iter().sum::<f32>() * self.n_mels as f32).max(1.0);
        let shape = [places.len(), self.frames_per_token, 1];
        let counts = Tensor::<3>::from_data(TensorData::new(counts, shape), context.device());
        let indices = context.indices(places);
        let predicted = head.forward(self.tokens(fused, indices.clone())?);
        let error =
            (predicted - self.frames(indices)).reshape([places.len(), self.frames_per_token, self.n_mels]);
        Some((error * counts).powi_scalar(2).sum().div_scalar(n_values))
    }

    /// The fused tokens at `places`.
    ///
    /// # Panics
    /// When the encoder does not give one token for so many frames.
    pub(super) fn tokens(&self, fused: &FusedSequence, places: Tensor<1, Int>) -> Option<Tensor<2>> {
        let [_, n_span, _] = fused.span(Segment::Encoded(Modality::Audio))?.dims();
        assert_eq!(n_span, self.n_tokens, "one token for every {} frames", self.frames_per_token);
        at(fused, Modality::Audio, places)
    }
}

/// The tokens at `places` among those of a modality in all rows.
pub(super) fn at(fused: &FusedSequence, modality: Modality, places: Tensor<1, Int>) -> Option<Tensor<2>> {
    let span = fused.span(Segment::Encoded(modality))?;
    let [batch, n_tokens, d_model] = span.dims();
    Some(span.reshape([batch * n_tokens, d_model]).select(0, places))
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
