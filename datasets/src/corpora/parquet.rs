//! `parquet`: tables as Hugging Face publishes them, with pictures and sounds as structs `{bytes, path}`.
//!
//! Source: a `.parquet` file, or a folder with some. A column of such a struct, or of bytes, is the picture or the sound, by
//! its name or by what is in it; where `bytes` is null, `path` is a file beside the table. Columns called `text`, `caption`,
//! `sentence`, `transcription` and the like are texts, single or in lists; other texts, numbers and truths become tags.
//! `--set image=COLUMN`, `audio=`, `text=`, `id=`, `split=` and `group=` say it otherwise. A file called `train-00000-of-00002.parquet`
//! is for training, and so on.
//!
//! Rows are read by the record interface of the `parquet` crate, some at a time. It may panic on hostile files, which costs the
//! rest of that file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::parquet::file::serialized_reader::SerializedFileReader;
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::images::IMAGE_ENDINGS;
use super::intake::resolve::{Kind, kind_of};
use super::intake::source::{extension, folder_of, without_extension};
use super::intake::split::{split_of_folder, split_of_name};
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};
use super::webdataset::SOUND_ENDINGS;
use crate::sample::Media;

const ROWS_AT_ONCE: usize = 16;
const TEXT_COLUMNS: [&str; 12] = [
    "text",
    "texts",
    "caption",
    "captions",
    "sentence",
    "sentences",
    "transcription",
    "transcript",
    "transcripts",
    "normalized_text",
    "raw",
    "sentences_raw",
];

/// The format.
pub(super) struct Parquet;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    image: Option<String>,
    audio: Option<String>,
    text: Option<Columns>,
    id: Option<String>,
    split: Option<String>,
    group: Option<String>,
}

/// One column, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Columns {
    One(String),
    Several(Vec<String>),
}

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "Hugging Face parquet files with image or audio structs {bytes, path} and text columns"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let options: Options = parse_options("parquet", options)?;
        if let Some(file) = source.named_file() {
            return Ok(table(source, file.to_owned(), options));
        }
        let is_table = |file: &Result<String, Failure>| match file {
            Ok(file) => extension(file) == "parquet",
            Err(_) => true,
        };
        if source.walk("").filter(is_table).filter_map(Result::ok).next().is_none() {
            return Err(source.unfit("expected files called NAME.parquet, got none"));
        }
        Ok(Box::new(source.walk("").filter(is_table).flat_map(move |file| match file {
            Ok(file) => table(source, file, options.clone()),
            Err(failure) => failed(failure),
        })))
    }
}

fn table(source: &Source, file: String, options: Options) -> RawItems<'_> {
    let opened = source
        .open_file(&file)
        .and_then(|opened| guarded(|| SerializedFileReader::new(opened).map_err(|e| e.to_string()))?);
    match opened {
        Ok(reader) => {
            let rows = RowIter::from_file_into(Box::new(reader)).with_batch_size(ROWS_AT_ONCE);
            Box::new(Rows { source, rows: Some(rows), n_read: 0, file, options })
        }
        Err(reason) => failed(Failure::at(Place::file(file), reason)),
    }
}

/// What the crate gives, or that it gave up.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the file is broken: its reader gave up".to_owned())
}

struct Rows<'a> {
    source: &'a Source,
    rows: Option<RowIter<'static>>,
    n_read: u64,
    file: String,
    options: Options,
}

impl Iterator for Rows<'_> {
    type Item = Result<RawSample, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.as_mut()?;
        let place = Place::part(&self.file, format!("row {}", self.n_read + 1));
        let row = match guarded(|| rows.next()) {
            Ok(None) => return None,
            Ok(Some(Ok(row))) => row,
            Ok(Some(Err(e))) => {
                self.rows = None;
                return Some(Err(Failure::at(place, format!("the rest cannot be read: {e}"))));
            }
            Err(reason) => {
                self.rows = None;
                return Some(Err(Failure::at(place, reason)));
            }
        };
        self.n_read += 1;
        Some(self.sample(place, row))
    }
}

impl Rows<'_> {
    fn sample(&self, place: Place, row: Row) -> Result<RawSample, Failure> {
        let id = format!("{}/{:09}", without_extension(&self.file), self.n_read - 1);
        let mut raw = RawSample::new(id, place);
        raw.split = split_of_folder(&self.file);
        let is = |option: &Option<String>, name: &str| option.as_deref() == Some(name);
        for (name, field) in row.into_columns() {
            if is(&self.options.id, &name) {
                raw.id = words(&field).unwrap_or(raw.id);
            } else if is(&self.options.split, &name) {
                let words = words(&field).unwrap_or_default();
                raw.split = split_of_name(&words).or(raw.split);
            } else if is(&self.options.group, &name) {
                raw.group = words(&field);
            } else if self.is_text(&name) {
                raw.texts.extend(texts(field));
            } else if let Some(media) = self.media(&field) {
                match self.kind(&name, &media) {
                    Some(Kind::Image) if raw.image.is_none() => raw.image = Some(media),
                    Some(Kind::Sound) if raw.audio.is_none() => raw.audio = Some(media),
                    _ => {}
                }
            } else if let Some(words) = words(&field) {
                raw.tag(&name, &words);
            }
        }
        Ok(raw)
    }

    fn is_text(&self, name: &str) -> bool {
        match &self.options.text {
            Some(Columns::One(column)) => column == name,
            Some(Columns::Several(columns)) => columns.iter().any(|column| column == name),
            None => TEXT_COLUMNS.contains(&name),
        }
    }

    /// The picture or the sound in a struct `{bytes, path}` or in plain bytes.
    fn media(&self, field: &Field) -> Option<RawMedia> {
        let (bytes, path) = match field {
            Field::Bytes(bytes) => (Some(bytes.data().to_vec()), None),
            Field::Group(row) => {
                let find = |name: &str| row.get_column_iter().find(|(column, _)| *column == name);
                let bytes = match find("bytes") {
                    Some((_, Field::Bytes(bytes))) => Some(bytes.data().to_vec()),
                    _ => None,
                };
                let path = match find("path") {
                    Some((_, Field::Str(path))) => Some(path.as_str()),
                    _ => None,
                };
                (bytes, path)
            }
            _ => return None,
        };
        match (bytes, path) {
            (Some(bytes), path) => {
                Some(RawMedia::Bytes(Media { bytes, extension: path.map(extension).unwrap_or_default() }))
            }
            (None, Some(path)) => {
                let beside = format!("{}{path}", folder_of(&self.file));
                let found = self.source.first_claimed(&[&beside, path]);
                Some(RawMedia::File(found.unwrap_or(beside)))
            }
            (None, None) => None,
        }
    }

    fn kind(&self, name: &str, media: &RawMedia) -> Option<Kind> {
        let Options { image, audio, .. } = &self.options;
        match (image, audio) {
            (Some(column), _) if column == name => return Some(Kind::Image),
            (_, Some(column)) if column == name => return Some(Kind::Sound),
            _ => {}
        }
        let by_name = |ending: &str| match () {
            () if IMAGE_ENDINGS.contains(&ending) => Some(Kind::Image),
            () if SOUND_ENDINGS.contains(&ending) => Some(Kind::Sound),
            () => None,
        };
        let found = match media {
            RawMedia::Bytes(media) => kind_of(&media.bytes).or_else(|| by_name(&media.extension)),
            RawMedia::File(path) => by_name(&extension(path)),
        };
        let kind = found.or_else(|| match () {
            () if name.contains("image") || name.contains("picture") => Some(Kind::Image),
            () if name.contains("audio") || name.contains("sound") || name.contains("speech") => {
                Some(Kind::Sound)
            }
            () => None,
        })?;
        // a column that was named is the only one of its kind
        let named = if kind == Kind::Image { image } else { audio };
        named.is_none().then_some(kind)
    }
}

fn texts(field: Field) -> Vec<String> {
    match field {
        Field::Str(text) => vec![text],
        Field::ListInternal(list) => list.elements().iter().filter_map(words).collect(),
        _ => Vec::new(),
    }
}

/// A text, a number, a truth or a date in words; none for what is not a number.
fn words(field: &Field) -> Option<String> {
    match field {
        Field::Str(text) => Some(text.clone()),
        Field::Null | Field::Bytes(_) | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            None
        }
        Field::Float(value) => value.is_finite().then(|| value.to_string()),
        Field::Double(value) => value.is_finite().then(|| value.to_string()),
        other => Some(other.to_string()),
    }
}
