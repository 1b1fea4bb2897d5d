//! *anonymise*: what says who someone is goes out of texts, pictures' files and sounds' files.
//!
//! In texts a placeholder stands where a value was; the report counts them and never holds one. It finds what has a
//! form: it does not know that a sentence tells of someone without naming them, and of names it knows those of the list.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::{Blob, Item, Picture, Sound};
use super::ledger::Fault;
use super::metadata::{Stripped, orientation, strip};
use super::normalise::is_plain_wav;
use super::personal::{Personal, Redactor};
use super::recipe::Objection;
use super::stage::{Context, Decision, Stage, Tally, as_value, count};
use crate::sample::Question;
use crate::{audio, image};

/// What is taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnonymiseSettings {
    /// Which kinds of values; all by default.
    pub kinds: Vec<Personal>,
    /// A file with a name a line; empty lines and lines that begin with `#` do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<PathBuf>,
    /// Tags whose values are looked through as texts are.
    pub tags: Vec<String>,
    /// Tags that are taken out whole.
    pub remove_tags: Vec<String>,
    /// Whether pictures and sounds lose what their files say besides (EXIF with places, XMP, ID3, comments).
    pub metadata: bool,
}

impl Default for AnonymiseSettings {
    fn default() -> Self {
        Self {
            kinds: Personal::ALL.to_vec(),
            names: None,
            tags: Vec::new(),
            remove_tags: Vec::new(),
            metadata: true,
        }
    }
}

impl AnonymiseSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        if self.names.is_some() && !self.kinds.contains(&Personal::Name) {
            let message = "expected \"name\" among the kinds, since there is a list of names".to_owned();
            return vec![(vec!["anonymise", "kinds"], message)];
        }
        Vec::new()
    }
}

pub(crate) struct Anonymise {
    settings: AnonymiseSettings,
    redactor: Redactor,
    names_hash: String,
}

impl Anonymise {
    pub(crate) fn new(settings: &AnonymiseSettings) -> Result<Self, PipelineError> {
        let mut names = Vec::new();
        let mut names_hash = String::new();
        if let Some(path) = &settings.names {
            let bytes = std::fs::read(path).map_err(|e| PipelineError::io("read", path, e))?;
            names_hash = blake3::hash(&bytes).to_hex().to_string();
            let text = String::from_utf8(bytes).map_err(|e| {
                let place = e.utf8_error().valid_up_to();
                PipelineError::usage(
                    format!("{}, byte {place}: expected UTF-8 text", path.display()),
                    "save the list of names as UTF-8",
                )
            })?;
            let lines = text.strip_prefix('\u{feff}').unwrap_or(&text).lines().map(str::trim);
            names.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
        }
        let redactor = Redactor::new(&settings.kinds, &names).map_err(|problem| {
            PipelineError::usage(format!("the list of names cannot be used: {problem}"), "make it shorter")
        })?;
        Ok(Self { settings: settings.clone(), redactor, names_hash })
    }

    fn redacted(&self, text: &mut String, tally: &mut Tally) {
        let (redacted, found) = self.redactor.redact(text);
        if let Cow::Owned(redacted) = redacted {
            *text = redacted;
        }
        for kind in found {
            count(tally, &format!("{} in texts", kind.placeholder()), 1);
        }
    }
}

impl Stage for Anonymise {
    fn name(&self) -> &'static str {
        "anonymise"
    }

    fn version(&self) -> u32 {
        1
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&(&self.settings, &self.names_hash))
    }

    fn apply(
        &self,
        item: &mut Item,
        _place: u64,
        _decision: &Decision,
        context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        let asked = item.questions.iter_mut().flat_map(Question::texts_mut);
        item.texts.iter_mut().chain(asked).for_each(|text| self.redacted(text, tally));
        for tag in &self.settings.remove_tags {
            count(tally, "tags removed", u64::from(item.tags.remove(tag).is_some()));
        }
        for tag in &self.settings.tags {
            if let Some(value) = item.tags.get_mut(tag) {
                self.redacted(value, tally);
            }
        }
        if !self.settings.metadata {
            return Ok(None);
        }
        if let Some(picture) = &mut item.image
            && let Some(fault) = bare_picture(picture, context, tally)?
        {
            return Ok(Some(fault));
        }
        match &mut item.audio {
            Some(sound) => bare_sound(sound, context, tally),
            None => Ok(None),
        }
    }
}

fn bare_picture(
    picture: &mut Picture,
    context: &Context<'_>,
    tally: &mut Tally,
) -> Result<Option<Fault>, PipelineError> {
    let bytes = context.store.bytes(&picture.blob)?;
    let new = match strip(&bytes, orientation(&bytes)) {
        Stripped::Clean => return Ok(None),
        Stripped::Without(new) => {
            let extension = picture.blob.extension.clone();
            count(tally, "pictures freed of metadata", 1);
            Blob::new(new, &extension)
        }
        Stripped::Recode => {
            let encoded = image::decode(&bytes, &picture.blob.extension)
                .and_then(|pixels| Ok((image::encode_png(&pixels)?, pixels)));
            match encoded {
                Ok((new, pixels)) => {
                    count(tally, "pictures encoded anew to free them of metadata", 1);
                    (picture.width, picture.height) = (pixels.width as u32, pixels.height as u32);
                    Blob::new(new, "png")
                }
                Err(e) => return Ok(Some(Fault::bad("image", e.to_string()))),
            }
        }
    };
    picture.blob = new;
    Ok(None)
}

/// Sound is decoded and packed as a WAV file of the same rate, which holds nothing but samples.
fn bare_sound(
    sound: &mut Sound,
    context: &Context<'_>,
    tally: &mut Tally,
) -> Result<Option<Fault>, PipelineError> {
    let bytes = context.store.bytes(&sound.blob)?;
    if is_plain_wav(&bytes) {
        return Ok(None);
    }
    let encoded = audio::decode(&bytes, &sound.blob.extension, f64::INFINITY)
        .and_then(|waveform| audio::encode_wav(&waveform));
    match encoded {
        Ok(new) => {
            count(tally, "sounds encoded anew to free them of metadata", 1);
            sound.blob = Blob::new(new, "wav");
            Ok(None)
        }
        Err(e) => Ok(Some(Fault::bad("audio", e.to_string()))),
    }
}
