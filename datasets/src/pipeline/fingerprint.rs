//! *fingerprint*: the first half of *deduplicate*: every picture, sound and text gets its signature.

use super::deduplicate::DeduplicateSettings;
use super::error::PipelineError;
use super::item::Item;
use super::ledger::Fault;
use super::signature::{PictureSignature, SoundHasher, TextHasher};
use super::stage::{Context, Decision, Stage, Tally};
use crate::{audio, image};

pub(crate) struct Fingerprint {
    settings: DeduplicateSettings,
    sounds: SoundHasher,
    texts: TextHasher,
}

impl Fingerprint {
    pub(crate) fn new(settings: &DeduplicateSettings) -> Self {
        Self { settings: settings.clone(), sounds: SoundHasher::new(), texts: TextHasher::new() }
    }
}

impl Stage for Fingerprint {
    fn name(&self) -> &'static str {
        "fingerprint"
    }

    fn version(&self) -> u32 {
        1
    }

    /// Thresholds change what is done with signatures, not the signatures.
    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        Ok(serde_json::json!([self.settings.near_images, self.settings.near_audio]))
    }

    fn apply(
        &self,
        item: &mut Item,
        _place: u64,
        _decision: &Decision,
        context: &Context<'_>,
        _tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        if self.settings.near_images
            && let Some(picture) = &item.image
        {
            let bytes = context.store.bytes(&picture.blob)?;
            match image::decode(&bytes, &picture.blob.extension) {
                Ok(pixels) => item.signature.image = Some(PictureSignature::of(&pixels)),
                Err(e) => return Ok(Some(Fault::bad("image", e.to_string()))),
            }
        }
        if self.settings.near_audio
            && let Some(sound) = &item.audio
        {
            let bytes = context.store.bytes(&sound.blob)?;
            match audio::decode_at_rate(&bytes, &sound.blob.extension, f64::INFINITY) {
                Ok(samples) => item.signature.audio = Some(self.sounds.sign(&samples)),
                Err(e) => return Ok(Some(Fault::bad("audio", e.to_string()))),
            }
        }
        if item.image.is_none() && item.audio.is_none() {
            item.signature.text = self.texts.sign(&item.texts);
        }
        Ok(None)
    }
}
