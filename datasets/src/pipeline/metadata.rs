//! What a picture's file says besides the picture: EXIF with its places and cameras, XMP, IPTC, comments.
//!
//! JPEG, PNG and WebP lose it without being encoded anew. A JPEG keeps the one EXIF value that turns it upright.

/// A JPEG segment: the marker, then its length in two bytes with themselves.
const JPEG_START: [u8; 2] = [0xff, 0xd8];
const PNG_START: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stripped {
    /// There was nothing to take out.
    Clean,
    /// The same picture without it.
    Without(Vec<u8>),
    /// It cannot be taken out of such a file: the picture has to be encoded anew.
    Recode,
}

/// Takes the metadata out. `orientation` is EXIF's value, 1 where there is none.
pub(crate) fn strip(bytes: &[u8], orientation: u8) -> Stripped {
    let stripped = if bytes.starts_with(&JPEG_START) {
        jpeg(bytes, orientation)
    } else if orientation != 1 {
        // the value that turns it upright would be lost
        return Stripped::Recode;
    } else if bytes.starts_with(PNG_START) {
        png(bytes)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        webp(bytes)
    } else if bytes.starts_with(b"BM") {
        return Stripped::Clean;
    } else {
        None
    };
    match stripped {
        None => Stripped::Recode,
        Some(stripped) if stripped == bytes => Stripped::Clean,
        Some(stripped) => Stripped::Without(stripped),
    }
}

/// None where the segments do not add up.
fn jpeg(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    let mut out = JPEG_START.to_vec();
    let mut needs_orientation = orientation != 1;
    let mut place = 2;
    loop {
        // fill bytes before a marker are allowed
        while bytes.get(place)? == &0xff && bytes.get(place + 1)? == &0xff {
            place += 1;
        }
        let (0xff, marker) = (*bytes.get(place)?, *bytes.get(place + 1)?) else { return None };
        match marker {
            // end of the picture; what follows is no part of it
            0xd9 => {
                out.extend([0xff, 0xd9]);
                return Some(out);
            }
            // markers without a length
            0x01 | 0xd0..=0xd7 => {
                out.extend([0xff, marker]);
                place += 2;
                continue;
            }
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(place + 2)?, *bytes.get(place + 3)?]));
        let segment = bytes.get(place..place + 2 + length)?;
        let content = segment.get(4..)?;
        let is_kept = match marker {
            // JFIF without its thumbnail would need a new header: the few bytes of a thumbnail are kept
            0xe0 => content.starts_with(b"JFIF\0"),
            0xe2 => content.starts_with(b"ICC_PROFILE\0"),
            0xee => content.starts_with(b"Adobe"),
            0xe1 | 0xe3..=0xed | 0xef | 0xfe => false,
            _ => true,
        };
        if needs_orientation && marker != 0xe0 {
            out.extend(orientation_segment(orientation));
            needs_orientation = false;
        }
        if is_kept {
            out.extend_from_slice(segment);
        }
        place += 2 + length;
        if marker == 0xda {
            // the scan: up to the next marker that is neither a stuffed byte nor a restart
            let start = place;
            loop {
                let found = bytes.get(place..)?.iter().position(|b| *b == 0xff)?;
                place += found;
                match bytes.get(place + 1)? {
                    0x00 | 0xd0..=0xd7 => place += 2,
                    0xff => place += 1,
                    _ => break,
                }
            }
            out.extend_from_slice(&bytes[start..place]);
        }
    }
}

/// An EXIF segment of one value: TIFF header, one directory entry (tag 0x0112, one short), no next directory.
fn orientation_segment(orientation: u8) -> Vec<u8> {
    let mut content = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    content.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (content.len() + 2) as u16;
    let mut segment = vec![0xff, 0xe1];
    segment.extend(length.to_be_bytes());
    segment.extend(content);
    segment
}

fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = PNG_START.to_vec();
    let mut place = PNG_START.len();
    loop {
        let header = bytes.get(place..place + 8)?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = &header[4..8];
        let chunk = bytes.get(place..place.checked_add(length)?.checked_add(12)?)?;
        // what changes how the picture looks is kept, what only tells of it is not
        let is_kept = kind[0].is_ascii_uppercase()
            || matches!(
                kind,
                b"tRNS"
                    | b"gAMA"
                    | b"cHRM"
                    | b"sRGB"
                    | b"iCCP"
                    | b"sBIT"
                    | b"bKGD"
                    | b"pHYs"
                    | b"cICP"
                    | b"acTL"
                    | b"fcTL"
                    | b"fdAT"
                    | b"hIST"
            );
        if is_kept {
            out.extend_from_slice(chunk);
        }
        place += chunk.len();
        if kind == b"IEND" {
            return Some(out);
        }
    }
}

fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    const EXIF_AND_XMP: u8 = 0x08 | 0x04;
    let n_bytes = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    let end = n_bytes.checked_add(8)?;
    let file = bytes.get(..end)?;
    let mut out = file.get(..12)?.to_vec();
    let mut place = 12;
    while place < end {
        let kind = file.get(place..place + 4)?;
        let length = u32::from_le_bytes(file.get(place + 4..place + 8)?.try_into().ok()?) as usize;
        // chunks are filled up to even lengths
        let padded = length.checked_add(length % 2)?;
        let chunk = file.get(place..place.checked_add(8)?.checked_add(padded)?)?;
        match kind {
            b"VP8X" => {
                let start = out.len();
                out.extend_from_slice(chunk);
                *out.get_mut(start + 8)? &= !EXIF_AND_XMP;
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP" => out.extend_from_slice(chunk),
            _ => {}
        }
        place += chunk.len();
    }
    let n_bytes = u32::try_from(out.len() - 8).ok()?;
    out.get_mut(4..8)?.copy_from_slice(&n_bytes.to_le_bytes());
    Some(out)
}

/// EXIF's orientation of an encoded picture, 1 where it says none.
pub(crate) fn orientation(bytes: &[u8]) -> u8 {
    use image::ImageDecoder;
    let Ok(format) = image::guess_format(bytes) else { return 1 };
    let reader = image::ImageReader::with_format(std::io::Cursor::new(bytes), format);
    let Ok(mut decoder) = reader.into_decoder() else { return 1 };
    decoder.orientation().map_or(1, |orientation| orientation.to_exif())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn starts() -> impl Strategy<Value = Vec<u8>> {
        prop::sample::select(vec![
            vec![0xff, 0xd8, 0xff, 0xe1, 0, 4],
            PNG_START.to_vec(),
            b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0".to_vec(),
            b"GIF89a".to_vec(),
            Vec::new(),
        ])
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            start in starts(), rest in prop::collection::vec(any::<u8>(), 0..200), orientation in 1u8..9,
        ) {
            let bytes = [start, rest].concat();
            if let Stripped::Without(once) = strip(&bytes, orientation) {
                // with its one value left, as it is with none: there is nothing more to take out
                prop_assert_eq!(strip(&once, orientation), Stripped::Clean);
            }
        }
    }

    #[test]
    fn a_jpeg_that_is_cut_is_encoded_anew() {
        let mut plain = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut plain)
            .encode(&[90; 16 * 16 * 3], 16, 16, image::ExtendedColorType::Rgb8)
            .expect("memory takes it");
        assert_eq!(strip(&plain, 1), Stripped::Clean);
        for n_bytes in 2..plain.len() - 2 {
            assert_eq!(strip(&plain[..n_bytes], 1), Stripped::Recode, "{n_bytes} bytes");
        }
    }
}
