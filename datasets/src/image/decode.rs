//! Encoded pictures to pixels.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{Pixels, render_svg};
use crate::signature::describe;

/// Larger sides are refused before anything is decoded.
const MAX_SIDE: u32 = 16_384;
/// A decoded picture may take this much memory, whatever its header says.
const MAX_DECODED_BYTES: u64 = 256 << 20;
/// Vector pictures have no pixels of their own.
const VECTOR_SIDE: usize = 256;

/// A picture that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There is nothing in it.
    #[error("expected a picture, got an empty file")]
    Empty,
    /// Its content is of no format that is known here.
    #[error(
        "expected a PNG, JPEG, WebP, GIF, BMP, TIFF or SVG picture, got {content} in a file .{extension}"
    )]
    UnknownFormat {
        /// The file's ending.
        extension: String,
        /// What its first bytes look like.
        content: &'static str,
    },
    /// It is larger than any picture should be.
    #[error(
        "expected a picture of at most {MAX_SIDE} pixels a side and {MAX_DECODED_BYTES} bytes decoded: {reason}"
    )]
    TooLarge {
        /// The decoder's words.
        reason: String,
    },
    /// The decoder gave up.
    #[error("broken picture in a file .{extension} that begins as {content}: {reason}")]
    Broken {
        /// The file's ending.
        extension: String,
        /// What its first bytes look like.
        content: &'static str,
        /// The decoder's words.
        reason: String,
    },
}

/// Decodes a picture of any known format, upright by its EXIF orientation, transparency laid on white, the first
/// frame of an animation. The content decides the format; the file's ending is only for messages, and for SVG.
///
/// # Errors
/// An empty file, an unknown format, a broken file, or one that would take too much memory.
pub fn decode(bytes: &[u8], extension: &str) -> Result<Pixels, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if extension.eq_ignore_ascii_case("svg") {
        return render_svg(bytes, VECTOR_SIDE);
    }
    let content = describe(bytes);
    let broken = |reason: String| ImageError::Broken { extension: extension.to_owned(), content, reason };
    let classify = |e: image::ImageError| match e {
        image::ImageError::Limits(limit) => ImageError::TooLarge { reason: limit.to_string() },
        other => broken(other.to_string()),
    };
    let format = image::guess_format(bytes)
        .ok()
        .filter(|format| format.reading_enabled())
        .ok_or_else(|| ImageError::UnknownFormat { extension: extension.to_owned(), content })?;
    if format == ImageFormat::WebP && !has_whole_chunks(bytes) {
        return Err(broken("a chunk is longer than the file".to_owned()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(classify)?;
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        let (width, height) = decoder.dimensions();
        return Err(ImageError::TooLarge { reason: format!("got {width}x{height}") });
    }
    let orientation = decoder.orientation().map_err(classify)?;
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(classify)?;
    decoded.apply_orientation(orientation);
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    if width == 0 || height == 0 {
        return Err(broken(format!("it has {width}x{height} pixels")));
    }
    let rgb = if decoded.color().has_alpha() {
        over_white(decoded.into_rgba8().as_raw())
    } else {
        decoded.into_rgb8().into_raw()
    };
    Ok(Pixels { rgb, width, height })
}

/// Whether every chunk of a WebP file ends within the file: the decoder takes as much memory as a chunk claims to need.
fn has_whole_chunks(bytes: &[u8]) -> bool {
    const HEADER_BYTES: usize = 12;
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((&[_, _, _, _, a, b, c, d], behind)) = rest.split_first_chunk() {
        let n_bytes = u32::from_le_bytes([a, b, c, d]) as usize;
        if n_bytes > behind.len() {
            return false;
        }
        // filled up to an even number
        rest = behind.get(n_bytes + n_bytes % 2..).unwrap_or_default();
    }
    true
}

/// Straight alpha over white.
fn over_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        for &value in &pixel[..3] {
            rgb.push(((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
        }
    }
    rgb
}
