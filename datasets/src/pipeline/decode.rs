//! *decode*: every picture and sound is decoded whole once. What cannot be goes to the ledger.
//!
//! Pictures are measured upright, by their EXIF orientation. A wrong file ending is set right by the content.

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::{Item, media_hash};
use super::ledger::Fault;
use super::recipe::Objection;
use super::stage::{Context, Decision, Stage, Tally, as_value, count};
use crate::{audio, image};

/// What can be used at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeSettings {
    /// Longer sounds are refused before they fill the memory. An hour by default.
    pub max_audio_s: f64,
}

impl Default for DecodeSettings {
    fn default() -> Self {
        Self { max_audio_s: 3600.0 }
    }
}

impl DecodeSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        if self.max_audio_s > 0.0 {
            return Vec::new();
        }
        let message = format!("expected seconds above 0, got {}", self.max_audio_s);
        vec![(vec!["decode", "max_audio_s"], message)]
    }
}

pub(crate) struct Decode(pub DecodeSettings);

impl Stage for Decode {
    fn name(&self) -> &'static str {
        "decode"
    }

    fn version(&self) -> u32 {
        1
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&self.0)
    }

    fn apply(
        &self,
        item: &mut Item,
        _place: u64,
        _decision: &Decision,
        context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        if let Some(picture) = &mut item.image {
            let bytes = context.store.bytes(&picture.blob)?;
            let pixels = match image::decode(&bytes, &picture.blob.extension) {
                Ok(pixels) => pixels,
                Err(e) => return Ok(Some(Fault::bad("image", e.to_string()))),
            };
            let hash = media_hash(&bytes);
            if let Some(extension) = image_extension(&bytes)
                && !is_same_image(extension, &picture.blob.extension)
            {
                count(tally, "file endings set right", 1);
                picture.blob.extension = extension.to_owned();
            }
            picture.width = pixels.width as u32;
            picture.height = pixels.height as u32;
            picture.blob.hash = hash;
        }
        if let Some(sound) = &mut item.audio {
            let bytes = context.store.bytes(&sound.blob)?;
            let waveform = match audio::decode(&bytes, &sound.blob.extension, self.0.max_audio_s) {
                Ok(waveform) => waveform,
                Err(e) => return Ok(Some(Fault::bad("audio", e.to_string()))),
            };
            sound.blob.hash = media_hash(&bytes);
            sound.duration_s = waveform.duration_s();
        }
        if item.is_empty() {
            return Ok(Some(Fault::bad("empty", "expected a picture, a sound or a text, got none")));
        }
        Ok(None)
    }
}

/// The ending of what the bytes are; vector pictures have no mark of their own.
fn image_extension(bytes: &[u8]) -> Option<&'static str> {
    let format = ::image::guess_format(bytes).ok()?;
    format.extensions_str().first().copied()
}

fn is_same_image(content: &str, ending: &str) -> bool {
    let known = |name: &str| ::image::ImageFormat::from_extension(name);
    content == ending || known(content) == known(ending)
}
