//! Files of every format, cut off and changed at random: each is decoded or refused, within bounded memory.
//! `tests/media/make.py` made the files.

use std::fs;
use std::path::Path;

use rstest::rstest;
use triptych_datasets::audio::{AudioError, decode as decode_sound};
use triptych_datasets::draw::Draw;
use triptych_datasets::image::{ImageError, decode as decode_picture};

use crate::fixture::tone;
use crate::memory::most_bytes;

/// Decoders keep their own buffers beside what they decode.
const MOST_BYTES: usize = 600 << 20;
const N_CHANGED: u64 = 150;

pub(crate) fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media");
    fs::read(folder.join(name)).expect("the file was made by make.py")
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').expect("every file has an ending").1
}

/// A file with some of its bytes changed, and perhaps cut, doubled in part or filled up.
fn changed(whole: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..1 + draw.below(8) {
        // headers decide the most
        let range = if draw.chance(0.5) { bytes.len().min(128) } else { bytes.len() };
        let at = draw.below(range);
        bytes[at] = match draw.below(4) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ (1 << draw.below(8)),
            _ => draw.next_u64() as u8,
        };
    }
    match draw.below(6) {
        0 => bytes.truncate(1 + draw.below(whole.len())),
        1 => bytes.extend_from_slice(&whole[draw.below(whole.len())..]),
        2 => drop(bytes.drain(..draw.below(whole.len()))),
        _ => {}
    }
    bytes
}

fn check(name: &str, bytes: &[u8], what: &str) {
    let (is_picture, most) = most_bytes(|| {
        let picture = decode_picture(bytes, extension(name));
        if let Ok(pixels) = &picture {
            assert_eq!(pixels.rgb.len(), pixels.width * pixels.height * 3);
        }
        picture.is_ok()
    });
    assert!(most < MOST_BYTES, "{name}, {what}: {most} bytes for a picture");
    let (is_sound, most) = most_bytes(|| {
        let sound = decode_sound(bytes, extension(name), 30.0);
        if let Ok(waveform) = &sound {
            assert!(!waveform.samples.is_empty() && waveform.samples.iter().all(|sample| sample.is_finite()));
            assert!(waveform.duration_s() <= 30.0);
        }
        sound.is_ok()
    });
    assert!(most < MOST_BYTES, "{name}, {what}: {most} bytes for a sound");
    assert!(!(is_picture && is_sound), "{name}, {what}: a picture and a sound at once");
}

#[rstest]
fn changed_and_cut_files_are_decoded_or_refused(
    #[values(
        "card-6.jpg",
        "card-progressive.jpg",
        "card-cmyk.jpg",
        "card-6.png",
        "card-6.webp",
        "card-6.tiff",
        "card.gif",
        "card.bmp",
        "gray-16-bit.png",
        "tone.flac",
        "tone-24-bit.flac",
        "tone.mp3",
        "tone-44100.mp3",
        "tone-tagged.mp3",
        "tone.ogg",
        "tone.aac",
        "tone.m4a",
        "tone.wav",
        "tone-24-bit.wav",
        "tone.opus",
        "video.mp4",
        "video-index-last.mp4",
        "video.mkv",
        "video-aac.mkv",
        "video.webm"
    )]
    name: &str,
) {
    let whole = file(name);
    // everywhere in the headers, then here and there
    for length in (0..whole.len()).filter(|length| *length < 64 || length % 97 == 0) {
        check(name, &whole[..length], &format!("cut to {length} bytes"));
    }
    for number in 0..N_CHANGED {
        let bytes = changed(&whole, &mut Draw::new(1, number, name, "change"));
        check(name, &bytes, &format!("change {number}"));
    }
}

#[rstest]
#[case("tone.flac", 16_000)]
#[case("tone-24-bit.flac", 16_000)]
#[case("tone.mp3", 16_000)]
#[case("tone-44100.mp3", 44_100)]
#[case("tone-tagged.mp3", 16_000)]
#[case("tone.ogg", 16_000)]
#[case("tone.aac", 16_000)]
#[case("tone.m4a", 16_000)]
#[case("tone.wav", 16_000)]
#[case("tone-24-bit.wav", 16_000)]
#[case("video.mp4", 16_000)]
#[case("video-index-last.mp4", 16_000)]
#[case("video.mkv", 16_000)]
#[case("video-aac.mkv", 16_000)]
#[case("video.webm", 16_000)]
fn sounds_of_every_format_hold_the_same_tone(#[case] name: &str, #[case] rate_hz: u32) {
    // whatever the file is called
    for extension in [extension(name), "", "png"] {
        let waveform = decode_sound(&file(name), extension, 1.0).expect("the file is whole");
        assert_eq!(waveform.rate_hz, rate_hz);
        // encoders fill up their first and last block
        assert!((0.39..0.56).contains(&waveform.duration_s()), "{name}: {} s", waveform.duration_s());
        let power = waveform.samples.iter().map(|v| v * v).sum::<f32>() / (0.4 * rate_hz as f32);
        assert!((0.1..0.14).contains(&power), "{name}: power {power} of a sine of 0.5");
        // 300 Hz and up to 1100: 280 turns in 0.4 s, each twice across zero; what surrounds the tone does not count
        let is_above: Vec<_> =
            waveform.samples.iter().filter(|v| v.abs() > 0.1).map(|sample| *sample > 0.0).collect();
        let n_crossings = is_above.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((545..575).contains(&n_crossings), "{name}: {n_crossings} zero crossings");
    }
}

#[rstest]
#[case("tone.opus", "got Ogg in a file .opus")]
#[case("video-without-sound.mp4", "got MP4 in a file .mp4")]
#[case("card.bmp", "got BMP in a file .bmp")]
fn sounds_that_cannot_be_decoded_are_named_by_content_and_ending(#[case] name: &str, #[case] expected: &str) {
    let error = decode_sound(&file(name), extension(name), 1.0).expect_err("there is no decoder for it");
    assert!(matches!(error, AudioError::UnknownFormat { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn wrong_endings_are_told_with_the_content() {
    let error = decode_picture(&file("tone.wav"), "jpg").expect_err("it is a sound");
    assert!(error.to_string().ends_with("picture, got WAV in a file .jpg"), "{error}");
    let error = decode_sound(&file("card-1.jpg"), "mp3", 1.0).expect_err("it is a picture");
    assert!(error.to_string().contains(" got JPEG in a file .mp3"), "{error}");
    let error = decode_picture(b"<html>404</html>", "png").expect_err("it is a page");
    assert!(error.to_string().ends_with("got HTML in a file .png"), "{error}");
    let error = decode_picture(&file("card-1.jpg")[..300], "png").expect_err("it is cut");
    assert!(error.to_string().starts_with("broken picture in a file .png that begins as JPEG: "), "{error}");
}

/// Columns and rows of the black and the red corner, for each orientation of the card.
#[rstest]
#[case(1, (4, 4), (28, 4))]
#[case(2, (28, 4), (4, 4))]
#[case(3, (28, 20), (4, 20))]
#[case(4, (4, 20), (28, 20))]
#[case(5, (4, 4), (4, 28))]
#[case(6, (20, 4), (20, 28))]
#[case(7, (20, 28), (20, 4))]
#[case(8, (4, 28), (4, 4))]
fn pictures_are_turned_upright(
    #[case] orientation: usize,
    #[case] black: (usize, usize),
    #[case] red: (usize, usize),
) {
    let endings: &[&str] = if orientation == 6 { &["jpg", "png", "webp", "tiff"] } else { &["jpg"] };
    for extension in endings {
        let name = format!("card-{orientation}.{extension}");
        let pixels = decode_picture(&file(&name), extension).expect("the file is whole");
        let expected = if orientation < 5 { (32, 24) } else { (24, 32) };
        assert_eq!((pixels.width, pixels.height), expected, "{name}");
        let at = |(column, row): (usize, usize)| &pixels.rgb[(row * pixels.width + column) * 3..][..3];
        assert!(at(black).iter().all(|value| *value < 40), "{name}: {:?} is not black", at(black));
        assert!(at(red)[0] > 160 && at(red)[1] < 60, "{name}: {:?} is not red", at(red));
    }
}

#[rstest]
#[case("card-progressive.jpg")]
#[case("card-cmyk.jpg")]
#[case("card-gray.jpg")]
#[case("card.gif")]
#[case("card.bmp")]
fn pictures_of_every_kind_show_the_black_corner(#[case] name: &str) {
    let pixels = decode_picture(&file(name), extension(name)).expect("the file is whole");
    assert_eq!((pixels.width, pixels.height), (32, 24));
    assert!(pixels.rgb[..3].iter().all(|value| *value < 30), "{name}: {:?}", &pixels.rgb[..3]);
    assert!(pixels.rgb[23 * 96..][..3].iter().all(|value| *value > 225), "{name}");
}

#[test]
fn sixteen_bits_become_eight() {
    let pixels = decode_picture(&file("gray-16-bit.png"), "png").expect("the file is whole");
    assert!(pixels.rgb.iter().all(|value| value.abs_diff(156) <= 1), "{:?}", &pixels.rgb[..3]);
}

/// A WAV header that claims what it likes, and a second of silence behind it.
pub(crate) fn claiming_wav(n_channels: u16, rate_hz: u32, bits: u16, n_bytes: u32) -> Vec<u8> {
    let frame = n_channels.wrapping_mul(bits / 8);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(n_bytes.wrapping_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    bytes.extend(n_channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend(rate_hz.wrapping_mul(u32::from(frame)).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(n_bytes.to_le_bytes());
    bytes.extend([0; 32_000]);
    bytes
}

#[test]
fn headers_that_claim_the_impossible_are_refused_in_little_memory() {
    let whole = claiming_wav(1, 16_000, 16, 32_000);
    assert_eq!(decode_sound(&whole, "wav", 10.0).expect("it is whole").samples.len(), 16_000);
    for (bytes, what) in [
        (claiming_wav(1, 16_000, 16, 3_456_000_000), "thirty hours"),
        (claiming_wav(1, 0, 16, 32_000), "no rate"),
        (claiming_wav(1, u32::MAX, 16, 32_000), "a rate of gigahertz"),
        (claiming_wav(0, 16_000, 16, 32_000), "no channels"),
        (claiming_wav(u16::MAX, 16_000, 16, 32_000), "65535 channels"),
        (claiming_wav(1, 16_000, 0, 32_000), "no bits"),
        (claiming_wav(1, 16_000, 17, 32_000), "17 bits"),
        (claiming_wav(1, 16_000, 16, 0), "no samples"),
    ] {
        let (decoded, most) = most_bytes(|| decode_sound(&bytes, "wav", 3600.0));
        assert!(most < 4 << 20, "{most} bytes for {what}");
        assert!(decoded.is_err(), "{what} was decoded to {} samples", decoded.map_or(0, |w| w.samples.len()));
    }
}

#[test]
fn long_sounds_stop_at_the_limit_before_they_are_decoded_whole() {
    let rate_hz = 16_000;
    let mut bytes = claiming_wav(1, rate_hz, 8, 64 << 20);
    bytes.resize(44 + (64 << 20), 128);
    let (decoded, most) = most_bytes(|| decode_sound(&bytes, "wav", 2.0));
    assert!(matches!(decoded, Err(AudioError::TooLong { .. })));
    assert!(most < 4 << 20, "{most} bytes for two seconds");
}

#[test]
fn pictures_that_are_too_large_are_refused_in_little_memory() {
    let mut gif = file("card.gif");
    gif[6..10].copy_from_slice(&[0xff; 4]);
    let mut bmp = file("card.bmp");
    bmp[18..22].copy_from_slice(&50_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&50_000u32.to_le_bytes());
    for (bytes, extension) in [(gif, "gif"), (bmp, "bmp")] {
        let (decoded, most) = most_bytes(|| decode_picture(&bytes, extension));
        assert!(matches!(decoded, Err(ImageError::TooLarge { .. })), "{extension}: {decoded:?}");
        assert!(most < 1 << 20, "{most} bytes for {extension}");
    }
}

#[test]
fn empty_files_are_called_empty() {
    assert!(matches!(decode_picture(b"", "jpg"), Err(ImageError::Empty)));
    assert!(matches!(decode_sound(b"", "flac", 1.0), Err(AudioError::Empty)));
    // a header without what should follow it
    assert!(decode_sound(&tone(1, 1)[..44], "wav", 1.0).is_err());
}
