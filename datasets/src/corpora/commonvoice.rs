//! `commonvoice`: Mozilla Common Voice, sentences read by volunteers.
//!
//! Source: a language's folder, with `train.tsv`, `dev.tsv`, `test.tsv` and `clips/`. Those three are read unless
//! `--set parts='["validated"]'` names others; `train`, `dev` and `test` are splits. Columns: `path`, `sentence`, and, as
//! tags, `client_id` (as `speaker`), `locale` (as `language`), `gender`, `age`, `accents` (or `accent`), `variant`.
//!
//! <https://commonvoice.mozilla.org>, CC0-1.0.

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::source::without_extension;
use super::intake::split::split_of_name;
use super::intake::table::{Dialect, Row, Table};
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};

const MAX_ROW_BYTES: u64 = 1 << 20;
const SPLITS: [&str; 3] = ["train", "dev", "test"];
const NEEDED: [&str; 2] = ["path", "sentence"];
/// Columns and the tags that they become.
const TAGS: [(&str, &str); 7] = [
    ("client_id", "speaker"),
    ("locale", "language"),
    ("gender", "gender"),
    ("age", "age"),
    ("accents", "accent"),
    ("accent", "accent"),
    ("variant", "variant"),
];

/// The format.
pub(super) struct CommonVoice;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// The tables without their ending; by default those of the three splits that are there.
    parts: Option<Vec<String>>,
}

impl Format for CommonVoice {
    fn name(&self) -> &'static str {
        "commonvoice"
    }

    fn about(&self) -> &'static str {
        "Mozilla Common Voice: train.tsv, dev.tsv, test.tsv and clips/ of one language"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { parts } = parse_options("commonvoice", options)?;
        let table = |part: &str| format!("{part}.tsv");
        let is_there = |file: &String| source.first_claimed(&[file]).is_some();
        let files: Vec<String> = match (source.named_file(), parts) {
            (Some(file), _) => vec![file.to_owned()],
            (None, Some(parts)) => parts.iter().map(|part| table(part)).collect(),
            (None, None) => SPLITS.iter().map(|part| table(part)).filter(is_there).collect(),
        };
        if !files.iter().any(is_there) {
            return Err(source.unfit("expected train.tsv, dev.tsv or test.tsv, got none of them"));
        }
        Ok(Box::new(files.into_iter().flat_map(|file| {
            match Table::open(source, &file, Dialect::TSV, &NEEDED, MAX_ROW_BYTES) {
                Ok(table) => {
                    let split = split_of_name(without_extension(&file));
                    Box::new(table.map(move |row| Ok(RawSample { split, ..clip(&row?)? }))) as RawItems<'_>
                }
                Err(error) => failed(Failure::at(Place::file(file), error.to_string())),
            }
        })))
    }
}

fn clip(row: &Row) -> Result<RawSample, Failure> {
    let (name, sentence) = (row.need("path")?, row.need("sentence")?);
    // early releases leave the ending out
    let name = if name.contains('.') { name.to_owned() } else { format!("{name}.mp3") };
    let mut raw = RawSample::new(without_extension(&name), row.place.clone());
    raw.texts.push(sentence.to_owned());
    for (column, tag) in TAGS {
        raw.tag(tag, row.get(column).unwrap_or_default());
    }
    raw.audio = Some(RawMedia::File(format!("clips/{name}")));
    Ok(raw)
}
