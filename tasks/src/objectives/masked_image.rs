//! Masked pictures: most patches are blanked, and their pixels are predicted with the text in view.

use burn::prelude::*;
use triptych_encoders::layers::ops;
use triptych_encoders::{ImageInput, Modality};
use triptych_fusion::sequence::Segment;

use super::{Objective, OptionError, Options, StepContext, without_options};

/// Share of the patches that are blanked (Xie et al. 2022, table 1).
const MASKED: f32 = 0.6;
/// Keeps plain patches from being blown up to noise.
const VARIANCE_FLOOR: f32 = 0.05;

/// Squared error of the per-patch normalised pixels, on the masked patches alone.
///
/// # Reference
/// Xie et al. 2022 (SimMIM) for blanking the pixels and a linear head, which fits any encoder; He et al. 2022
/// (MAE), section 3, for the normalised pixels.
///
/// # Differences from the reference
/// The prediction is read off the backbone's image span, with the text beside it (FLAVA's joint masking).
#[derive(Clone, Copy)]
pub(super) struct MaskedImage;

impl Objective for MaskedImage {
    fn name(&self) -> &'static str {
        "masked_image"
    }

    fn about(&self) -> &'static str {
        "pixels of blanked patches, with the text in view"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Image, Modality::Text]
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.patches.as_ref()?;
        let image = context.image_batch()?;
        let [places, text_places] = context.paired(Modality::Image, Modality::Text)?;
        let text = context.encoded_at(Modality::Text, &text_places)?;
        let mut pixels = ImageInput::new(image, context.device()).pixels;
        if places.len() != image.rows.len() {
            pixels = pixels.select(0, context.indices(&places));
        }
        let [batch, height, width, channels] = pixels.dims();
        let d_patch = head.weight.dims()[1];
        let side = (d_patch / channels).isqrt();
        let (rows, columns) = (height / side, width / side);
        let mut draw = context.draw(self.name());
        let n_masked = ((rows * columns) as f32 * MASKED).round() as usize;
        let mut visible = vec![1.0f32; batch * rows * columns];
        let mut masked = Vec::with_capacity(batch * n_masked);
        for row in 0..batch {
            for patch in draw.choose(rows * columns, n_masked) {
                visible[row * rows * columns + patch] = 0.0;
                masked.push(row * rows * columns + patch);
            }
        }
        let device = context.device();
        let visible =
            Tensor::<6>::from_data(TensorData::new(visible, [batch, rows, 1, columns, 1, 1]), device);
        let seen = pixels.clone().reshape([batch, rows, side, columns, side, channels]) * visible;
        let input = ImageInput { pixels: seen.reshape([batch, height, width, channels]) };
        let fused = context.fuse(&[context.model.encode_image(&input), text]);
        let span = fused.span(Segment::Encoded(Modality::Image))?;
        let [_, n_tokens, d_model] = span.dims();
        let masked = context.indices(&masked);
        let predicted = head.forward(span.reshape([batch * n_tokens, d_model]).select(0, masked.clone()));
        let patches = ops::unfold(pixels, [side, side], [side, side], [0, 0]);
        let target = normalised(patches.reshape([batch * n_tokens, d_patch]).select(0, masked));
        Some((predicted - target).powi_scalar(2).mean())
    }
}

/// Rows of zero mean and unit variance.
fn normalised(patches: Tensor<2>) -> Tensor<2> {
    let centred = patches.clone() - patches.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    centred / (variance + VARIANCE_FLOOR).sqrt()
}
