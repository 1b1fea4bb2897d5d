//! *filter*: what is kept. Texts are judged one by one; a sample that had texts and has none left goes.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::{Item, Picture, Sound};
use super::ledger::Fault;
use super::loudness::Loudness;
use super::range::Bounds;
use super::recipe::Objection;
use super::similarity::{Comparison, Similarity};
use super::stage::{Context, Decision, Stage, Tally, as_value, count};
use crate::audio;
use crate::text::language::{self, Guess};

/// What is kept; what is not named is not looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// What a sample must have: some of `image`, `audio`, `text`.
    pub require: Vec<Part>,
    /// Width in pixels.
    pub image_width: Bounds,
    /// Height in pixels.
    pub image_height: Bounds,
    /// The shorter side in pixels.
    pub image_side: Bounds,
    /// The longer side over the shorter, at least 1.
    pub image_aspect: Bounds,
    /// Length of the sound in seconds.
    pub audio_s: Bounds,
    /// Share of the sound's 20 ms frames that are quieter than `silence_db`, 0 to 1.
    pub audio_silence: Bounds,
    /// What counts as silence, in decibels below full scale.
    pub silence_db: f64,
    /// Share of samples in runs at full scale, 0 to 1.
    pub audio_clipping: Bounds,
    /// Characters of the first text over seconds of sound.
    pub characters_a_second: Bounds,
    /// Length of a text in characters.
    pub text_characters: Bounds,
    /// Length of a text in words.
    pub text_words: Bounds,
    /// The inside of a regular expression's character class that every character of a text must be in, such as
    /// `\p{Latin}\p{M}0-9 .,!?'-`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<String>,
    /// Languages by their codes: the tag `language` where there is one, else as found in the texts.
    pub languages: Vec<String>,
    /// Texts with fewer letters are not judged by language.
    pub language_characters: usize,
    /// Less sure answers do not count, 0 to 1.
    pub language_confidence: f64,
    /// Whether samples stay whose language cannot be told.
    pub unknown_language: bool,
    /// Similarity of the picture (without one, the sound) with the best of the texts, by a trained model.
    pub similarity: Bounds,
}

/// A part of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The picture.
    Image,
    /// The sound.
    Audio,
    /// At least one text.
    Text,
}

impl Default for FilterSettings {
    fn default() -> Self {
        let any = Bounds::default();
        Self {
            require: Vec::new(),
            image_width: any,
            image_height: any,
            image_side: any,
            image_aspect: any,
            audio_s: any,
            audio_silence: any,
            silence_db: -50.0,
            audio_clipping: any,
            characters_a_second: any,
            text_characters: any,
            text_words: any,
            characters: None,
            languages: Vec::new(),
            language_characters: 20,
            language_confidence: 0.5,
            unknown_language: true,
            similarity: any,
        }
    }
}

impl FilterSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        let bounds = [
            ("image_width", self.image_width),
            ("image_height", self.image_height),
            ("image_side", self.image_side),
            ("image_aspect", self.image_aspect),
            ("audio_s", self.audio_s),
            ("audio_silence", self.audio_silence),
            ("audio_clipping", self.audio_clipping),
            ("characters_a_second", self.characters_a_second),
            ("text_characters", self.text_characters),
            ("text_words", self.text_words),
            ("similarity", self.similarity),
        ];
        let mut objections: Vec<Objection> = bounds
            .into_iter()
            .filter_map(|(key, bounds)| Some((vec!["filter", key], bounds.objection()?)))
            .collect();
        if let Some(class) = &self.characters
            && let Err(e) = class_of(class)
        {
            objections.push((vec!["filter", "characters"], e));
        }
        if let Some(code) = self.languages.iter().find(|code| !language::is_known(code)) {
            let message = format!("expected codes such as \"en\" or \"deu\", got {code:?}");
            objections.push((vec!["filter", "languages"], message));
        }
        if !(0.0..=1.0).contains(&self.language_confidence) {
            let message = format!("expected 0 to 1, got {}", self.language_confidence);
            objections.push((vec!["filter", "language_confidence"], message));
        }
        objections
    }

    pub(crate) fn needs_model(&self) -> bool {
        self.similarity != Bounds::default()
    }
}

/// A text of such characters alone.
fn class_of(class: &str) -> Result<Regex, String> {
    Regex::new(&format!("^[{class}]*$"))
        .map_err(|e| format!("expected the inside of a character class: {}", last_line(&e)))
}

fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().to_owned()
}

pub(crate) struct Filter {
    settings: FilterSettings,
    class: Option<Regex>,
    languages: Vec<String>,
    model: Option<String>,
}

impl Filter {
    pub(crate) fn new(settings: &FilterSettings, model: Option<String>) -> Result<Self, PipelineError> {
        let class = settings.characters.as_deref().map(class_of).transpose();
        let class = class.map_err(|problem| PipelineError::usage(problem, ""))?;
        let languages = settings.languages.iter().map(|code| language::short_code(code)).collect();
        Ok(Self { settings: settings.clone(), class, languages, model })
    }

    fn picture(&self, picture: &Picture) -> Option<Fault> {
        let (width, height) = (f64::from(picture.width), f64::from(picture.height));
        let (short, long) = (width.min(height), width.max(height));
        let s = &self.settings;
        refuse("image_width", s.image_width, "a width", width, " pixels")
            .or_else(|| refuse("image_height", s.image_height, "a height", height, " pixels"))
            .or_else(|| refuse("image_side", s.image_side, "a shorter side", short, " pixels"))
            .or_else(|| refuse("image_aspect", s.image_aspect, "an aspect", long / short.max(1.0), ""))
    }

    fn sound(
        &self,
        sound: &Sound,
        texts: &[String],
        context: &Context<'_>,
    ) -> Result<Option<Fault>, PipelineError> {
        let s = &self.settings;
        if let Some(fault) = refuse("audio_s", s.audio_s, "a sound", sound.duration_s, " s") {
            return Ok(Some(fault));
        }
        if let Some(text) = texts.first() {
            let rate = text.chars().count() as f64 / sound.duration_s.max(1e-3);
            let fault = refuse("speech_rate", s.characters_a_second, "speech", rate, " characters a second");
            if fault.is_some() {
                return Ok(fault);
            }
        }
        let any = Bounds::default();
        if s.audio_silence == any && s.audio_clipping == any {
            return Ok(None);
        }
        let bytes = context.store.bytes(&sound.blob)?;
        let waveform = match audio::decode(&bytes, &sound.blob.extension, f64::INFINITY) {
            Ok(waveform) => waveform,
            Err(e) => return Ok(Some(Fault::bad("audio", e.to_string()))),
        };
        let loudness = Loudness::of(&waveform, s.silence_db);
        Ok(refuse("audio_silence", s.audio_silence, "a share of silence", loudness.silence, "").or_else(
            || {
                refuse(
                    "audio_clipping",
                    s.audio_clipping,
                    "a share of clipped samples",
                    loudness.clipping,
                    "",
                )
            },
        ))
    }

    fn text(&self, text: &str) -> Option<Fault> {
        let s = &self.settings;
        let n_characters = text.chars().count() as f64;
        let n_words = text.split_whitespace().count() as f64;
        refuse("text_characters", s.text_characters, "a text", n_characters, " characters")
            .or_else(|| refuse("text_words", s.text_words, "a text", n_words, " words"))
            .or_else(|| {
                let class = self.class.as_ref()?;
                let is_allowed = |c: &char| class.is_match(c.encode_utf8(&mut [0; 4]));
                let strange = text.chars().find(|c| !is_allowed(c))?;
                let reason = format!("expected only allowed characters, got {strange:?}");
                Some(Fault::unwanted("text_character", reason))
            })
    }

    fn language(&self, item: &Item) -> Option<Fault> {
        if self.languages.is_empty() {
            return None;
        }
        let s = &self.settings;
        let tagged = item.tags.get("language").map(|code| language::short_code(code));
        let found =
            || match language::guess(&item.texts.join("\n"), s.language_characters, s.language_confidence) {
                Guess::Language { code, .. } => Some(code.to_owned()),
                Guess::Short | Guess::Unsure => None,
            };
        match tagged.or_else(found) {
            Some(code) if self.languages.contains(&code) => None,
            Some(code) => {
                let reason = format!("expected one of {}, got {code}", self.languages.join(", "));
                Some(Fault::unwanted("language", reason))
            }
            None if s.unknown_language || item.texts.is_empty() => None,
            None => Some(Fault::unwanted("language", "expected a language that can be told, got none")),
        }
    }
}

fn refuse(kind: &str, bounds: Bounds, what: &str, value: f64, unit: &str) -> Option<Fault> {
    bounds.refuse(what, value, unit).map(|reason| Fault::unwanted(kind, reason))
}

impl Stage for Filter {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn version(&self) -> u32 {
        2
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&(&self.settings, &self.model))
    }

    fn apply(
        &self,
        item: &mut Item,
        _place: u64,
        _decision: &Decision,
        context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        if let Some(fault) = item.image.as_ref().and_then(|picture| self.picture(picture)) {
            return Ok(Some(fault));
        }
        let n_texts = item.texts.len();
        let mut last_fault = None;
        item.texts.retain(|text| match self.text(text) {
            None => true,
            fault => {
                last_fault = fault;
                false
            }
        });
        if item.texts.is_empty() && last_fault.is_some() {
            return Ok(last_fault);
        }
        count(tally, "texts dropped from samples that stay", (n_texts - item.texts.len()) as u64);
        for part in &self.settings.require {
            let (is_there, name) = match part {
                Part::Image => (item.image.is_some(), "a picture"),
                Part::Audio => (item.audio.is_some(), "a sound"),
                Part::Text => (!item.texts.is_empty(), "a text"),
            };
            if !is_there {
                return Ok(Some(Fault::unwanted("require", format!("expected {name}, got none"))));
            }
        }
        if let Some(fault) = self.language(item) {
            return Ok(Some(fault));
        }
        match &item.audio {
            Some(sound) => self.sound(sound, &item.texts, context),
            None => Ok(None),
        }
    }

    fn apply_together(
        &self,
        items: &mut [Item],
        context: &Context<'_>,
        similarity: Option<&dyn Similarity>,
        _tally: &mut Tally,
    ) -> Result<Vec<Option<Fault>>, PipelineError> {
        let mut faults: Vec<Option<Fault>> = items.iter().map(|_| None).collect();
        let Some(model) = similarity.filter(|_| self.settings.needs_model()) else {
            return Ok(faults);
        };
        let is_judged =
            |item: &Item| !item.texts.is_empty() && (item.image.is_some() || item.audio.is_some());
        let judged: Vec<usize> = (0..items.len()).filter(|idx| is_judged(&items[*idx])).collect();
        let scores =
            compare(model, judged.iter().map(|idx| (&items[*idx], &items[*idx].texts[..])), context)?;
        for (idx, scores) in judged.into_iter().zip(scores) {
            let best = scores.into_iter().fold(f32::NEG_INFINITY, f32::max);
            faults[idx] = refuse("similarity", self.settings.similarity, "a similarity", f64::from(best), "");
        }
        Ok(faults)
    }
}

/// Similarities of samples with texts: of the picture where there is one, else of the sound.
pub(crate) fn compare<'i>(
    model: &dyn Similarity,
    items: impl Iterator<Item = (&'i Item, &'i [String])>,
    context: &Context<'_>,
) -> Result<Vec<Vec<f32>>, PipelineError> {
    let mut loaded = Vec::new();
    for (item, texts) in items {
        let image = match &item.image {
            Some(picture) => Some((context.store.bytes(&picture.blob)?, picture.blob.extension.as_str())),
            None => None,
        };
        let audio = match &item.audio {
            Some(sound) => Some((context.store.bytes(&sound.blob)?, sound.blob.extension.as_str())),
            None => None,
        };
        loaded.push((image, audio, texts));
    }
    let comparisons: Vec<Comparison<'_>> = loaded
        .iter()
        .map(|(image, audio, texts)| Comparison {
            image: image.as_ref().map(|(bytes, extension)| (&bytes[..], *extension)),
            audio: audio.as_ref().map(|(bytes, extension)| (&bytes[..], *extension)),
            texts,
        })
        .collect();
    let scores = model.compare(&comparisons).map_err(|reason| PipelineError::Model { reason })?;
    let fits = scores.len() == loaded.len()
        && scores.iter().zip(&loaded).all(|(row, (_, _, texts))| row.len() == texts.len());
    if !fits {
        let reason = format!("expected {} rows of similarities, one for each text", loaded.len());
        return Err(PipelineError::Model { reason });
    }
    Ok(scores)
}
