//! What a file is, by its first bytes: names and headers of servers lie.

use serde::{Deserialize, Serialize};

use super::FetchError;

/// How many bytes are looked at.
pub(super) const START_BYTES: usize = 64;

/// What a download may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// A picture or a sound.
    #[default]
    Media,
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// Anything at all.
    Any,
}

/// The sort of file that a sample can hold, or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Audio,
    Other,
}

impl Accept {
    pub(super) fn check(self, url: &str, start: &[u8]) -> Result<(), FetchError> {
        let (kind, extension) = sniff(start).unwrap_or((Kind::Other, "something unknown"));
        let (is_taken, expected) = match self {
            Self::Media => (kind != Kind::Other, "a picture or a sound"),
            Self::Image => (kind == Kind::Image, "a picture"),
            Self::Audio => (kind == Kind::Audio, "a sound"),
            Self::Any => (true, "anything"),
        };
        let got = if extension == "html" { "a web page" } else { extension };
        is_taken.then_some(()).ok_or_else(|| FetchError::Kind {
            url: url.to_owned(),
            expected,
            got: got.to_owned(),
        })
    }
}

/// The sort of a file and the ending for its name.
pub(super) fn sniff(start: &[u8]) -> Option<(Kind, &'static str)> {
    let is = |at: usize, magic: &[u8]| start.get(at..at + magic.len()) == Some(magic);
    let found = match start {
        _ if is(0, b"\xff\xd8\xff") => (Kind::Image, "jpg"),
        _ if is(0, b"\x89PNG\r\n\x1a\n") => (Kind::Image, "png"),
        _ if is(0, b"GIF8") => (Kind::Image, "gif"),
        _ if is(0, b"RIFF") && is(8, b"WEBP") => (Kind::Image, "webp"),
        _ if is(0, b"BM") && is(6, &[0; 4]) => (Kind::Image, "bmp"),
        _ if is(0, b"II*\0") || is(0, b"MM\0*") => (Kind::Image, "tiff"),
        _ if is(0, b"RIFF") && is(8, b"WAVE") => (Kind::Audio, "wav"),
        _ if is(0, b"fLaC") => (Kind::Audio, "flac"),
        _ if is(0, b"OggS") => (Kind::Audio, "ogg"),
        _ if is(0, b"ID3") => (Kind::Audio, "mp3"),
        // of a frame's header: layer III, then layer 0, which is AAC
        [0xff, second, ..] if second & 0xe6 == 0xe2 => (Kind::Audio, "mp3"),
        [0xff, second, ..] if second & 0xf6 == 0xf0 => (Kind::Audio, "aac"),
        _ if is(4, b"ftyp") && (is(8, b"avif") || is(8, b"heic")) => (Kind::Other, "avif"),
        _ if is(4, b"ftyp") => (Kind::Audio, "m4a"),
        _ if is(0, b"PAR1") => (Kind::Other, "parquet"),
        _ if is(0, b"PK\x03\x04") => (Kind::Other, "zip"),
        _ if is(0, b"%PDF") => (Kind::Other, "pdf"),
        _ => {
            let text =
                String::from_utf8_lossy(start).trim_start_matches('\u{feff}').trim_start().to_lowercase();
            let is_html = text.starts_with("<!doctype html") || text.starts_with("<html");
            let is_svg = text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg"));
            return is_html.then_some((Kind::Other, "html")).or(is_svg.then_some((Kind::Other, "svg")));
        }
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        type Case = (&'static [u8], Option<(Kind, &'static str)>);
        let cases: [Case; 10] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some((Kind::Image, "jpg"))),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some((Kind::Image, "png"))),
            (b"RIFF\x24\0\0\0WAVEfmt ", Some((Kind::Audio, "wav"))),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some((Kind::Image, "webp"))),
            (b"\xff\xfb\x90\x64", Some((Kind::Audio, "mp3"))),
            (b"\xff\xf1\x50\x80", Some((Kind::Audio, "aac"))),
            (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", Some((Kind::Other, "html"))),
            (b"BMW is no bitmap", None),
            (b"", None),
            (b"\xff", None),
        ];
        for (start, expected) in cases {
            assert_eq!(sniff(start), expected, "{start:?}");
        }
    }

    #[test]
    fn web_pages_are_no_pictures() {
        let message = |accept: Accept| accept.check("u", b"<html>").map_err(|e| e.to_string());
        assert_eq!(
            message(Accept::Media),
            Err("u: expected a picture or a sound, got a web page".to_owned())
        );
        assert_eq!(message(Accept::Any), Ok(()));
        assert!(Accept::Audio.check("u", b"\x89PNG\r\n\x1a\n").is_err());
    }
}
