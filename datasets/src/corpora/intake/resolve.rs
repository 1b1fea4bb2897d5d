//! From what a format knows of an item to a sample: files read, bytes checked, words made a key.

use super::identifier::identifier;
use super::source::extension;
use super::{Failure, RawMedia, RawSample, Source};
use crate::audio::{header_duration_s, measure};
use crate::corpora::Request;
use crate::image::decode;
use crate::sample::{Media, Question, Sample, Split};

/// A sample that can be written.
pub(crate) struct Resolved {
    pub sample: Sample,
    /// Length of its sound, where that is known.
    pub duration_s: Option<f64>,
    pub place: super::Place,
}

/// What an item may be, and how closely it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    max_item_bytes: u64,
    max_sound_s: f64,
    is_checked: bool,
}

impl Limits {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        let Request { max_item_bytes, max_sound_s, is_checked, .. } = *request;
        Self { max_item_bytes, max_sound_s, is_checked }
    }
}

/// Reads and checks an item. `cut_s` is the length of a sound that was cut already.
pub(crate) fn resolve(
    mut raw: RawSample,
    split: Split,
    cut_s: Option<f64>,
    source: &Source,
    limits: Limits,
) -> Result<Resolved, Failure> {
    let id = identifier(&raw.id);
    let (raw_id, place) = (raw.id.clone(), raw.place.clone());
    let fail = |reason: String| Failure::of(raw_id.clone(), place.clone(), reason);
    let image = match raw.image.take() {
        Some(media) => {
            let name = named(&media);
            let media = load(media, Kind::Image, source, limits.max_item_bytes).map_err(fail)?;
            if limits.is_checked {
                decode(&media.bytes, &media.extension).map_err(|e| fail(format!("{name}{e}")))?;
            }
            Some(media)
        }
        None => None,
    };
    let mut duration_s = cut_s;
    let audio = match raw.audio.take() {
        Some(media) => {
            let name = named(&media);
            let media = load(media, Kind::Sound, source, limits.max_item_bytes).map_err(fail)?;
            if limits.is_checked && cut_s.is_none() {
                let measured = measure(&media.bytes, &media.extension, limits.max_sound_s);
                duration_s = Some(measured.map_err(|e| fail(format!("{name}{e}")))?);
            }
            duration_s = duration_s.or_else(|| header_duration_s(&media.bytes, &media.extension));
            Some(media)
        }
        None => None,
    };
    let asked = raw.questions.iter().flat_map(Question::texts);
    let n_text_bytes: usize = raw.texts.iter().chain(raw.tags.values()).chain(asked).map(String::len).sum();
    if n_text_bytes as u64 > limits.max_item_bytes {
        let reason = format!("expected at most {} bytes of text, got {n_text_bytes}", limits.max_item_bytes);
        return Err(fail(reason));
    }
    let mut texts = raw.texts;
    texts.iter_mut().for_each(|text| *text = text.trim().to_owned());
    texts.retain(|text| !text.is_empty());
    let mut questions = raw.questions;
    if let Some(wordless) = questions.iter_mut().position(|asked| !asked.tidied()) {
        let reason = format!("question {}: expected words and an answer, got none", wordless + 1);
        return Err(fail(reason));
    }
    if image.is_none() && audio.is_none() && !questions.is_empty() {
        return Err(fail("expected a picture or a sound that its question is about, got neither".to_owned()));
    }
    if image.is_none() && audio.is_none() && texts.is_empty() {
        return Err(fail("expected a picture, a sound or a text, got none of them".to_owned()));
    }
    let mut tags = raw.tags;
    if id != raw_id {
        tags.insert("source_id".to_owned(), raw_id);
    }
    let group = raw.group.unwrap_or_else(|| id.clone());
    let sample = Sample { id, source: place.to_string(), group, split, image, audio, texts, questions, tags };
    Ok(Resolved { sample, duration_s, place })
}

/// What a file is, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Sound,
}

/// What the first bytes of a file say.
pub(crate) fn kind_of(bytes: &[u8]) -> Option<Kind> {
    sniff(bytes).map(|(_, kind)| kind)
}

fn load(media: RawMedia, kind: Kind, source: &Source, max_bytes: u64) -> Result<Media, String> {
    let name = named(&media);
    let (bytes, given) = match media {
        RawMedia::File(path) => (source.read(&path, max_bytes)?, extension(&path)),
        RawMedia::Bytes(media) if media.bytes.len() as u64 > max_bytes => {
            return Err(format!("expected at most {max_bytes} bytes, got {}", media.bytes.len()));
        }
        RawMedia::Bytes(media) => (media.bytes, media.extension),
    };
    let what = match kind {
        Kind::Image => "a picture",
        Kind::Sound => "a sound",
    };
    if bytes.is_empty() {
        return Err(format!("{name}expected {what}, got an empty file"));
    }
    // the content knows better than the name; other readers go by the name
    let extension = match sniff(&bytes) {
        Some((found, found_kind)) if found_kind != kind => {
            return Err(format!("{name}expected {what}, got a file of kind {found}"));
        }
        Some((found, _)) => {
            if is_alias(&given, found) {
                given
            } else {
                found.to_owned()
            }
        }
        None if is_plain(&given) => given,
        None => return Err(format!("{name}expected {what}, got something else")),
    };
    Ok(Media { bytes, extension })
}

fn named(media: &RawMedia) -> String {
    match media {
        RawMedia::File(path) => format!("{path}: "),
        RawMedia::Bytes(_) => String::new(),
    }
}

fn is_plain(extension: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=8).contains(&extension.len()) && extension != "json" && extension.bytes().all(is_plain)
}

/// Whether a name may stand for a kind of content.
fn is_alias(given: &str, found: &str) -> bool {
    given == found
        || matches!(
            (given, found),
            ("jpeg" | "jpe" | "jfif", "jpg") | ("tif", "tiff") | ("oga", "ogg") | ("aac" | "mp4", "m4a")
        )
}

/// What the first bytes say.
fn sniff(bytes: &[u8]) -> Option<(&'static str, Kind)> {
    let at = |offset: usize, mark: &[u8]| bytes.get(offset..offset + mark.len()) == Some(mark);
    let image = |name| Some((name, Kind::Image));
    let sound = |name| Some((name, Kind::Sound));
    match () {
        () if at(0, b"\x89PNG\r\n\x1a\n") => image("png"),
        () if at(0, b"\xff\xd8\xff") => image("jpg"),
        () if at(0, b"GIF8") => image("gif"),
        () if at(0, b"RIFF") && at(8, b"WEBP") => image("webp"),
        () if at(0, b"II*\0") || at(0, b"MM\0*") => image("tiff"),
        () if at(0, b"BM") && bytes.len() > 26 => image("bmp"),
        () if at(0, b"RIFF") && at(8, b"WAVE") => sound("wav"),
        () if at(0, b"fLaC") => sound("flac"),
        () if at(0, b"OggS") => sound("ogg"),
        () if at(4, b"ftyp") && [b"avif", b"heic", b"mif1"].iter().any(|brand| at(8, *brand)) => {
            image("avif")
        }
        () if at(4, b"ftyp") => sound("m4a"),
        () if at(0, b"ID3") => sound("mp3"),
        () if is_mpeg_frame(bytes) => sound("mp3"),
        () => None,
    }
}

/// The synchronisation word of an MPEG layer 3 frame.
fn is_mpeg_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 == 0x02)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_what_a_file_is_called() {
        let load = |bytes: &[u8], extension: &str, kind| {
            let media = Media { bytes: bytes.to_vec(), extension: extension.to_owned() };
            let source = Source::open(&std::env::temp_dir()).expect("it is a folder");
            load(RawMedia::Bytes(media), kind, &source, 100).map(|media| media.extension)
        };
        let png = b"\x89PNG\r\n\x1a\n....";
        assert_eq!(load(png, "jpg", Kind::Image), Ok("png".to_owned()));
        assert_eq!(load(png, "", Kind::Image), Ok("png".to_owned()));
        assert_eq!(load(b"\xff\xd8\xff....", "jpeg", Kind::Image), Ok("jpeg".to_owned()));
        assert_eq!(load(b"<svg/>", "svg", Kind::Image), Ok("svg".to_owned()));
        for (bytes, extension) in [(&png[..], "wav"), (b"", "wav"), (b"abc", ""), (&[0; 101], "wav")] {
            assert!(load(bytes, extension, Kind::Sound).is_err(), "{extension}");
        }
    }
}
