//! `images`: a folder of pictures with captions, in folders within it or not.
//!
//! Captions come from one of these, the first that there is:
//! - `metadata.jsonl`, `metadata.csv`, `captions.jsonl` or `captions.csv` in any folder, as Hugging Face's `imagefolder` has
//!   it: a row a picture, its path below that folder in `file_name` (or `image`, `file`, `filename`, `path`), captions in
//!   `text` (or `caption`, `captions`, `texts`, `sentence`, `description`), a question in `question` with `answer` or
//!   `answers` (of which JSON lines may have a list); every other column becomes a tag. Several rows in sequence about one
//!   picture give it several captions and questions.
//! - `NAME.txt` beside `NAME.jpg`: a caption a line. A picture without one has no caption.
//!
//! A folder called `train`, `val` or `test` on the way to the picture is its split; without rows the folder that it lies in becomes the tag `folder`.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::source::{extension, folder_of, without_extension};
use super::intake::split::{split_of_folder, split_of_name};
use super::intake::table::{Dialect, Table};
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};
use super::manifest::scalar;
use crate::sample::Question;

/// What counts as a picture among the files of a folder.
pub(super) const IMAGE_ENDINGS: [&str; 10] =
    ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "svg", "jfif"];
const TABLE_NAMES: [&str; 4] = ["metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv"];
const FILE_COLUMNS: [&str; 5] = ["file_name", "image", "file", "filename", "path"];
const TEXT_COLUMNS: [&str; 6] = ["text", "caption", "captions", "texts", "sentence", "description"];
const QUESTION_COLUMN: &str = "question";
const ANSWER_COLUMNS: [&str; 2] = ["answer", "answers"];
const MAX_ROW_BYTES: u64 = 16 << 20;
/// A longer text file beside a picture is no caption.
const MAX_CAPTION_BYTES: u64 = 1 << 20;

/// The format.
pub(super) struct Images;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {}

impl Format for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn about(&self) -> &'static str {
        "a folder of pictures, captions in a .txt beside each or in metadata.csv, metadata.jsonl, captions.csv"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options {} = parse_options("images", options)?;
        if let Some(file) = source.named_file() {
            return table_items(source, file);
        }
        let is_table = |path: &str| TABLE_NAMES.contains(&&path[folder_of(path).len()..]);
        let mut tables = source.walk("").filter_map(Result::ok).filter(move |path| is_table(path)).peekable();
        if tables.peek().is_none() {
            return Ok(Box::new(source.walk("").filter_map(|file| picture(source, file))));
        }
        let rows = tables.flat_map(|file| match table_items(source, &file) {
            Ok(items) => items,
            Err(error) => failed(Failure::at(Place::file(file), error.to_string())),
        });
        Ok(Box::new(rows))
    }
}

/// A picture with the captions beside it; `None` for any other file.
fn picture(source: &Source, file: Result<String, Failure>) -> Option<Result<RawSample, Failure>> {
    let file = match file {
        Ok(file) => file,
        Err(failure) => return Some(Err(failure)),
    };
    if !IMAGE_ENDINGS.contains(&extension(&file).as_str()) {
        return None;
    }
    let stem = without_extension(&file).to_owned();
    let mut raw = RawSample::new(stem.clone(), Place::file(&file));
    raw.split = split_of_folder(folder_of(&file));
    let folder = folder_of(&file).trim_end_matches('/');
    raw.tag("folder", folder);
    let captions = format!("{stem}.txt");
    if source.first_claimed(&[&captions]).is_some() {
        let text = source.read(&captions, MAX_CAPTION_BYTES).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| format!("expected captions in UTF-8 in {captions:?}"))
        });
        match text {
            Ok(text) => raw.texts = text.trim_start_matches('\u{feff}').lines().map(str::to_owned).collect(),
            Err(reason) => return Some(Err(Failure::of(stem, Place::file(captions), reason))),
        }
    }
    raw.image = Some(RawMedia::File(file));
    Some(Ok(raw))
}

/// A row about a picture.
struct Caption {
    place: Place,
    file: String,
    texts: Vec<String>,
    question: Option<Question>,
    tags: Vec<(String, String)>,
}

fn table_items<'a>(source: &'a Source, file: &str) -> Result<RawItems<'a>, ImportError> {
    let folder = folder_of(file).to_owned();
    let rows: Box<dyn Iterator<Item = Result<Caption, Failure>>> = if file.ends_with(".csv") {
        let table = Table::open(source, file, Dialect::CSV, &[], MAX_ROW_BYTES)?;
        let has = |columns: &[&str]| columns.iter().any(|column| table.has_column(column));
        if !has(&FILE_COLUMNS) {
            return Err(ImportError::Source {
                source_name: file.to_owned(),
                place: "line 1".to_owned(),
                problem: format!("expected a column {}", FILE_COLUMNS.join(" or ")),
            });
        }
        Box::new(table.map(|row| {
            let row = row?;
            let fields = row.cells().map(|(key, cell)| (key.to_owned(), Value::from(cell)));
            caption(row.place.clone(), fields.collect())
        }))
    } else {
        let lines = Lines::open(source, file, MAX_ROW_BYTES)?;
        let is_blank = |line: &Result<(Place, String), Failure>| {
            line.as_ref().is_ok_and(|(_, text)| text.trim().is_empty())
        };
        Box::new(lines.filter(move |line| !is_blank(line)).map(|line| {
            let (place, text) = line?;
            match serde_json::from_str(&text) {
                Ok(fields) => caption(place, fields),
                Err(e) => Err(Failure::at(place, format!("expected a JSON object: {e}"))),
            }
        }))
    };
    Ok(Box::new(Grouped { rows, folder, next: None, waiting: VecDeque::new() }))
}

fn caption(place: Place, fields: serde_json::Map<String, Value>) -> Result<Caption, Failure> {
    let file = FILE_COLUMNS.iter().find_map(|column| fields.get(*column).and_then(Value::as_str));
    let Some(file) = file.filter(|file| !file.is_empty()).map(str::to_owned) else {
        return Err(Failure::at(place, format!("expected a path in {}", FILE_COLUMNS.join(" or "))));
    };
    let question = question(&fields).map_err(|reason| Failure::of(&file, place.clone(), reason))?;
    let mut row = Caption { place, file, texts: Vec::new(), question, tags: Vec::new() };
    for (key, value) in fields {
        match value {
            Value::Array(list) if TEXT_COLUMNS.contains(&key.as_str()) => {
                row.texts.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            Value::String(text) if TEXT_COLUMNS.contains(&key.as_str()) => row.texts.push(text),
            _ if FILE_COLUMNS.contains(&key.as_str()) => {}
            _ if key == QUESTION_COLUMN
                || ANSWER_COLUMNS.contains(&key.as_str()) && row.question.is_some() => {}
            value => row.tags.extend(scalar(&value).map(|text| (key, text))),
        }
    }
    Ok(row)
}

/// What a row asks; answers alone may be anything.
fn question(fields: &serde_json::Map<String, Value>) -> Result<Option<Question>, String> {
    let asked = fields.get(QUESTION_COLUMN).and_then(Value::as_str).filter(|asked| !asked.trim().is_empty());
    let Some(asked) = asked else { return Ok(None) };
    let mut question = Question { question: asked.to_owned(), answers: Vec::new() };
    for value in ANSWER_COLUMNS.iter().filter_map(|column| fields.get(*column)) {
        match value {
            Value::Array(list) => question.answers.extend(list.iter().filter_map(scalar)),
            value => question.answers.extend(scalar(value)),
        }
    }
    match question.tidied() {
        true => Ok(Some(question)),
        false => {
            Err(format!("expected an answer to the question {asked:?} in {}", ANSWER_COLUMNS.join(" or ")))
        }
    }
}

/// Rows in sequence about one picture as one sample.
struct Grouped<'a> {
    rows: Box<dyn Iterator<Item = Result<Caption, Failure>> + 'a>,
    folder: String,
    next: Option<Caption>,
    /// Rows that failed, behind the sample before them.
    waiting: VecDeque<Failure>,
}

impl Grouped<'_> {
    fn sample(&self, first: Caption, rest: Vec<String>, questions: Vec<Question>) -> RawSample {
        let file = format!("{}{}", self.folder, first.file.trim_start_matches("./"));
        let mut raw = RawSample::new(without_extension(&file), first.place);
        raw.split = split_of_folder(folder_of(&file));
        raw.texts = first.texts;
        raw.texts.extend(rest);
        raw.questions = questions;
        for (key, value) in first.tags {
            match (key.as_str(), split_of_name(&value)) {
                ("split", Some(split)) => raw.split = Some(split),
                ("group", _) => raw.group = Some(value),
                _ => raw.tag(&key, &value),
            }
        }
        raw.image = Some(RawMedia::File(file));
        raw
    }
}

impl Iterator for Grouped<'_> {
    type Item = Result<RawSample, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failure) = self.waiting.pop_front() {
            return Some(Err(failure));
        }
        let mut first = match self.next.take() {
            Some(row) => row,
            None => match self.rows.next()? {
                Ok(row) => row,
                Err(failure) => return Some(Err(failure)),
            },
        };
        let mut texts = Vec::new();
        let mut questions = Vec::from_iter(first.question.take());
        loop {
            match self.rows.next() {
                Some(Ok(row)) if row.file == first.file => {
                    texts.extend(row.texts);
                    questions.extend(row.question);
                }
                Some(Ok(row)) => {
                    self.next = Some(row);
                    break;
                }
                Some(Err(failure)) => {
                    self.waiting.push_back(failure);
                    break;
                }
                None => break,
            }
        }
        Some(Ok(self.sample(first, texts, questions)))
    }
}
