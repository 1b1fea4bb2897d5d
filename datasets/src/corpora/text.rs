//! `text`: plain text files (`.txt`, packed with gzip or zstd too), a line, a paragraph or a file a sample.
//!
//! Source: a file, or a folder with files in folders within it. `--set unit=paragraph` joins the lines between blank ones,
//! `--set unit=file` takes a file as one. A folder called `train`, `val` or `test` on the way is the split.

use std::iter::Peekable;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::split::split_of_folder;
use super::intake::{Failure, Format, Place, RawItems, RawSample, Source, failed, parse_options};

const ENDINGS: [&str; 3] = [".txt", ".txt.gz", ".txt.zst"];
const MAX_UNIT_BYTES: usize = 16 << 20;

/// The format.
pub(super) struct Text;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    Line,
    Paragraph,
    File,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    unit: Unit,
    language: String,
}

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn about(&self) -> &'static str {
        "plain text, a line a sample; `--set unit=paragraph` or `unit=file`"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { unit, language } = parse_options("text", options)?;
        if let Some(file) = source.named_file() {
            return Ok(file_items(source, file.to_owned(), unit, language));
        }
        let is_text = |file: &Result<String, Failure>| match file {
            Ok(file) => ENDINGS.iter().any(|ending| file.to_lowercase().ends_with(ending)),
            Err(_) => true,
        };
        Ok(Box::new(source.walk("").filter(is_text).flat_map(move |file| match file {
            Ok(file) => file_items(source, file, unit, language.clone()),
            Err(failure) => failed(failure),
        })))
    }
}

fn file_items(source: &Source, file: String, unit: Unit, language: String) -> RawItems<'_> {
    match Lines::open(source, &file, MAX_UNIT_BYTES as u64) {
        Ok(lines) => Box::new(Units { lines: lines.peekable(), file, unit, language }),
        Err(error) => failed(Failure::at(Place::file(file), error.to_string())),
    }
}

struct Units {
    lines: Peekable<Lines>,
    file: String,
    unit: Unit,
    language: String,
}

impl Units {
    fn sample(&self, place: Place, text: String) -> RawSample {
        let name = [".zst", ".gz", ".txt"]
            .iter()
            .fold(self.file.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name));
        let id = match (self.unit, place.line) {
            (Unit::File, _) | (_, None) => name.to_owned(),
            (_, Some(line)) => format!("{name}/{line:09}"),
        };
        let mut raw = RawSample::new(id, place);
        raw.split = split_of_folder(&self.file);
        raw.texts.push(text);
        raw.tag("language", &self.language);
        raw
    }
}

impl Iterator for Units {
    type Item = Result<RawSample, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_blank = |line: &Result<(Place, String), Failure>| {
            line.as_ref().is_ok_and(|(_, text)| text.trim().is_empty())
        };
        while self.lines.next_if(is_blank).is_some() {}
        let (place, mut text) = match self.lines.next()? {
            Ok(line) => line,
            Err(failure) => return Some(Err(failure)),
        };
        let unit = self.unit;
        let goes_on = |line: &Result<(Place, String), Failure>| match unit {
            Unit::Line => false,
            Unit::Paragraph => line.is_ok() && !is_blank(line),
            Unit::File => line.is_ok(),
        };
        while let Some(Ok((_, line))) = self.lines.next_if(goes_on) {
            if text.len() + line.len() > MAX_UNIT_BYTES {
                let reason = format!("expected at most {MAX_UNIT_BYTES} bytes in one text, got more");
                return Some(Err(Failure::at(place, reason)));
            }
            // a file keeps its lines and their indentation, a paragraph is one line
            let (separator, line) =
                if unit == Unit::File { ('\n', line.trim_end()) } else { (' ', line.trim()) };
            text.push(separator);
            text.push_str(line);
        }
        Some(Ok(self.sample(place, text)))
    }
}
