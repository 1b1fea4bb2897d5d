//! `webdataset`: tar archives in the layout of WebDataset, anyone's.
//!
//! Source: a `.tar`, or a folder with some. Members that share the path up to the first dot of the name are one sample:
//! - a picture: `.jpg`, `.png`, `.webp` and the like; a sound: `.wav`, `.flac`, `.mp3`, `.ogg`, `.m4a`;
//! - texts: `.txt`, `.text`, `.caption`, whole; `.cls` becomes the tag `class`;
//! - `.json`: what this program writes, or any object: `caption`, `text`, `texts` and the like are texts, `split` is the split,
//!   everything else that is a text, a number, true or false a tag.
//!
//! Keys are often counted anew in each archive, so that with several archives a key has its archive's name before it,
//! unless `.json` has an `id`. An archive called `train-000000.tar` is for training, and so on.

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::images::IMAGE_ENDINGS;
use super::intake::source::{extension, without_extension};
use super::intake::split::{split_of_folder, split_of_name};
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};
use super::manifest::scalar;
use crate::sample::Media;
use crate::shard::{ArchiveSample, CorpusError, SampleRecord, limited_archive_samples};

/// What counts as a sound among the files of a folder or an archive.
pub(super) const SOUND_ENDINGS: [&str; 8] = ["wav", "flac", "mp3", "ogg", "oga", "m4a", "aac", "mp4"];
const TEXT_ENDINGS: [&str; 3] = ["txt", "text", "caption"];
/// Keys of a `.json` member that hold captions or transcripts.
const TEXT_KEYS: [&str; 8] =
    ["text", "texts", "caption", "captions", "sentence", "transcript", "transcription", "txt"];
const MAX_MEMBER_BYTES: u64 = 512 << 20;

/// The format.
pub(super) struct WebDataset;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {}

impl Format for WebDataset {
    fn name(&self) -> &'static str {
        "webdataset"
    }

    fn about(&self) -> &'static str {
        "WebDataset tar archives: KEY.jpg, KEY.wav, KEY.txt, KEY.json"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options {} = parse_options("webdataset", options)?;
        if let Some(file) = source.named_file() {
            return Ok(archive(source, file.to_owned(), ""));
        }
        let is_archive = |file: &Result<String, Failure>| match file {
            Ok(file) => extension(file) == "tar",
            Err(_) => true,
        };
        if source.walk("").filter(is_archive).filter_map(Result::ok).next().is_none() {
            return Err(source.unfit("expected files called NAME.tar, got none"));
        }
        Ok(Box::new(source.walk("").filter(is_archive).flat_map(move |file| match file {
            Ok(file) => {
                let prefix = format!("{}/", without_extension(&file));
                archive(source, file, &prefix)
            }
            Err(failure) => failed(failure),
        })))
    }
}

fn archive<'a>(source: &'a Source, file: String, prefix: &str) -> RawItems<'a> {
    let opened = source.path(&file).and_then(|path| {
        if !path.is_file() {
            return Err(format!("expected a plain file, {file:?} is none"));
        }
        limited_archive_samples(path, MAX_MEMBER_BYTES).map_err(|e| e.to_string())
    });
    let samples = match opened {
        Ok(samples) => samples,
        Err(reason) => return failed(Failure::at(Place::file(file), reason)),
    };
    let prefix = prefix.to_owned();
    Box::new(samples.map(move |sample| match sample {
        Ok(sample) => unpack(&file, &prefix, sample),
        Err(CorpusError::Malformed { place, problem, .. }) => {
            Err(Failure::at(Place::part(&file, place), problem))
        }
        Err(error) => Err(Failure::at(Place::file(&file), error.to_string())),
    }))
}

fn unpack(file: &str, prefix: &str, sample: ArchiveSample) -> Result<RawSample, Failure> {
    let ArchiveSample { key, members, .. } = sample;
    let place = Place::part(file, format!("sample {key:?}"));
    let mut raw = RawSample::new(format!("{prefix}{key}"), place);
    raw.split = split_of_folder(file);
    for Media { bytes, extension } in members {
        let ending = extension.as_str();
        match ending {
            _ if IMAGE_ENDINGS.contains(&ending) && raw.image.is_none() => {
                raw.image = Some(RawMedia::Bytes(Media { bytes, extension }));
            }
            _ if SOUND_ENDINGS.contains(&ending) && raw.audio.is_none() => {
                raw.audio = Some(RawMedia::Bytes(Media { bytes, extension }));
            }
            "json" => read_json(&mut raw, &bytes)?,
            "cls" => raw.tag("class", &utf8(&raw, bytes, ending)?),
            _ if TEXT_ENDINGS.contains(&ending) => {
                let text = utf8(&raw, bytes, ending)?;
                if !raw.texts.contains(&text) {
                    raw.texts.push(text);
                }
            }
            _ => {}
        }
    }
    Ok(raw)
}

fn utf8(raw: &RawSample, bytes: Vec<u8>, ending: &str) -> Result<String, Failure> {
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::of(&raw.id, raw.place.clone(), format!("expected UTF-8 in its .{ending}")))?;
    Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
}

fn read_json(raw: &mut RawSample, bytes: &[u8]) -> Result<(), Failure> {
    if let Ok(record) = serde_json::from_slice::<SampleRecord>(bytes) {
        raw.id = record.id;
        raw.group = Some(record.group);
        raw.split = Some(record.split);
        raw.texts = record.texts;
        raw.questions = record.questions;
        raw.tags = record.tags;
        return Ok(());
    }
    let fail = |reason: String| Failure::of(&raw.id, raw.place.clone(), reason);
    let fields = match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(fail("expected an object in its .json".to_owned())),
        Err(e) => return Err(fail(format!("expected an object in its .json: {e}"))),
    };
    for (key, value) in fields {
        match value {
            Value::String(text) if TEXT_KEYS.contains(&key.as_str()) => raw.texts.push(text),
            Value::Array(list) if TEXT_KEYS.contains(&key.as_str()) => {
                raw.texts.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            Value::String(id) if key == "id" && !id.is_empty() => raw.id = id,
            Value::String(group) if key == "group" => raw.group = Some(group),
            Value::String(name) if key == "split" => raw.split = split_of_name(&name).or(raw.split),
            value => raw.tag(&key, &scalar(&value).unwrap_or_default()),
        }
    }
    let mut texts = Vec::new();
    for text in raw.texts.drain(..) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    raw.texts = texts;
    Ok(())
}
