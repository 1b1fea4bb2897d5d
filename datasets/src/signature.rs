//! What a file holds by its first bytes, in words for messages. What its name ends in does not matter here.

/// First bytes and what they say; `None` stands for any byte.
const SIGNATURES: &[(&[Option<u8>], &str)] = &[
    (&plain(*b"\x89PNG"), "PNG"),
    (&plain(*b"\xff\xd8\xff"), "JPEG"),
    (&plain(*b"GIF8"), "GIF"),
    (&plain(*b"II*\0"), "TIFF"),
    (&plain(*b"MM\0*"), "TIFF"),
    (&riff(*b"WEBP"), "WebP"),
    (&riff(*b"WAVE"), "WAV"),
    (&riff(*b"AVI "), "AVI video"),
    (&plain(*b"fLaC"), "FLAC"),
    (&plain(*b"OggS"), "Ogg"),
    (&plain(*b"ID3"), "MP3"),
    (&boxed(*b"ftyp"), "MP4"),
    (&boxed(*b"moov"), "MP4"),
    (&plain(*b"\x1aE\xdf\xa3"), "Matroska or WebM"),
    (&plain(*b"FORM"), "AIFF"),
    (&plain(*b"%PDF"), "PDF"),
    (&plain(*b"PK\x03\x04"), "a ZIP archive"),
    (&plain(*b"\x1f\x8b"), "gzip"),
    (&plain(*b"\x28\xb5\x2f\xfd"), "Zstandard"),
    (&plain(*b"BM"), "BMP"),
];

const fn plain<const N: usize>(bytes: [u8; N]) -> [Option<u8>; N] {
    let mut pattern = [None; N];
    let mut at = 0;
    while at < N {
        pattern[at] = Some(bytes[at]);
        at += 1;
    }
    pattern
}

/// `RIFF`, four bytes of length, then the kind.
const fn riff(kind: [u8; 4]) -> [Option<u8>; 12] {
    let [a, b, c, d] = plain(kind);
    let [r, i, f, _] = plain(*b"RIFF");
    [r, i, f, f, None, None, None, None, a, b, c, d]
}

/// Four bytes of length, then the kind.
const fn boxed(kind: [u8; 4]) -> [Option<u8>; 8] {
    let [a, b, c, d] = plain(kind);
    [None, None, None, None, a, b, c, d]
}

/// The format that the first bytes tell, or what else they look like.
pub(crate) fn describe(bytes: &[u8]) -> &'static str {
    let is_of = |pattern: &[Option<u8>]| {
        pattern.len() <= bytes.len()
            && pattern
                .iter()
                .zip(bytes)
                .all(|(expected, got)| expected.is_none_or(|expected| expected == *got))
    };
    if let Some((_, name)) = SIGNATURES.iter().find(|(pattern, _)| is_of(pattern)) {
        return name;
    }
    let start = &bytes[..bytes.len().min(512)];
    match start {
        [] => "nothing",
        // eleven set bits begin each frame; the two after the version tell the layer, of which AAC has none
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "AAC",
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => "MP3",
        _ if start.iter().all(|byte| *byte == 0) => "zeros",
        _ if is_text(start) => of_text(start),
        _ => "unknown bytes",
    }
}

fn of_text(start: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(start).to_lowercase();
    match () {
        () if text.contains("<svg") => "SVG",
        () if text.contains("<html") || text.contains("<!doctype html") => "HTML",
        () if text.trim_start().starts_with("version https://git-lfs") => "a Git LFS pointer",
        () => "text",
    }
}

fn is_text(start: &[u8]) -> bool {
    // a character may be cut in two at the end
    let valid = match std::str::from_utf8(start) {
        Ok(_) => start.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return false,
    };
    valid > 0 && start[..valid].iter().all(|byte| *byte >= 0x20 || b"\t\r\n".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_format() {
        for (bytes, expected) in [
            (&b""[..], "nothing"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
            (b"RIFF\x00\x01\x00\x00WAVEfmt ", "WAV"),
            (b"RIFF\x00\x01\x00\x00WEBPVP8 ", "WebP"),
            (b"RIFF", "text"),
            (b"\0\0\0\x20ftypisom", "MP4"),
            (b"\xff\xf1\x60\x40", "AAC"),
            (b"\xff\xfb\x90\x00", "MP3"),
            (b"\0\0\0\0\0\0\0\0\0\0", "zeros"),
            (b"<!DOCTYPE html><p>not found", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
            ("wörter".as_bytes(), "text"),
            (&"wö".as_bytes()[..2], "text"),
            (b"\x01\x02\x03", "unknown bytes"),
        ] {
            assert_eq!(describe(bytes), expected, "{bytes:?}");
        }
    }
}
