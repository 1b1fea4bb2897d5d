//! Pictures: decoding, resizing, augmentation, normalised pixels.

mod augment;
mod colour;
mod decode;
mod operations;
mod rand_augment;
mod resize;
mod transform;
mod vector;

pub use augment::ImageAugment;
pub use decode::{ImageError, decode};
pub use operations::Operation;
pub use rand_augment::RandAugment;
pub use resize::{CropBox, Filter, crop_resize, crop_resize_by, shorter_side_crop};
pub use transform::{Fit, ImageTransform};
pub use vector::{encode_png, render_svg};

/// A decoded picture: 8-bit sRGB without alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// `[height, width, 3]`, row by row.
    pub rgb: Vec<u8>,
    /// In pixels, at least 1.
    pub width: usize,
    /// In pixels, at least 1.
    pub height: usize,
}

impl Pixels {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, rgb: [u8; 3]) -> Self {
        Self { rgb: rgb.iter().copied().cycle().take(width * height * 3).collect(), width, height }
    }
}
