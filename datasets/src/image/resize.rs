//! Cropping and resizing.

use std::cell::RefCell;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::Pixels;

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

/// Cuts a rectangle out and brings it to a size, by Catmull-Rom with antialiasing.
///
/// Horizontally first, then vertically, rounding between: that is what Pillow's bicubic does, and the result is
/// within 2 levels of it.
///
/// # Panics
/// If a side is 0 or the rectangle is empty.
pub fn crop_resize(pixels: &Pixels, crop: CropBox, width: usize, height: usize) -> Pixels {
    assert!(width > 0 && height > 0, "a picture of {width}x{height} does not exist");
    assert!(crop.width > 0.0 && crop.height > 0.0, "the rectangle {crop:?} is empty");
    let is_whole =
        crop == CropBox { left: 0.0, top: 0.0, width: pixels.width as f64, height: pixels.height as f64 };
    if is_whole && (width, height) == (pixels.width, pixels.height) {
        return pixels.clone();
    }
    let is_inside = crop.left >= 0.0
        && crop.top >= 0.0
        && crop.left + crop.width <= pixels.width as f64
        && crop.top + crop.height <= pixels.height as f64;
    if is_inside {
        return resize_inside(pixels, crop, width, height);
    }
    let (canvas, left, top) = with_margins(pixels, crop);
    let mut moved = CropBox { left: crop.left + left as f64, top: crop.top + top as f64, ..crop };
    // rounding must not push the rectangle over the canvas's edge
    moved.left = moved.left.max(0.0);
    moved.top = moved.top.max(0.0);
    moved.width = moved.width.min(canvas.width as f64 - moved.left);
    moved.height = moved.height.min(canvas.height as f64 - moved.top);
    resize_inside(&canvas, moved, width, height)
}

fn resize_inside(pixels: &Pixels, crop: CropBox, width: usize, height: usize) -> Pixels {
    let across = one_pass(pixels, (crop.left, 0.0, crop.width, pixels.height as f64), width, pixels.height);
    one_pass(&across, (0.0, crop.top, width as f64, crop.height), width, height)
}

fn one_pass(
    pixels: &Pixels,
    (left, top, wide, high): (f64, f64, f64, f64),
    width: usize,
    height: usize,
) -> Pixels {
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
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
