//! Encoded sound to what a model hears.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bands::{normalise_bands, warp_bands};
use super::waveform_frames::waveform_frames;
use super::{
    AudioAugment, AudioError, Fbank, FbankOptions, Frames, LogMel, NoiseClips, RATE_HZ, SAMPLES_PER_FRAME,
    decode_at_rate,
};
use crate::draw::Draw;

/// A longer recording is refused rather than cut: it is a mistake in the corpus.
const MAX_DECODED_S: f64 = 3600.0;

/// Which front end makes the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// Whisper's: [`LogMel`].
    #[default]
    LogMel,
    /// Kaldi's: [`Fbank`].
    Fbank,
    /// The waveform itself, at mean 0 and variance 1, 160 samples a frame: wav2vec 2.0's.
    Waveform,
}

/// How sounds become frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioTransform {
    /// `log-mel` as Whisper's, `fbank` as Kaldi's, or `waveform` for encoders that read samples.
    #[serde(default)]
    pub features: Features,
    /// What Kaldi's may differ in; of no effect on log-mel frames.
    #[serde(default)]
    pub fbank: FbankOptions,
    /// Mel bands in a frame; 80 is Whisper's and the most frequent choice for Kaldi's. Of a waveform the samples in a frame,
    /// which are 160.
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
        Self {
            features: Features::default(),
            fbank: FbankOptions::default(),
            n_mels: whisper_mels(),
            max_s: whisper_seconds(),
            normalise_bands: false,
            augment: None,
        }
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
        self.check_waveform()?;
        self.fbank.check().map_err(|problem| format!("fbank.{problem}"))?;
        self.augment.as_ref().map_or(Ok(()), |a| a.check().map_err(|problem| format!("augment.{problem}")))
    }

    /// The same without what training changes at random.
    pub(crate) fn plain(&self) -> Self {
        Self { augment: None, ..self.clone() }
    }

    /// The folder of recordings that training adds as noise, where it adds any.
    pub(crate) fn noise_folder(&self) -> Option<&Path> {
        let augment = self.augment.as_ref().filter(|augment| augment.noise > 0.0)?;
        augment.noise_folder.as_deref()
    }
}

impl AudioTransform {
    /// What has bands as its object has none in a waveform.
    fn check_waveform(&self) -> Result<(), String> {
        if self.features != Features::Waveform {
            return Ok(());
        }
        if self.n_mels != SAMPLES_PER_FRAME {
            return Err(format!(
                "n_mels: expected {SAMPLES_PER_FRAME}, the samples in a frame of a waveform, got {}",
                self.n_mels
            ));
        }
        let augment = self.augment.as_ref();
        let of_bands = [
            ("normalise_bands", self.normalise_bands),
            ("augment.warp", augment.is_some_and(|augment| augment.warp > 0.0)),
            ("augment.mask", augment.is_some_and(|augment| augment.mask.is_some())),
        ];
        match of_bands.into_iter().find(|(_, is_on)| *is_on) {
            Some((key, _)) => Err(format!("{key}: expected it off, as a waveform has no bands, got it on")),
            None => Ok(()),
        }
    }
}

/// A transform with its filters computed; made once, used for every clip, from any thread.
pub struct AudioPipeline {
    transform: AudioTransform,
    front_end: FrontEnd,
    noise_clips: Option<NoiseClips>,
}

enum FrontEnd {
    LogMel(LogMel),
    Fbank(Fbank),
    Waveform,
}

impl AudioPipeline {
    /// Computes the filters.
    ///
    /// # Panics
    /// If [`AudioTransform::check`] finds fault with it.
    pub fn new(transform: &AudioTransform) -> Self {
        assert_eq!(transform.check(), Ok(()), "the audio transform must be checked first");
        let front_end = match transform.features {
            Features::LogMel => FrontEnd::LogMel(LogMel::new(transform.n_mels)),
            Features::Fbank => FrontEnd::Fbank(Fbank::new(transform.n_mels, transform.fbank.clone())),
            Features::Waveform => FrontEnd::Waveform,
        };
        Self { transform: transform.clone(), front_end, noise_clips: None }
    }

    /// Takes the noise that training adds from recordings instead of making it.
    pub fn with_noise_clips(self, clips: NoiseClips) -> Self {
        Self { noise_clips: Some(clips), ..self }
    }

    /// Mel bands in a frame.
    pub fn n_mels(&self) -> usize {
        self.transform.n_mels
    }

    /// Decodes an encoded sound and brings it to 16 kHz.
    ///
    /// # Errors
    /// Those of [`decode_at_rate`].
    pub fn decode(&self, bytes: &[u8], extension: &str) -> Result<Vec<f32>, AudioError> {
        decode_at_rate(bytes, extension, MAX_DECODED_S)
    }

    /// The frames of samples at 16 kHz, changed at random if there is a `draw` and an `augment`.
    ///
    /// # Shapes
    /// Returns `[n_frames, n_mels]`, 100 frames a second.
    pub fn frames(&self, samples: Vec<f32>, draw: Option<&mut Draw>) -> Frames {
        let max_samples = (self.transform.max_s * f64::from(RATE_HZ)) as usize;
        let Some(draw) = draw else {
            return self.normalised(self.features(&samples[..samples.len().min(max_samples)]));
        };
        let augment = self.transform.augment.as_ref();
        let mut samples = match augment {
            Some(augment) => augment.apply(samples, self.noise_clips.as_ref(), draw),
            None => samples,
        };
        samples.truncate(max_samples);
        self.dither(&mut samples, draw);
        let mut frames = self.features(&samples);
        if let Some(augment) = augment
            && draw.chance(augment.warp)
        {
            let [low, high] = augment.warp_factor;
            warp_bands(&mut frames, draw.range(low, high));
        }
        let mut frames = self.normalised(frames);
        if let Some(mask) = augment.and_then(|augment| augment.mask.as_ref()) {
            mask.apply(&mut frames, draw);
        }
        frames
    }

    fn features(&self, samples: &[f32]) -> Frames {
        match &self.front_end {
            FrontEnd::LogMel(log_mel) => log_mel.frames(samples),
            FrontEnd::Fbank(fbank) => fbank.frames(samples),
            FrontEnd::Waveform => waveform_frames(samples),
        }
    }

    fn normalised(&self, mut frames: Frames) -> Frames {
        if self.transform.normalise_bands {
            normalise_bands(&mut frames);
        }
        frames
    }

    /// Once over the clip, where Kaldi draws anew for each frame: overlapping frames hear the same noise.
    fn dither(&self, samples: &mut [f32], draw: &mut Draw) {
        let FbankOptions { scale, dither, .. } = self.transform.fbank;
        if self.transform.features != Features::Fbank || dither == 0.0 {
            return;
        }
        for pair in samples.chunks_mut(2) {
            let (a, b) = draw.normal_pair();
            pair.iter_mut().zip([a, b]).for_each(|(sample, noise)| *sample += noise * dither / scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Vec<f32> {
        (0..8000).map(|i| (i as f32 * 0.2).sin() * 0.3).collect()
    }

    #[test]
    fn config_without_features_reads_as_log_mel() {
        let transform: AudioTransform =
            serde_json::from_str(r#"{"n_mels": 64}"#).expect("the rest has defaults");
        assert_eq!(transform, AudioTransform { n_mels: 64, ..AudioTransform::default() });
        let frames = AudioPipeline::new(&transform).frames(tone(), None);
        assert_eq!(frames, LogMel::new(64).frames(&tone()));
    }

    #[test]
    fn fbank_is_chosen_by_name_and_takes_its_options() {
        let config = r#"{"features": "fbank", "fbank": {"snip_edges": false}, "n_mels": 23}"#;
        let transform: AudioTransform = serde_json::from_str(config).expect("the rest has defaults");
        let expected =
            Fbank::new(23, FbankOptions { snip_edges: false, ..FbankOptions::default() }).frames(&tone());
        assert_eq!(AudioPipeline::new(&transform).frames(tone(), None), expected);
        assert!(serde_json::from_str::<AudioTransform>(r#"{"features": "mfcc"}"#).is_err());
    }

    #[test]
    fn a_waveform_is_refused_what_needs_bands() {
        let waveform = |rest: &str| {
            let config = format!(r#"{{"features": "waveform"{rest}}}"#);
            serde_json::from_str::<AudioTransform>(&config).expect("the rest has defaults").check()
        };
        assert_eq!(waveform(r#", "n_mels": 160"#), Ok(()));
        let bands = waveform("").expect_err("80 bands");
        assert_eq!(bands, "n_mels: expected 160, the samples in a frame of a waveform, got 80");
        let normalised = waveform(r#", "n_mels": 160, "normalise_bands": true"#).expect_err("bands");
        assert!(normalised.starts_with("normalise_bands: expected it off"), "{normalised}");
    }

    #[test]
    fn dither_is_of_the_key_and_of_training_alone() {
        let fbank = FbankOptions { dither: 1e-3, ..FbankOptions::default() };
        let pipeline = |features| {
            AudioPipeline::new(&AudioTransform {
                features,
                fbank: fbank.clone(),
                ..AudioTransform::default()
            })
        };
        let (kaldi, whisper) = (pipeline(Features::Fbank), pipeline(Features::LogMel));
        let of_key = |id: &str| kaldi.frames(tone(), Some(&mut Draw::new(1, 2, id, "audio")));
        assert_eq!(of_key("a"), of_key("a"));
        assert_ne!(of_key("a"), of_key("b"));
        assert_ne!(of_key("a"), kaldi.frames(tone(), None));
        let drawn = whisper.frames(tone(), Some(&mut Draw::new(1, 2, "a", "audio")));
        assert_eq!(drawn, whisper.frames(tone(), None));
    }
}
