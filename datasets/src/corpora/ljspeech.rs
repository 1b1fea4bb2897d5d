//! `ljspeech`: one speaker's recordings with transcripts, and whatever has its layout.
//!
//! Source: the folder with `metadata.csv`, a line `NAME|words as printed|words as spoken` for each `wavs/NAME.wav`. The words as
//! spoken come first, the printed ones second where they differ. There are no splits.
//!
//! <https://keithito.com/LJ-Speech-Dataset/>, public domain.

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, parse_options};

const MAX_LINE_BYTES: u64 = 1 << 20;
const ENDINGS: [&str; 4] = ["wav", "flac", "mp3", "ogg"];

/// The format.
pub(super) struct LjSpeech;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    speaker: String,
    language: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { speaker: "LJ".to_owned(), language: "en".to_owned() }
    }
}

impl Format for LjSpeech {
    fn name(&self) -> &'static str {
        "ljspeech"
    }

    fn about(&self) -> &'static str {
        "LJ Speech: metadata.csv (NAME|printed|spoken) and wavs/NAME.wav"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let options: Options = parse_options("ljspeech", options)?;
        let file = source.named_file().unwrap_or("metadata.csv");
        let lines = Lines::open(source, file, MAX_LINE_BYTES)?;
        let is_blank = |line: &Result<(Place, String), Failure>| {
            line.as_ref().is_ok_and(|(_, text)| text.trim().is_empty())
        };
        Ok(Box::new(lines.filter(move |line| !is_blank(line)).map(move |line| {
            let (place, text) = line?;
            clip(source, place, &text, &options)
        })))
    }
}

fn clip(source: &Source, place: Place, line: &str, options: &Options) -> Result<RawSample, Failure> {
    let mut cells = line.split('|').map(str::trim);
    let (Some(name), Some(printed)) = (cells.next().filter(|name| !name.is_empty()), cells.next()) else {
        return Err(Failure::at(place, format!("expected NAME|printed|spoken, got {line:?}")));
    };
    let spoken = cells.next().filter(|spoken| !spoken.is_empty()).unwrap_or(printed);
    let mut raw = RawSample::new(name, place);
    raw.texts.push(spoken.to_owned());
    if printed != spoken {
        raw.texts.push(printed.to_owned());
    }
    let path = |ending: &str| format!("wavs/{name}.{ending}");
    let found =
        ENDINGS.iter().map(|ending| path(ending)).find(|path| source.first_claimed(&[path]).is_some());
    raw.audio = Some(RawMedia::File(found.unwrap_or_else(|| path("wav"))));
    raw.tag("speaker", &options.speaker);
    raw.tag("language", &options.language);
    Ok(raw)
}
