//! Random changes to waveforms, each drawn from the key of its sample.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{NoiseClips, NoiseColour, RATE_HZ, SpecAugment, change_speed, noise};
use crate::draw::Draw;

/// Which changes, how strong and how often. Everything that is left out changes nothing.
///
/// They happen in this order: speed, silence before and behind, gain, noise; then masks on the frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioAugment {
    /// Probability of a change of speed, and with it of pitch.
    pub speed: f32,
    /// Its factor, from and to (Ko et al., "Audio Augmentation for Speech Recognition", 2015).
    pub speed_factor: [f32; 2],
    /// Up to this much silence before and, separately, behind, in seconds.
    pub silence_s: f32,
    /// Probability of a change of loudness.
    pub gain: f32,
    /// Its decibels, from and to.
    pub gain_db: [f32; 2],
    /// Probability of noise.
    pub noise: f32,
    /// Its spectrum, where it is not taken from recordings.
    pub noise_colour: NoiseColour,
    /// A folder of recordings that it is cut from, as [`NoiseClips::load`] reads it; training alone looks into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_folder: Option<PathBuf>,
    /// Signal over noise in decibels, from and to.
    pub noise_snr_db: [f32; 2],
    /// Probability that the bands are stretched, as by another vocal tract.
    pub warp: f32,
    /// By how much, from and to.
    pub warp_factor: [f32; 2],
    /// Stripes hidden from the log-mel frames.
    pub mask: Option<SpecAugment>,
}

impl Default for AudioAugment {
    fn default() -> Self {
        Self {
            speed: 0.0,
            speed_factor: [0.9, 1.1],
            silence_s: 0.0,
            gain: 0.0,
            gain_db: [-6.0, 6.0],
            noise: 0.0,
            noise_colour: NoiseColour::default(),
            noise_folder: None,
            noise_snr_db: [10.0, 40.0],
            warp: 0.0,
            warp_factor: [0.9, 1.1],
            mask: None,
        }
    }
}

impl AudioAugment {
    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in
            [("speed", self.speed), ("gain", self.gain), ("noise", self.noise), ("warp", self.warp)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{name}: expected a probability of 0 to 1, got {value}"));
            }
        }
        if !(0.0..=10.0).contains(&self.silence_s) {
            return Err(format!("silence_s: expected 0 to 10 seconds, got {}", self.silence_s));
        }
        let spans = [
            ("speed_factor", self.speed_factor, 0.25, 4.0),
            ("gain_db", self.gain_db, -60.0, 60.0),
            ("noise_snr_db", self.noise_snr_db, -40.0, 120.0),
            ("warp_factor", self.warp_factor, 0.5, 2.0),
        ];
        for (name, [from, to], low, high) in spans {
            if !(low <= from && from <= to && to <= high) {
                return Err(format!("{name}: expected {low} <= from <= to <= {high}, got [{from}, {to}]"));
            }
        }
        self.mask.as_ref().map_or(Ok(()), |mask| mask.check().map_err(|problem| format!("mask.{problem}")))
    }

    /// Everything but the masks, on samples of 16 kHz; noise from the clips, if there are any.
    pub(super) fn apply(&self, samples: Vec<f32>, clips: Option<&NoiseClips>, draw: &mut Draw) -> Vec<f32> {
        let mut samples = samples;
        if draw.chance(self.speed) {
            samples = change_speed(&samples, draw.range(self.speed_factor[0], self.speed_factor[1]));
        }
        if self.silence_s > 0.0 {
            let mut n_silent = || (draw.range(0.0, self.silence_s) * RATE_HZ as f32) as usize;
            let (before, behind) = (n_silent(), n_silent());
            let mut padded = vec![0.0; before];
            padded.append(&mut samples);
            padded.resize(padded.len() + behind, 0.0);
            samples = padded;
        }
        if draw.chance(self.gain) {
            let factor = 10f32.powf(draw.range(self.gain_db[0], self.gain_db[1]) / 20.0);
            samples.iter_mut().for_each(|sample| *sample *= factor);
        }
        if draw.chance(self.noise) {
            let snr_db = draw.range(self.noise_snr_db[0], self.noise_snr_db[1]);
            let noise = match clips {
                Some(clips) => clips.stretch(samples.len(), draw),
                None => self.noise_colour.make(samples.len(), draw),
            };
            noise::add(&mut samples, &noise, snr_db);
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Vec<f32> {
        (0..16_000).map(|i| (i as f32 * 0.2).sin() * 0.3).collect()
    }

    #[test]
    fn default_changes_nothing() {
        assert_eq!(AudioAugment::default().apply(tone(), None, &mut Draw::new(1, 0, "", "")), tone());
    }

    #[test]
    fn equal_keys_give_equal_sounds() {
        let augment =
            AudioAugment { speed: 1.0, silence_s: 0.2, gain: 1.0, noise: 1.0, ..AudioAugment::default() };
        assert_eq!(augment.check(), Ok(()));
        let sound = |id: &str| augment.apply(tone(), None, &mut Draw::new(1, 2, id, "audio"));
        assert_eq!(sound("a"), sound("a"));
        assert_ne!(sound("a"), sound("b"));
        assert!(sound("a").iter().all(|v| v.is_finite()));
    }
}
