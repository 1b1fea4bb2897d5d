//! Pictures and sounds that are not what they claim to be.

use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use triptych_datasets::audio::{AudioError, Waveform, decode as decode_audio, encode_wav, header_duration_s};
use triptych_datasets::image::{CropBox, ImageError, Pixels, crop_resize, decode, encode_png, render_svg};

use crate::fixture::{picture, tone};

fn quadrants() -> Pixels {
    let rgb = (0..16 * 16).flat_map(|i| [(i % 16) as u8 * 16, (i / 16) as u8 * 16, 0]).collect();
    Pixels { rgb, width: 16, height: 16 }
}

#[test]
fn png_gives_back_its_pixels_whatever_its_ending() {
    let bytes = encode_png(&quadrants()).expect("the pixels fit their size");
    for extension in ["png", "jpg", "", "wav"] {
        assert_eq!(decode(&bytes, extension).expect("the content decides"), quadrants());
    }
}

#[test]
fn other_things_than_pictures_are_refused() {
    assert!(matches!(decode(&[], "png"), Err(ImageError::Empty)));
    assert!(matches!(decode(b"not a picture at all", "png"), Err(ImageError::UnknownFormat { .. })));
    assert!(matches!(decode(&tone(1, 1), "png"), Err(ImageError::UnknownFormat { .. })));
    assert!(matches!(decode(b"<html></html>", "svg"), Err(ImageError::Broken { .. })));
    let whole = picture(1, 1);
    for length in [9, 20, 40, whole.len() - 20] {
        assert!(matches!(decode(&whole[..length], "png"), Err(ImageError::Broken { .. })), "{length} bytes");
    }
}

/// A PNG file of a few bytes whose header promises a picture of any size.
pub(crate) fn promising_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        bytes.extend((data.len() as u32).to_be_bytes());
        let body: Vec<u8> = kind.iter().chain(data).copied().collect();
        bytes.extend(&body);
        bytes.extend(crc32(&body).to_be_bytes());
    };
    let size: Vec<u8> = width.to_be_bytes().into_iter().chain(height.to_be_bytes()).collect();
    chunk(b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat());
    chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]);
    chunk(b"IEND", &[]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn decompression_bombs_are_refused_before_they_unfold() {
    for (width, height) in [(1 << 30, 1 << 30), (100_000, 10), (16_000, 16_000)] {
        let error =
            decode(&promising_png(width, height), "png").expect_err("nobody has that much memory to spare");
        assert!(matches!(error, ImageError::TooLarge { .. }), "{width}x{height}: {error}");
    }
}

#[test]
fn transparency_is_laid_on_white() {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&[0, 0, 0, 0, 0, 0, 0, 255, 200, 0, 0, 51], 3, 1, ExtendedColorType::Rgba8)
        .expect("three pixels");
    let pixels = decode(&bytes, "png").expect("it is a picture");
    assert_eq!(pixels.rgb, [255, 255, 255, 0, 0, 0, 244, 204, 204]);
}

#[test]
fn jpeg_is_turned_upright_by_its_exif_orientation() {
    // black above, white below
    let rgb: Vec<u8> = (0..16 * 16).flat_map(|i| [if i < 128 { 0 } else { 255 }; 3]).collect();
    let mut plain = Vec::new();
    JpegEncoder::new_with_quality(&mut plain, 95)
        .write_image(&rgb, 16, 16, ExtendedColorType::Rgb8)
        .expect("the pixels fit their size");
    // orientation 6: the first row is the picture's right side
    let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut turned = plain[..2].to_vec();
    turned.extend([0xff, 0xe1]);
    turned.extend(((2 + 6 + tiff.len()) as u16).to_be_bytes());
    turned.extend(b"Exif\0\0");
    turned.extend(tiff);
    turned.extend(&plain[2..]);
    let value = |bytes: &[u8], row: usize, column: usize| {
        decode(bytes, "jpg").expect("it is a picture").rgb[(row * 16 + column) * 3]
    };
    assert!(value(&plain, 2, 8) < 60 && value(&plain, 13, 8) > 200);
    assert!(value(&turned, 8, 13) < 60 && value(&turned, 8, 2) > 200);
}

#[test]
fn svg_is_drawn_on_white_and_reads_no_other_file() {
    let svg = br##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10">
        <rect width="10" height="10" fill="#f00"/><image href="/etc/hostname" width="20" height="10"/></svg>"##;
    let pixels = render_svg(svg, 40).expect("it is SVG");
    let at = |column: usize, row: usize| &pixels.rgb[(row * 40 + column) * 3..][..3];
    assert_eq!((pixels.width, pixels.height), (40, 40));
    assert_eq!((at(5, 20), at(30, 20), at(5, 5)), (&[255, 0, 0][..], &[255; 3][..], &[255; 3][..]));
}

#[test]
fn resizing_keeps_flat_colours_and_reaches_into_white() {
    let flat = Pixels::filled(50, 30, [10, 120, 200]);
    let whole = CropBox { left: 0.0, top: 0.0, width: 50.0, height: 30.0 };
    assert_eq!(crop_resize(&flat, whole, 17, 23), Pixels::filled(17, 23, [10, 120, 200]));
    let beside = CropBox { left: 60.0, top: 0.0, width: 10.0, height: 10.0 };
    assert_eq!(crop_resize(&flat, beside, 5, 5), Pixels::filled(5, 5, [255; 3]));
    let half = crop_resize(&flat, CropBox { left: -50.0, top: 0.0, width: 100.0, height: 30.0 }, 10, 3);
    assert_eq!((&half.rgb[..3], &half.rgb[27..30]), (&[255; 3][..], &[10, 120, 200][..]));
}

#[test]
fn wav_gives_back_its_samples() {
    let waveform = Waveform { samples: (0..1000).map(|i| (i as f32 * 0.1).sin()).collect(), rate_hz: 22_050 };
    let bytes = encode_wav(&waveform).expect("it is short");
    assert_eq!(header_duration_s(&bytes, "wav"), Some(1000.0 / 22_050.0));
    for extension in ["wav", "mp3", ""] {
        let decoded = decode_audio(&bytes, extension, 10.0).expect("the content decides");
        assert_eq!((decoded.rate_hz, decoded.samples.len()), (22_050, 1000));
        let is_near = decoded.samples.iter().zip(&waveform.samples).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(is_near);
    }
}

/// A WAV file of 32-bit floats.
pub(crate) fn float_wav(samples: &[f32], n_channels: u16) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: n_channels,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut bytes = Vec::new();
    let mut writer =
        hound::WavWriter::new(std::io::Cursor::new(&mut bytes), spec).expect("the format exists");
    samples.iter().for_each(|sample| writer.write_sample(*sample).expect("memory takes it"));
    writer.finalize().expect("memory takes it");
    bytes
}

#[test]
fn other_things_than_sounds_are_refused() {
    assert!(matches!(decode_audio(&[], "wav", 1.0), Err(AudioError::Empty)));
    for bytes in [&b"not a sound at all, only some words"[..], &picture(1, 1)] {
        assert!(matches!(decode_audio(bytes, "wav", 1.0), Err(AudioError::UnknownFormat { .. })));
    }
    assert!(matches!(decode_audio(&float_wav(&[], 1), "wav", 1.0), Err(AudioError::Silent { .. })));
    assert!(matches!(decode_audio(&tone(1, 1), "wav", 0.01), Err(AudioError::TooLong { .. })));
}

#[test]
fn samples_that_are_not_numbers_are_refused_by_their_place() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut samples = vec![0.1; 500];
        samples[321] = value;
        let error = decode_audio(&float_wav(&samples, 1), "wav", 1.0).expect_err("it is no sound");
        assert!(matches!(error, AudioError::NotFinite { sample_idx: 321, .. }), "{error}");
    }
}

#[test]
fn channels_are_averaged() {
    let decoded = decode_audio(&float_wav(&[0.5, -0.1, 0.5, -0.1], 2), "wav", 1.0).expect("it is a sound");
    assert!(decoded.samples.len() == 2 && decoded.samples.iter().all(|v| (v - 0.2).abs() < 1e-6));
}
