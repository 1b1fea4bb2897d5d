//! Cropping and resizing.

use std::cell::RefCell;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use super::Pixels;

/// How pixels between pixels are made up. All of them widen when a picture shrinks, against aliasing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The mean of a rectangle; the nearest pixel when a picture grows.
    Box,
    /// A triangle of 2 pixels.
    Bilinear,
    /// Catmull-Rom's cubic over 4 pixels, which is what CLIP and its like were trained with.
    #[default]
    Bicubic,
    /// A windowed sinc over 6 pixels.
    Lanczos,
}

impl Filter {
    /// Every filter.
    pub const ALL: [Self; 4] = [Self::Box, Self::Bilinear, Self::Bicubic, Self::Lanczos];

    fn kind(self) -> FilterType {
        match self {
            Self::Box => FilterType::Box,
            Self::Bilinear => FilterType::Bilinear,
            Self::Bicubic => FilterType::CatmullRom,
            Self::Lanczos => FilterType::Lanczos3,
        }
    }
}

/// A rectangle in pixels of a picture, with fractions; it may reach beyond the picture, into white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropBox {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Width, above 0.
    pub width: f64,
    /// Height, above 0.
    pub height: f64,
}

impl CropBox {
    /// All of the picture.
    pub fn whole(pixels: &Pixels) -> Self {
        Self { left: 0.0, top: 0.0, width: pixels.width as f64, height: pixels.height as f64 }
    }

    /// The largest square in the middle.
    pub fn centre_square(pixels: &Pixels) -> Self {
        let side = pixels.width.min(pixels.height) as f64;
        let (width, height) = (pixels.width as f64, pixels.height as f64);
        Self { left: (width - side) / 2.0, top: (height - side) / 2.0, width: side, height: side }
    }
}

thread_local! {
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Cuts a rectangle out and brings it to a size, by Catmull-Rom with antialiasing; see [`crop_resize_by`].
///
/// # Panics
/// If a side is 0 or the rectangle is empty.
pub fn crop_resize(pixels: &Pixels, crop: CropBox, width: usize, height: usize) -> Pixels {
    crop_resize_by(Filter::Bicubic, pixels, crop, width, height)
}

/// Cuts a rectangle out and brings it to a size.
///
/// Horizontally first, then vertically, rounding between: that is what Pillow has done for long, and the result is within
/// 2 levels of its filter of the same name. Two exceptions: Pillow 13 goes vertically first at some sizes, which shows by
/// up to 7 levels at hard edges; and the box filter jumps, so that where a pixel's middle falls on a box's very edge,
/// rounding errors decide there and here whether it counts.
///
/// # Panics
/// If a side is 0 or the rectangle is empty.
///
/// # Reference
/// Pillow 11.3, `Image.resize(size, resample, box)`.
pub fn crop_resize_by(filter: Filter, pixels: &Pixels, crop: CropBox, width: usize, height: usize) -> Pixels {
    assert!(width > 0 && height > 0, "a picture of {width}x{height} does not exist");
    assert!(crop.width > 0.0 && crop.height > 0.0, "the rectangle {crop:?} is empty");
    if crop == CropBox::whole(pixels) && (width, height) == (pixels.width, pixels.height) {
        return pixels.clone();
    }
    let is_inside = crop.left >= 0.0
        && crop.top >= 0.0
        && crop.left + crop.width <= pixels.width as f64
        && crop.top + crop.height <= pixels.height as f64;
    if is_inside {
        return resize_inside(filter, pixels, crop, width, height);
    }
    let (canvas, left, top) = with_margins(pixels, crop);
    let mut moved = CropBox { left: crop.left + left as f64, top: crop.top + top as f64, ..crop };
    // rounding must not push the rectangle over the canvas's edge
    moved.left = moved.left.max(0.0);
    moved.top = moved.top.max(0.0);
    moved.width = moved.width.min(canvas.width as f64 - moved.left);
    moved.height = moved.height.min(canvas.height as f64 - moved.top);
    resize_inside(filter, &canvas, moved, width, height)
}

/// Brings the shorter side to `side` and cuts the middle square out of that, in whole pixels.
///
/// # Panics
/// If `side` is 0.
///
/// # Reference
/// torchvision 0.26, `Resize(side)` then `CenterCrop(side)`, on Pillow pictures; CLIP's preprocessing is the same with
/// the bicubic filter.
pub fn shorter_side_crop(filter: Filter, pixels: &Pixels, side: usize) -> Pixels {
    let Pixels { width, height, .. } = *pixels;
    let shorter = width.min(height);
    // the longer side is rounded down
    let scaled = |length: usize| if length == shorter { side } else { side * length / shorter };
    let (scaled_width, scaled_height) = (scaled(width), scaled(height));
    let start = |length: usize| half_to_even(length - side);
    let (left, top) = (start(scaled_width), start(scaled_height));
    if (scaled_width, scaled_height) == (width, height) {
        return cut(pixels, left, top, side);
    }
    // of the scaled picture only the square is computed
    let (across, down) = (width as f64 / scaled_width as f64, height as f64 / scaled_height as f64);
    let rows = Reach { start: top as f64 * down, length: side as f64 * down, limit: height };
    let columns = Reach { start: left as f64 * across, length: side as f64 * across, limit: width };
    let crop =
        CropBox { left: columns.start, top: rows.start, width: columns.length(), height: rows.length() };
    crop_resize_by(filter, pixels, crop, side, side)
}

/// A stretch of a side.
struct Reach {
    start: f64,
    length: f64,
    limit: usize,
}

impl Reach {
    /// Rounding must not push the end over the edge, into white.
    fn length(&self) -> f64 {
        self.length.min(self.limit as f64 - self.start)
    }
}

/// Half of a number; where that lies between two, the even one, as Python rounds.
fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    half + (n % 2) * (half % 2)
}

fn cut(pixels: &Pixels, left: usize, top: usize, side: usize) -> Pixels {
    let rows = pixels.rgb.chunks_exact(pixels.width * 3).skip(top).take(side);
    let rgb = rows.flat_map(|row| &row[left * 3..(left + side) * 3]).copied().collect();
    Pixels { rgb, width: side, height: side }
}

fn resize_inside(filter: Filter, pixels: &Pixels, crop: CropBox, width: usize, height: usize) -> Pixels {
    let across =
        one_pass(filter, pixels, (crop.left, 0.0, crop.width, pixels.height as f64), width, pixels.height);
    one_pass(filter, &across, (0.0, crop.top, width as f64, crop.height), width, height)
}

fn one_pass(
    filter: Filter,
    pixels: &Pixels,
    (left, top, wide, high): (f64, f64, f64, f64),
    width: usize,
    height: usize,
) -> Pixels {
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter.kind()))
        .crop(left, top, wide, high)
        .use_alpha(false);
    let source = ImageRef::new(pixels.width as u32, pixels.height as u32, &pixels.rgb, PixelType::U8x3)
        .expect("pixels hold width x height x 3 bytes");
    let mut target = Image::new(width as u32, height as u32, PixelType::U8x3);
    RESIZER.with_borrow_mut(|resizer| {
        resizer
            .resize(&source, &mut target, &options)
            .expect("both pictures are RGB and the crop lies inside");
    });
    Pixels { rgb: target.into_vec(), width, height }
}

/// The picture on white, large enough for the rectangle, and where it lies there.
fn with_margins(pixels: &Pixels, crop: CropBox) -> (Pixels, usize, usize) {
    let before = |start: f64| (-start).max(0.0).ceil() as usize;
    let after =
        |start: f64, length: f64, size: usize| (start + length - size as f64).max(0.0).ceil() as usize;
    let (left, top) = (before(crop.left), before(crop.top));
    let width = left + pixels.width + after(crop.left, crop.width, pixels.width);
    let height = top + pixels.height + after(crop.top, crop.height, pixels.height);
    let mut canvas = Pixels::filled(width, height, [255; 3]);
    for (row, source) in pixels.rgb.chunks_exact(pixels.width * 3).enumerate() {
        let start = ((top + row) * width + left) * 3;
        canvas.rgb[start..start + source.len()].copy_from_slice(source);
    }
    (canvas, left, top)
}
