//! `tuxpaint`: the stamps of Tux Paint, pictures with captions in many languages, written and spoken by volunteers.
//!
//! Source: `/usr/share/tuxpaint/stamps` of the Debian package `tuxpaint-stamps-default`. `NAME.png` or `NAME.svg` is a picture,
//! `NAME.txt` has its caption in English in the first line and `xx.utf8=...` for other languages, `NAME_desc_xx.ogg` says it in one.
//!
//! A picture and each spoken caption are a sample each, in one group by the English caption, so that a caption never stands
//! in two splits. Texts: a picture's are the captions in `--set languages='["en", "fr"]'` (English alone by default); a sound's
//! is the caption in its language. Tags: `language`, `english`, `category`.
//!
//! Caveats: `symbols/` (letters, shapes, money) is left out unless `--set symbols=true`. Spoken captions in Russian, Bulgarian,
//! Romanian, Spanish and French say what is written; those in Catalan, Belarusian and English often do not, and are left out
//! with the rest unless `--set speech='["ca"]'` names them. GPL-2.

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::source::{extension, without_extension};
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, parse_options};
use crate::shard::Licence;
use crate::text::normalise;

const SYMBOLS: &str = "symbols/";
const MAX_CAPTION_BYTES: u64 = 1 << 20;
const SOUND_ENDINGS: [&str; 2] = ["ogg", "wav"];

/// The format.
pub(super) struct TuxPaint;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Of a picture's captions, in this order.
    languages: Vec<String>,
    /// Of the spoken captions.
    speech: Vec<String>,
    symbols: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            languages: vec!["en".to_owned()],
            speech: ["ru", "bg", "ro", "es", "fr"].map(str::to_owned).to_vec(),
            symbols: false,
        }
    }
}

impl Format for TuxPaint {
    fn name(&self) -> &'static str {
        "tuxpaint"
    }

    fn about(&self) -> &'static str {
        "Tux Paint's stamps, pictures with spoken captions (Debian: tuxpaint-stamps-default, /usr/share/tuxpaint/stamps)"
    }

    fn licences(&self) -> Vec<Licence> {
        vec![Licence {
            part: "everything".to_owned(),
            source: "tuxpaint-stamps".to_owned(),
            licence: "GPL-2.0-only".to_owned(),
            attribution: "Tux Paint stamps, by Bill Kendrick and contributors".to_owned(),
            ..Licence::default()
        }]
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let options: Options = parse_options("tuxpaint", options)?;
        let captions = source.walk("").filter(|file| match file {
            Ok(file) => extension(file) == "txt",
            Err(_) => true,
        });
        let is_wanted = {
            let has_symbols = options.symbols;
            move |file: &Result<String, Failure>| {
                has_symbols
                    || !file
                        .as_ref()
                        .is_ok_and(|file| file.starts_with(SYMBOLS) || file.contains("/symbols/"))
            }
        };
        Ok(Box::new(captions.filter(is_wanted).flat_map(move |file| {
            match file.and_then(|file| Stamp::read(source, &file)) {
                Ok(stamp) => stamp.samples(source, &options).into_iter().map(Ok).collect(),
                Err(failure) => vec![Err(failure)],
            }
        })))
    }
}

/// A caption file.
struct Stamp {
    file: String,
    english: String,
    /// Language and caption.
    translations: Vec<(String, String)>,
}

impl Stamp {
    fn read(source: &Source, file: &str) -> Result<Self, Failure> {
        let fail = |reason: String| Failure::at(Place::file(file), reason);
        let bytes = source.read(file, MAX_CAPTION_BYTES).map_err(fail)?;
        let text = String::from_utf8(bytes).map_err(|_| fail("expected captions in UTF-8".to_owned()))?;
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let english = lines.next().unwrap_or_default().to_owned();
        if english.is_empty() {
            return Err(fail("expected an English caption in the first line, got none".to_owned()));
        }
        let translation = |line: &str| {
            let (key, caption) = line.split_once('=')?;
            Some((key.strip_suffix(".utf8")?.to_owned(), caption.trim().to_owned()))
        };
        let translations = lines.filter_map(translation).filter(|(_, text)| !text.is_empty()).collect();
        Ok(Self { file: file.to_owned(), english, translations })
    }

    fn caption(&self, language: &str) -> Option<&str> {
        if language == "en" {
            return Some(&self.english);
        }
        self.translations.iter().find(|(name, _)| name == language).map(|(_, caption)| caption.as_str())
    }

    /// The picture, if there is one, and the spoken captions.
    fn samples(&self, source: &Source, options: &Options) -> Vec<RawSample> {
        let stem = without_extension(&self.file);
        let mut samples = Vec::new();
        let picture = ["png", "svg"].map(|ending| format!("{stem}.{ending}"));
        if let Some(picture) = source.first_file(&[&picture[0], &picture[1]]) {
            let mut raw = self.sample(stem.to_owned());
            let captions = options.languages.iter().filter_map(|language| self.caption(language));
            raw.texts = captions.map(str::to_owned).collect();
            raw.image = Some(RawMedia::File(picture));
            samples.push(raw);
        }
        for language in &options.speech {
            let name = if language == "en" { "_desc".to_owned() } else { format!("_desc_{language}") };
            let paths = SOUND_ENDINGS.map(|ending| format!("{stem}{name}.{ending}"));
            let (Some(caption), Some(path)) =
                (self.caption(language), source.first_file(&[&paths[0], &paths[1]]))
            else {
                continue;
            };
            let mut raw = self.sample(format!("{stem}/{language}"));
            raw.texts.push(caption.to_owned());
            raw.tag("language", language);
            raw.audio = Some(RawMedia::File(path));
            samples.push(raw);
        }
        samples
    }

    fn sample(&self, id: String) -> RawSample {
        let mut raw = RawSample::new(id, Place::file(&self.file));
        raw.group = Some(normalise(&self.english).trim_end_matches('.').to_owned());
        raw.tag("english", &self.english);
        raw.tag("category", self.file.split('/').next().unwrap_or_default());
        raw
    }
}
