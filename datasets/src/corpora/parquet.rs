//! `parquet`: tables as Hugging Face publishes them, with pictures and sounds as structs `{bytes, path}`.
//!
//! Source: a `.parquet` file, or a folder with some. A column of such a struct, or of bytes, is the picture or the sound, by
//! its name or by what is in it; where `bytes` is null, `path` is a file beside the table. Columns called `text`, `caption`,
//! `sentence`, `transcription` and the like are texts, single or in lists; other texts, numbers and truths become tags.
//! `--set image=COLUMN`, `audio=`, `text=`, `id=`, `split=` and `group=` say it otherwise. A file called `train-00000-of-00002.parquet`
//! is for training, and so on.
//!
//! Texts are checked here, so that one that is no UTF-8 costs its row and not the rest of the file. Rows are read by the record interface of the `parquet` crate, some at a time. It may panic on hostile files, which costs the
//! rest of that file.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::basic::{ConvertedType, Type as PhysicalType};
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::SerializedFileReader;
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;
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
    let opened =
        source.open_file(&file).and_then(|opened| guarded(|| rows(opened).map_err(|e| e.to_string()))?);
    match opened {
        Ok((rows, texts)) => Box::new(Rows { source, rows: Some(rows), texts, n_read: 0, file, options }),
        Err(reason) => failed(Failure::at(Place::file(file), reason)),
    }
}

/// The rows with every text as its bytes, and the names of the columns that are texts.
fn rows(file: std::fs::File) -> ::parquet::errors::Result<(RowIter<'static>, HashSet<String>)> {
    let reader = SerializedFileReader::new(file)?;
    let schema = reader.metadata().file_metadata().schema();
    let texts = schema
        .get_fields()
        .iter()
        .filter(|field| is_text(field))
        .map(|field| field.name().to_owned())
        .collect();
    let plain = without_texts(schema)?;
    let rows = RowIter::from_file_into(Box::new(reader)).project(Some(plain))?;
    Ok((rows.with_batch_size(ROWS_AT_ONCE), texts))
}

fn is_text(field: &Type) -> bool {
    let converted = field.get_basic_info().converted_type();
    field.is_primitive()
        && field.get_physical_type() == PhysicalType::BYTE_ARRAY
        && matches!(converted, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
}

/// The same schema with bytes in the place of texts.
fn without_texts(field: &Type) -> ::parquet::errors::Result<Type> {
    let info = field.get_basic_info();
    if field.is_primitive() {
        if !is_text(field) {
            return Ok(field.clone());
        }
        let bytes = Type::primitive_type_builder(field.name(), PhysicalType::BYTE_ARRAY);
        return bytes.with_repetition(info.repetition()).build();
    }
    let fields: Vec<_> = field
        .get_fields()
        .iter()
        .map(|field| without_texts(field).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let mut group = Type::group_type_builder(field.name())
        .with_fields(fields)
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned());
    if info.has_repetition() {
        group = group.with_repetition(info.repetition());
    }
    group.build()
}

/// What the crate gives, or that it gave up.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the file is broken: its reader gave up".to_owned())
}

struct Rows<'a> {
    source: &'a Source,
    rows: Option<RowIter<'static>>,
    /// Columns whose bytes are words.
    texts: HashSet<String>,
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
            let fail = |reason: String| Failure::at(raw.place.clone(), format!("column `{name}`: {reason}"));
            let is_words = self.texts.contains(&name);
            if is(&self.options.id, &name) {
                raw.id = words(&field).map_err(fail)?.unwrap_or(raw.id);
            } else if is(&self.options.split, &name) {
                let words = words(&field).map_err(fail)?.unwrap_or_default();
                raw.split = split_of_name(&words).or(raw.split);
            } else if is(&self.options.group, &name) {
                raw.group = words(&field).map_err(fail)?;
            } else if self.is_text(&name) {
                raw.texts.extend(texts(&field).map_err(fail)?);
            } else if let Some(media) = if is_words { None } else { self.media(&field).map_err(fail)? } {
                match self.kind(&name, &media) {
                    Some(Kind::Image) if raw.image.is_none() => raw.image = Some(media),
                    Some(Kind::Sound) if raw.audio.is_none() => raw.audio = Some(media),
                    _ => {}
                }
            } else if let Some(words) = if is_words { words(&field).map_err(fail)? } else { number(&field) } {
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
    fn media(&self, field: &Field) -> Result<Option<RawMedia>, String> {
        let (bytes, path) = match field {
            Field::Bytes(bytes) => (Some(bytes.data().to_vec()), None),
            Field::Group(row) => {
                let find = |name: &str| row.get_column_iter().find(|(column, _)| *column == name);
                let bytes = match find("bytes") {
                    Some((_, Field::Bytes(bytes))) => Some(bytes.data().to_vec()),
                    _ => None,
                };
                let path = match find("path") {
                    Some((_, path @ Field::Bytes(_))) => words(path)?,
                    _ => None,
                };
                (bytes, path)
            }
            _ => return Ok(None),
        };
        let path = path.as_deref();
        Ok(match (bytes, path) {
            (Some(bytes), path) => {
                Some(RawMedia::Bytes(Media { bytes, extension: path.map(extension).unwrap_or_default() }))
            }
            (None, Some(path)) => {
                let beside = format!("{}{path}", folder_of(&self.file));
                let found = self.source.first_claimed(&[&beside, path]);
                Some(RawMedia::File(found.unwrap_or(beside)))
            }
            (None, None) => None,
        })
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

fn texts(field: &Field) -> Result<Vec<String>, String> {
    match field {
        Field::ListInternal(list) => {
            list.elements().iter().filter_map(|field| words(field).transpose()).collect()
        }
        Field::Bytes(_) => Ok(words(field)?.into_iter().collect()),
        _ => Ok(Vec::new()),
    }
}

/// A text, a number, a truth or a date in words; none for what is not a number.
fn words(field: &Field) -> Result<Option<String>, String> {
    match field {
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(e) => Err(format!("expected UTF-8, got something else at byte {}", e.valid_up_to() + 1)),
        },
        other => Ok(number(other)),
    }
}

/// As [`words`], of what is no text.
fn number(field: &Field) -> Option<String> {
    match field {
        Field::Null | Field::Bytes(_) | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            None
        }
        Field::Float(value) => value.is_finite().then(|| value.to_string()),
        Field::Double(value) => value.is_finite().then(|| value.to_string()),
        other => Some(other.to_string()),
    }
}
