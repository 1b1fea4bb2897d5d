//! `asterisk`: the prompts of the Asterisk telephone system, one professional voice a language, with transcripts.
//!
//! Source: `/usr/share`, where the Debian packages `asterisk-core-sounds-en` (transcripts) and `asterisk-core-sounds-en-wav` (8 kHz)
//! or `-g722` (16 kHz, taken where both are there, and stored as WAV) put `doc/asterisk-core-sounds-en/core-sounds-en.txt.gz` and `asterisk/sounds/en_US_f_Allison/`; or the folder of the sounds
//! itself, with the transcripts in it or where `--set transcripts=FILE` says. A line of the transcripts is `NAME: WORDS`. Other
//! languages: `--set language=fr`.
//!
//! Transcripts in square brackets describe a sound that nobody says: they are left out. Tags: `speaker`, `language`.
//! CC-BY-SA-3.0.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, parse_options};
use crate::audio::{decode_g722, encode_wav};
use crate::sample::Media;
use crate::shard::Licence;

const MAX_LINE_BYTES: u64 = 1 << 16;
const SOUNDS: &str = "asterisk/sounds";
const MAX_G722_BYTES: u64 = 64 << 20;

/// The format.
pub(super) struct Asterisk;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    language: String,
    transcripts: Option<std::path::PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { language: "en".to_owned(), transcripts: None }
    }
}

impl Format for Asterisk {
    fn name(&self) -> &'static str {
        "asterisk"
    }

    fn about(&self) -> &'static str {
        "Asterisk's prompts with transcripts (Debian: asterisk-core-sounds-en with -en-wav or -en-g722, /usr/share)"
    }

    fn licences(&self) -> Vec<Licence> {
        vec![Licence {
            part: "everything".to_owned(),
            source: "asterisk-core-sounds".to_owned(),
            licence: "CC-BY-SA-3.0".to_owned(),
            attribution:
                "Asterisk core sounds, recorded by Allison Smith (English) and others for Digium, Inc."
                    .to_owned(),
            ..Licence::default()
        }]
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { language, transcripts } = parse_options("asterisk", options)?;
        let folder = sounds_folder(source, &language)?;
        let lines = match transcripts {
            Some(path) => open_elsewhere(&path)?,
            None => {
                let name = format!("core-sounds-{language}.txt");
                let places = [
                    name.clone(),
                    format!("{name}.gz"),
                    format!("doc/asterisk-core-sounds-{language}/{name}.gz"),
                    format!("doc/asterisk-core-sounds-{language}/{name}"),
                ];
                let places: Vec<&str> = places.iter().map(String::as_str).collect();
                let problem = || {
                    source.unfit(format!(
                        "expected {} or {}; a slim container leaves /usr/share/doc out: `apt-get download \
                         asterisk-core-sounds-{language} && dpkg -x *.deb .` brings it",
                        places[0], places[2]
                    ))
                };
                Lines::open(source, &source.first_file(&places).ok_or_else(problem)?, MAX_LINE_BYTES)?
            }
        };
        let is_comment = |line: &Result<(Place, String), Failure>| {
            line.as_ref().is_ok_and(|(_, text)| {
                let text = text.trim();
                text.is_empty()
                    || text.starts_with(';')
                    || text.split_once(": ").is_some_and(|(_, words)| words.trim_start().starts_with('['))
            })
        };
        let voice = if folder.is_empty() { source.root().to_string_lossy() } else { folder.as_str().into() };
        let speaker = voice.trim_end_matches('/').rsplit(['/', '_']).next().unwrap_or_default().to_owned();
        Ok(Box::new(lines.filter(move |line| !is_comment(line)).map(move |line| {
            let (place, text) = line?;
            let mut raw = prompt(source, &folder, place, &text)?;
            raw.tag("language", &language);
            raw.tag("speaker", &speaker);
            Ok(raw)
        })))
    }
}

/// `auth-thankyou: Thank you.`
fn prompt(source: &Source, folder: &str, place: Place, line: &str) -> Result<RawSample, Failure> {
    let Some((name, words)) = line.split_once(':').map(|(name, words)| (name.trim(), words.trim())) else {
        return Err(Failure::at(place, format!("expected NAME: WORDS, got {line:?}")));
    };
    let mut raw = RawSample::new(name, place.clone());
    raw.texts.push(words.to_owned());
    let [g722, wav] = ["g722", "wav"].map(|ending| format!("{folder}{name}.{ending}"));
    raw.audio = Some(if source.first_claimed(&[&g722, &wav]).as_deref() == Some(&g722) {
        RawMedia::Bytes(unpack(source, &g722).map_err(|reason| Failure::of(name, place, reason))?)
    } else {
        RawMedia::File(wav)
    });
    Ok(raw)
}

/// A file without a header, which nothing else here could read, as a WAV file.
fn unpack(source: &Source, path: &str) -> Result<Media, String> {
    let bytes = source.read(path, MAX_G722_BYTES)?;
    let wav = decode_g722(&bytes).and_then(|waveform| encode_wav(&waveform));
    let bytes = wav.map_err(|e| format!("{path}: {e}"))?;
    Ok(Media { bytes, extension: "wav".to_owned() })
}

/// The folder of a language's sounds with its slash: the source itself, or below `asterisk/sounds`.
fn sounds_folder(source: &Source, language: &str) -> Result<String, ImportError> {
    if !source.has_folder(SOUNDS) {
        return Ok(String::new());
    }
    let voices = source.folders(SOUNDS).map_err(|problem| source.unfit(problem))?;
    let found = voices.into_iter().find(|voice| voice.starts_with(&format!("{language}_")));
    let problem = || source.unfit(format!("expected a folder {SOUNDS}/{language}_..., got none"));
    Ok(format!("{SOUNDS}/{}/", found.ok_or_else(problem)?))
}

/// A file that the user named, wherever it lies.
fn open_elsewhere(path: &Path) -> Result<Lines, ImportError> {
    let source = Source::open(path)?;
    let file =
        source.named_file().ok_or_else(|| source.unfit("expected a file of transcripts, got a folder"))?;
    Lines::open(&source, file, MAX_LINE_BYTES)
}
