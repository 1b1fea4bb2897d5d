//! Encoded sound to what a model hears.

use serde::{Deserialize, Serialize};

use super::bands::{normalise_bands, warp_bands};
use super::{AudioAugment, AudioError, Frames, LogMel, RATE_HZ, Waveform, decode, resample};
use crate::draw::Draw;

/// A longer recording is refused rather than cut: it is a mistake in the corpus.
const MAX_DECODED_S: f64 = 3600.0;

/// How sounds become log-mel frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioTransform {
    /// Mel bands in a frame; 80 is Whisper's.
    #[serde(default = "whisper_mels")]
    pub n_mels: usize,
    /// Longer sounds are cut; 30 s is Whisper's.
    #[serde(default = "whisper_seconds")]
    pub max_s: f64,
    /// Takes the microphone and much of a voice's timbre out of the frames; off in Whisper.
    #[serde(default)]
    pub normalise_bands: bool,
    /// What training changes at random; `None` changes nothing.
    #[serde(default)]
    pub augment: Option<AudioAugment>,
}

fn whisper_mels() -> usize {
    80
}

fn whisper_seconds() -> f64 {
    30.0
}

impl Default for AudioTransform {
    fn default() -> Self {
        Self { n_mels: whisper_mels(), max_s: whisper_seconds(), normalise_bands: false, augment: None }
    }
}

impl AudioTransform {
    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=256).contains(&self.n_mels) {
            return Err(format!("n_mels: expected 1 to 256, got {}", self.n_mels));
        }
        if !(0.1..=MAX_DECODED_S).contains(&self.max_s) {
            return Err(format!("max_s: expected 0.1 to {MAX_DECODED_S} seconds, got {}", self.max_s));
        }
        self.augment.as_ref().map_or(Ok(()), |a| a.check().map_err(|problem| format!("augment.{problem}")))
    }
}

/// A transform with its filters computed; made once, used for every clip, from any thread.
pub struct AudioPipeline {
    transform: AudioTransform,
    log_mel: LogMel,
}

impl AudioPipeline {
    /// Computes the filters.
    ///
    /// # Panics
    /// If [`AudioTransform::check`] finds fault with it.
    pub fn new(transform: &AudioTransform) -> Self {
        assert_eq!(transform.check(), Ok(()), "the audio transform must be checked first");
        Self { transform: transform.clone(), log_mel: LogMel::new(transform.n_mels) }
    }

    /// Mel bands in a frame.
    pub fn n_mels(&self) -> usize {
        self.transform.n_mels
    }

    /// Decodes an encoded sound and brings it to 16 kHz.
    ///
    /// # Errors
    /// Those of [`decode`] and [`resample`].
    pub fn decode(&self, bytes: &[u8], extension: &str) -> Result<Vec<f32>, AudioError> {
        let Waveform { samples, rate_hz } = decode(bytes, extension, MAX_DECODED_S)?;
        if rate_hz == RATE_HZ { Ok(samples) } else { resample(&samples, rate_hz, RATE_HZ) }
    }

    /// The log-mel frames of samples at 16 kHz, changed at random if there is a `draw` and an `augment`.
    ///
    /// # Shapes
    /// Returns `[n_frames, n_mels]`, 100 frames a second.
    pub fn frames(&self, samples: Vec<f32>, draw: Option<&mut Draw>) -> Frames {
        let max_samples = (self.transform.max_s * f64::from(RATE_HZ)) as usize;
        let Some((augment, draw)) = self.transform.augment.as_ref().zip(draw) else {
            return self.features(&samples[..samples.len().min(max_samples)]);
        };
        let mut samples = augment.apply(samples, draw);
        samples.truncate(max_samples);
        let mut frames = self.log_mel.frames(&samples);
        if draw.chance(augment.warp) {
            let [low, high] = augment.warp_factor;
            warp_bands(&mut frames, draw.range(low, high));
        }
        if self.transform.normalise_bands {
            normalise_bands(&mut frames);
        }
        if let Some(mask) = &augment.mask {
            mask.apply(&mut frames, draw);
        }
        frames
    }

    fn features(&self, samples: &[f32]) -> Frames {
        let mut frames = self.log_mel.frames(samples);
        if self.transform.normalise_bands {
            normalise_bands(&mut frames);
        }
        frames
    }
}
