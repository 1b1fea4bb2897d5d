//! `fillets`: the spoken lines of the game Fish Fillets, in Czech and in Dutch, with text and an English translation.
//!
//! Source: `/usr/share/games/fillets-ng` of the Debian packages `fillets-ng-data` (texts), `fillets-ng-data-cs` and
//! `fillets-ng-data-nl` (speech). `script/LEVEL/dialogs_cs.lua` has `dialogId("NAME", "font", "English")` followed by
//! `dialogStr("Czech")`; `sound/LEVEL/cs/NAME.ogg` says it.
//!
//! A recording is a sample; the text is what is said, or the English with `--set text=english`, and the other one is the tag `english` or
//! `spoken`. Group: level and name, so that both languages of a line stay in one split. Tags: `language`, `speaker` (the font,
//! which goes with the character), `level`. `--set languages='["cs"]'` takes one language. GPL-2.

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};
use super::lua::{Call, calls};
use crate::shard::Licence;

const MAX_SCRIPT_BYTES: u64 = 4 << 20;

/// The format.
pub(super) struct Fillets;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TextOf {
    #[default]
    Spoken,
    English,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    languages: Vec<String>,
    text: TextOf,
}

impl Default for Options {
    fn default() -> Self {
        Self { languages: ["cs", "nl"].map(str::to_owned).to_vec(), text: TextOf::Spoken }
    }
}

impl Format for Fillets {
    fn name(&self) -> &'static str {
        "fillets"
    }

    fn about(&self) -> &'static str {
        "Fish Fillets' Czech and Dutch speech (Debian: fillets-ng-data, -cs, -nl, /usr/share/games/fillets-ng)"
    }

    fn licences(&self) -> Vec<Licence> {
        vec![Licence {
            part: "everything".to_owned(),
            source: "fillets-ng-data".to_owned(),
            licence: "GPL-2.0-or-later".to_owned(),
            attribution: "Fish Fillets, by ALTAR interactive and the Fish Fillets NG translators".to_owned(),
            ..Licence::default()
        }]
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let options: Options = parse_options("fillets", options)?;
        let levels = source.folders("script").map_err(|problem| {
            source.unfit(format!("expected the folders script/ and sound/ of fillets-ng: {problem}"))
        })?;
        let scripts = levels.into_iter().flat_map({
            let languages = options.languages.clone();
            move |level| languages.clone().into_iter().map(move |language| (level.clone(), language))
        });
        Ok(Box::new(scripts.flat_map(move |(level, language)| {
            let file = format!("script/{level}/dialogs_{language}.lua");
            if source.first_claimed(&[&file]).is_none() {
                return Box::new(std::iter::empty()) as RawItems<'_>;
            }
            match script(source, &file) {
                Ok(calls) => {
                    let lines = lines(source, &file, &level, &language, options.text, calls);
                    Box::new(lines.into_iter()) as RawItems<'_>
                }
                Err(reason) => failed(Failure::at(Place::file(file), reason)),
            }
        })))
    }
}

fn script(source: &Source, file: &str) -> Result<Vec<Call>, String> {
    let bytes = source.read(file, MAX_SCRIPT_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| "expected UTF-8".to_owned())?;
    Ok(calls(&text))
}

fn lines(
    source: &Source,
    file: &str,
    level: &str,
    language: &str,
    text: TextOf,
    calls: Vec<Call>,
) -> Vec<Result<RawSample, Failure>> {
    let mut samples = Vec::new();
    let mut calls = calls.into_iter().peekable();
    while let Some(call) = calls.next() {
        let [name, font, english] = &call.arguments[..] else { continue };
        if call.name != "dialogId" {
            continue;
        }
        let path = format!("sound/{level}/{language}/{name}.ogg");
        // many lines are written only
        if source.first_claimed(&[&path]).is_none() {
            continue;
        }
        let place = Place::line(file, call.line);
        let said = calls.next_if(|next| next.name == "dialogStr");
        let Some(said) = said.and_then(|said| said.arguments.into_iter().next()) else {
            samples.push(Err(Failure::of(name, place, "expected dialogStr(\"...\") after it, got none")));
            continue;
        };
        let mut raw = RawSample::new(format!("{level}/{name}/{language}"), place);
        raw.group = Some(format!("{level}/{name}"));
        raw.audio = Some(RawMedia::File(path));
        raw.tag("language", language);
        raw.tag("speaker", &format!("{language} {}", font.trim_start_matches("font_")));
        raw.tag("level", level);
        match text {
            TextOf::Spoken => {
                raw.tag("english", english);
                raw.texts.push(said);
            }
            TextOf::English => {
                raw.tag("spoken", &said);
                raw.texts.push(english.clone());
            }
        }
        samples.push(Ok(raw));
    }
    samples
}
