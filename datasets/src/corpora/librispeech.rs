//! `librispeech`: read English books, and whatever has its layout (Libri-light's labelled part, Multilingual LibriSpeech as
//! FLAC).
//!
//! Source: the folder `LibriSpeech`, or one of its parts. `PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` has a line
//! `SPEAKER-CHAPTER-0000 WORDS` for each `SPEAKER-CHAPTER-0000.flac` beside it. Parts called `train-*`, `dev-*` and `test-*` are the
//! splits. Tags: `speaker`, `chapter`, `part`, `language`, and `gender` where `SPEAKERS.TXT` is there.
//!
//! <https://www.openslr.org/12>, CC BY 4.0.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::source::folder_of;
use super::intake::split::split_of_folder;
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};

const TRANSCRIPTS: &str = ".trans.txt";
const SPEAKERS: &str = "SPEAKERS.TXT";
const MAX_LINE_BYTES: u64 = 1 << 20;

/// The format.
pub(super) struct LibriSpeech;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    language: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { language: "en".to_owned() }
    }
}

impl Format for LibriSpeech {
    fn name(&self) -> &'static str {
        "librispeech"
    }

    fn about(&self) -> &'static str {
        "LibriSpeech: PART/SPEAKER/CHAPTER with .trans.txt and .flac files"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { language } = parse_options("librispeech", options)?;
        let genders = genders(source)?;
        let is_transcripts = |file: &Result<String, Failure>| match file {
            Ok(file) => file.ends_with(TRANSCRIPTS),
            Err(_) => true,
        };
        let mut files = source.walk("").filter(is_transcripts).peekable();
        if files.peek().is_none() {
            return Err(source.unfit("expected files called SPEAKER-CHAPTER.trans.txt, got none"));
        }
        Ok(Box::new(files.flat_map(move |file| match file {
            Err(failure) => failed(failure),
            Ok(file) => chapter(source, file, language.clone(), &genders),
        })))
    }
}

fn chapter<'a>(
    source: &'a Source,
    file: String,
    language: String,
    genders: &HashMap<String, String>,
) -> RawItems<'a> {
    let lines = match Lines::open(source, &file, MAX_LINE_BYTES) {
        Ok(lines) => lines,
        Err(error) => return failed(Failure::at(Place::file(file), error.to_string())),
    };
    let folder = folder_of(&file).to_owned();
    let base = file[folder.len()..].trim_end_matches(TRANSCRIPTS);
    let (speaker, chapter) = base.split_once('-').unwrap_or((base, ""));
    let (speaker, chapter) = (speaker.to_owned(), chapter.to_owned());
    let gender = genders.get(&speaker).cloned();
    let part = file.split('/').next().filter(|part| split_of_folder(part).is_some()).map(str::to_owned);
    Box::new(lines.filter(|line| !line.as_ref().is_ok_and(|(_, text)| text.trim().is_empty())).map(
        move |line| {
            let (place, text) = line?;
            let Some((name, words)) = text.split_once([' ', '\t']) else {
                return Err(Failure::at(place, format!("expected a name, a space and words, got {text:?}")));
            };
            let mut raw = RawSample::new(name, place);
            raw.split = split_of_folder(&folder);
            raw.audio = Some(RawMedia::File(format!("{folder}{name}.flac")));
            raw.texts.push(words.to_owned());
            raw.tag("speaker", &speaker);
            raw.tag("chapter", &chapter);
            raw.tag("language", &language);
            raw.tag("gender", gender.as_deref().unwrap_or_default());
            raw.tag("part", part.as_deref().unwrap_or_default());
            Ok(raw)
        },
    ))
}

/// `14   | F | train-clean-360    | 25.03 | Kristin LeMoine`; a line that begins with a semicolon is a comment.
fn genders(source: &Source) -> Result<HashMap<String, String>, ImportError> {
    let mut genders = HashMap::new();
    if source.first_file(&[SPEAKERS]).is_none() {
        return Ok(genders);
    }
    for (_, line) in Lines::open(source, SPEAKERS, MAX_LINE_BYTES)?.filter_map(Result::ok) {
        let mut cells = line.split('|').map(str::trim);
        if let (Some(speaker), Some(gender @ ("F" | "M"))) = (cells.next(), cells.next()) {
            let gender = if gender == "F" { "female" } else { "male" };
            genders.insert(speaker.to_owned(), gender.to_owned());
        }
    }
    Ok(genders)
}
