//! Pictures and sounds small enough to show on a page.

use image::{ExtendedColorType, ImageEncoder, codecs::jpeg};

use super::facts::without_panic;
use crate::audio::{decode as decode_audio, encode_wav};
use crate::image::{CropBox, Pixels, crop_resize, decode as decode_image, encode_png};

const JPEG_QUALITY: u8 = 82;

/// A picture made small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// A JPEG or a PNG file, whichever is shorter.
    pub bytes: Vec<u8>,
    /// Whether it is a JPEG.
    pub is_jpeg: bool,
    /// Of the picture itself, in pixels.
    pub width: usize,
    /// Of the picture itself, in pixels.
    pub height: usize,
}

/// The beginning of a sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// A WAV file: 16 kHz, 16 bits, one channel.
    pub wav: Vec<u8>,
    /// Length of the clip in seconds.
    pub duration_s: f64,
    /// Length of the whole sound in seconds.
    pub whole_s: f64,
    /// `[n_columns]`: the lowest and the highest sample of each column of the clip, -1 to 1.
    pub peaks: Vec<(f32, f32)>,
}

/// Decodes a picture and makes it fit into a square; a smaller one stays as it is.
///
/// # Errors
/// What is wrong with it, in words.
pub fn thumbnail(bytes: &[u8], extension: &str, side: usize) -> Result<Thumbnail, String> {
    without_panic(|| {
        let pixels = decode_image(bytes, extension).map_err(|e| e.to_string())?;
        let (width, height) = (pixels.width, pixels.height);
        let scale = (side.max(1) as f64 / width.max(height) as f64).min(1.0);
        let fit = |length: usize| ((length as f64 * scale).round() as usize).max(1);
        let whole = CropBox { left: 0.0, top: 0.0, width: width as f64, height: height as f64 };
        let small = crop_resize(&pixels, whole, fit(width), fit(height));
        let png = encode_png(&small).map_err(|e| e.to_string())?;
        let jpeg = encode_jpeg(&small)?;
        let is_jpeg = jpeg.len() < png.len();
        Ok(Thumbnail { bytes: if is_jpeg { jpeg } else { png }, is_jpeg, width, height })
    })
}

fn encode_jpeg(pixels: &Pixels) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    jpeg::JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .write_image(&pixels.rgb, pixels.width as u32, pixels.height as u32, ExtendedColorType::Rgb8)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// Decodes a sound of at most `max_whole_s` seconds, and cuts it off after `max_s`.
///
/// # Errors
/// What is wrong with it, in words; a longer sound too.
pub fn clip(
    bytes: &[u8],
    extension: &str,
    max_s: f64,
    max_whole_s: f64,
    n_columns: usize,
) -> Result<Clip, String> {
    without_panic(|| {
        let mut waveform = decode_audio(bytes, extension, max_whole_s).map_err(|e| e.to_string())?;
        let whole_s = waveform.duration_s();
        let n_kept = ((max_s * f64::from(waveform.rate_hz)) as usize).max(1);
        waveform.samples.truncate(n_kept);
        let heard = waveform.at_rate().map_err(|e| e.to_string())?;
        let wav = encode_wav(&heard).map_err(|e| e.to_string())?;
        let peaks = peaks(&heard.samples, n_columns);
        Ok(Clip { wav, duration_s: heard.duration_s(), whole_s, peaks })
    })
}

fn peaks(samples: &[f32], n_columns: usize) -> Vec<(f32, f32)> {
    let width = samples.len().div_ceil(n_columns.max(1)).max(1);
    let ends =
        |column: &[f32]| column.iter().fold((0f32, 0f32), |(low, high), v| (low.min(*v), high.max(*v)));
    samples.chunks(width).map(ends).map(|(low, high)| (low.max(-1.0), high.min(1.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Waveform;

    #[test]
    fn a_thumbnail_fits_its_square_and_is_the_shorter_file() {
        let mut noise = Pixels::filled(200, 100, [0; 3]);
        let mut draw = crate::draw::Draw::new(1, 0, "", "noise");
        noise.rgb.iter_mut().for_each(|value| *value = draw.next_u64() as u8);
        let bytes = encode_png(&noise).expect("it fits");
        let small = thumbnail(&bytes, "png", 50).expect("it decodes");
        assert!(small.is_jpeg && (small.width, small.height) == (200, 100));
        let decoded = decode_image(&small.bytes, "jpg").expect("it decodes");
        assert_eq!((decoded.width, decoded.height), (50, 25));
        let plain = encode_png(&Pixels::filled(20, 10, [9; 3])).expect("it fits");
        let kept = thumbnail(&plain, "png", 50).expect("it decodes");
        assert!(!kept.is_jpeg && decode_image(&kept.bytes, "png").is_ok_and(|pixels| pixels.width == 20));
        assert!(thumbnail(&bytes[..60], "png", 50).is_err());
        let line = encode_png(&Pixels::filled(3000, 1, [9; 3])).expect("it fits");
        assert!(thumbnail(&line, "png", 50).is_ok());
    }

    #[test]
    fn a_clip_is_the_beginning_with_its_peaks() {
        let ramp = (0..8_000).map(|i| i as f32 / 8_000.0).collect();
        let bytes = encode_wav(&Waveform { samples: ramp, rate_hz: 8_000 }).expect("it is short");
        let clip = clip(&bytes, "wav", 0.5, 10.0, 10).expect("it decodes");
        assert!((clip.whole_s - 1.0).abs() < 1e-9 && (clip.duration_s - 0.5).abs() < 0.01, "{clip:?}");
        assert!(clip.peaks.len() <= 10 && clip.peaks.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 0.05));
        assert!(super::clip(&bytes, "wav", 0.5, 0.2, 10).is_err());
        assert!(super::clip(b"", "wav", 0.5, 10.0, 10).is_err());
    }
}
