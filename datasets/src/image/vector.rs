//! SVG drawings to pixels, and pixels to PNG.

use image::{ExtendedColorType, ImageEncoder, codecs::png};
use resvg::{tiny_skia, usvg};

use super::{ImageError, Pixels};
use crate::signature::describe;

/// Draws an SVG document into a white square, as large as it goes, centred.
///
/// # Errors
/// A document that is not SVG, or has no size.
pub fn render_svg(svg: &[u8], side: usize) -> Result<Pixels, ImageError> {
    let content = describe(svg);
    let broken = |reason: String| ImageError::Broken { extension: "svg".to_owned(), content, reason };
    if svg.is_empty() {
        return Err(ImageError::Empty);
    }
    // nothing outside the document is read: it may come from anywhere
    let options = usvg::Options {
        resources_dir: None,
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_data(svg, &options).map_err(|e| broken(e.to_string()))?;
    let pixels = side as u32;
    let mut canvas = tiny_skia::Pixmap::new(pixels, pixels)
        .ok_or_else(|| broken(format!("cannot draw {side} pixels a side")))?;
    canvas.fill(tiny_skia::Color::WHITE);
    let (width, height) = (tree.size().width(), tree.size().height());
    let scale = side as f32 / width.max(height);
    let transform = tiny_skia::Transform::from_row(
        scale,
        0.0,
        0.0,
        scale,
        (side as f32 - width * scale) / 2.0,
        (side as f32 - height * scale) / 2.0,
    );
    resvg::render(&tree, transform, &mut canvas.as_mut());
    let rgb = canvas.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Ok(Pixels { rgb, width: side, height: side })
}

/// Packs pixels into a PNG file.
///
/// # Errors
/// Pixels whose number does not fit the size.
pub fn encode_png(pixels: &Pixels) -> Result<Vec<u8>, ImageError> {
    let broken =
        |reason: String| ImageError::Broken { extension: "png".to_owned(), content: "pixels", reason };
    let Pixels { rgb, width, height } = pixels;
    if rgb.len() != width * height * 3 {
        return Err(broken(format!("expected {width}x{height}x3 bytes, got {}", rgb.len())));
    }
    let mut bytes = Vec::new();
    png::PngEncoder::new_with_quality(&mut bytes, png::CompressionType::Default, png::FilterType::Adaptive)
        .write_image(rgb, *width as u32, *height as u32, ExtendedColorType::Rgb8)
        .map_err(|e| broken(e.to_string()))?;
    Ok(bytes)
}
