//! Pictures and sounds of which a part is covered, and what is to be predicted of it.

use burn::prelude::*;
use triptych_datasets::draw::Draw;
use triptych_encoders::input::padding;
use triptych_encoders::layers::ops;
use triptych_encoders::{AudioInput, ImageInput, Modality};
use triptych_fusion::sequence::{FusedSequence, Segment};

use super::{PatchTargets, StepContext};

/// Standard deviation of a cover; pictures and sounds are normalised to about 1.
const COVER_SPREAD: f32 = 0.5;

/// Pictures with covered patches.
pub(super) struct CoveredPictures {
    /// As the encoder sees them.
    pub(super) input: ImageInput,
    /// Whole, `[batch * n_patches, d_patch]`.
    patches: Tensor<2>,
}

impl CoveredPictures {
    /// Covers what is `hidden` of the patches of `d_patch` values, `[n_patches]` a picture.
    pub(super) fn new(pixels: Tensor<4>, d_patch: usize, hidden: &[Vec<bool>]) -> Self {
        let [batch, height, width, channels] = pixels.dims();
        let [rows, columns] = grid(&pixels, d_patch);
        let side = height / rows;
        let covered = hidden.iter().flatten().map(|hidden| if *hidden { 1.0f32 } else { 0.0 });
        let covered = TensorData::new(covered.collect::<Vec<_>>(), [batch, rows, 1, columns, 1, 1]);
        let covered = Tensor::<6>::from_data(covered, &pixels.device());
        let cover = cover([1, 1, side, 1, side, channels], &pixels.device()) * covered.clone();
        let seen = pixels.clone().reshape([batch, rows, side, columns, side, channels]);
        let seen = seen * covered.neg().add_scalar(1.0) + cover;
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

/// What stands in the place of every covered patch or token: a pattern that is always the same, and like nothing that there
/// is. Where zeros stood, the normalisation behind a convolution would divide by next to nothing, and blow the gradient up.
fn cover<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut draw = Draw::new(0, 0, "", "cover");
    let values = (0..shape.iter().product::<usize>()).map(|_| COVER_SPREAD * draw.normal_pair().0);
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
}

/// Rows and columns of patches of `d_patch` values.
pub(super) fn grid(pixels: &Tensor<4>, d_patch: usize) -> [usize; 2] {
    let [_, height, width, channels] = pixels.dims();
    let side = (d_patch / channels).isqrt();
    [height / side, width / side]
}

/// Sounds with covered tokens.
pub(super) struct CoveredSounds {
    /// As the encoder hears them.
    pub(super) input: AudioInput,
    /// Whole, with zeros behind each row's end: `[batch * n_tokens, frames_per_token * n_mels]`.
    frames: Tensor<2>,
    n_tokens: usize,
    frames_per_token: usize,
    n_mels: usize,
}

impl CoveredSounds {
    /// Covers what is `hidden` of each row's tokens.
    pub(super) fn new(input: AudioInput, frames_per_token: usize, hidden: &[Vec<bool>]) -> Self {
        let AudioInput { frames, lengths } = whole_tokens(input, frames_per_token);
        let [batch, n_frames, n_mels] = frames.dims();
        let n_tokens = n_frames / frames_per_token;
        let device = frames.device();
        let is_pad = padding(&lengths, n_frames, &device);
        let is_pad = is_pad.reshape([batch, n_frames, 1]).expand([batch, n_frames, n_mels]);
        let frames = frames.mask_fill(is_pad, 0.0).reshape([batch, n_tokens, frames_per_token, n_mels]);
        let covered = hidden.iter().flat_map(|hidden| {
            (0..n_tokens).map(|token| if hidden.get(token) == Some(&true) { 1.0f32 } else { 0.0 })
        });
        let covered = TensorData::new(covered.collect::<Vec<_>>(), [batch, n_tokens, 1, 1]);
        let covered = Tensor::<4>::from_data(covered, &device);
        let cover = cover([1, 1, frames_per_token, n_mels], &device) * covered.clone();
        let seen = frames.clone() * covered.neg().add_scalar(1.0) + cover;
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
