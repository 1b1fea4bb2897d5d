//! Pixels to what a model reads.

use serde::{Deserialize, Serialize};

use super::{CropBox, Filter, ImageAugment, Pixels, crop_resize_by, shorter_side_crop};
use crate::draw::Draw;

/// How a picture that is no square becomes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The largest square in the middle, cut out with fractions of pixels and then resized.
    #[default]
    CentreSquare,
    /// Resized by its shorter side, then the middle cut out in whole pixels: torchvision's and CLIP's order.
    ShorterSide,
    /// Both sides resized on their own, so that nothing is cut off and everything distorted.
    Squash,
}

/// How pictures are brought to one size and spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageTransform {
    /// Height and width of the result in pixels.
    pub side: usize,
    /// What makes up the pixels of the new size.
    #[serde(default)]
    pub filter: Filter,
    /// Outside training, and without `augment`: how a picture becomes a square.
    #[serde(default)]
    pub fit: Fit,
    /// Subtracted from each channel's value in `[0, 1]`.
    #[serde(default = "half")]
    pub mean: [f32; 3],
    /// Then divides it.
    #[serde(default = "half")]
    pub std: [f32; 3],
    /// What training changes at random; `None` changes nothing.
    #[serde(default)]
    pub augment: Option<ImageAugment>,
}

/// Maps `[0, 255]` to `[-1, 1]`, as ViT does (Dosovitskiy et al., 2021, its released code).
fn half() -> [f32; 3] {
    [0.5; 3]
}

impl ImageTransform {
    /// Plain resizing with values in `[-1, 1]`.
    pub fn new(side: usize) -> Self {
        Self {
            side,
            filter: Filter::default(),
            fit: Fit::default(),
            mean: half(),
            std: half(),
            augment: None,
        }
    }

    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=4096).contains(&self.side) {
            return Err(format!("side: expected 1 to 4096 pixels, got {}", self.side));
        }
        if let Some(std) = self.std.iter().find(|std| !(std.is_finite() && **std > 0.0)) {
            return Err(format!("std: expected numbers above 0, got {std}"));
        }
        self.augment.as_ref().map_or(Ok(()), ImageAugment::check)
    }

    /// The picture as a model reads it. Without `draw`, or without `augment`: as `fit` says.
    ///
    /// # Shapes
    /// Returns `[side, side, 3]`.
    pub fn apply(&self, pixels: &Pixels, draw: Option<&mut Draw>) -> Vec<f32> {
        let mut values = match (&self.augment, draw) {
            (Some(augment), Some(draw)) => augment.apply(pixels, self.side, self.filter, draw),
            _ => unit_range(&self.square(pixels)),
        };
        let scale = self.std.map(|std| 1.0 / std);
        for pixel in values.chunks_exact_mut(3) {
            for channel in 0..3 {
                pixel[channel] = (pixel[channel] - self.mean[channel]) * scale[channel];
            }
        }
        values
    }

    /// The picture as a square, 8 bits a value.
    fn square(&self, pixels: &Pixels) -> Pixels {
        let crop = match self.fit {
            Fit::CentreSquare => CropBox::centre_square(pixels),
            Fit::ShorterSide => return shorter_side_crop(self.filter, pixels, self.side),
            Fit::Squash => CropBox::whole(pixels),
        };
        crop_resize_by(self.filter, pixels, crop, self.side, self.side)
    }
}

/// 8-bit values to `[0, 1]`.
pub(super) fn unit_range(pixels: &Pixels) -> Vec<f32> {
    pixels.rgb.iter().map(|&value| f32::from(value) * (1.0 / 255.0)).collect()
}
