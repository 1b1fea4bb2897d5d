//! How much of a sound is silence, and how much is clipped.

use crate::audio::Waveform;

/// 20 ms frames.
const FRAMES_A_SECOND: usize = 50;
/// As loud as 16 bits go, but for a few steps.
const FULL_SCALE: f32 = 0.999;
/// A peak may touch full scale once or twice; a cut one stays there.
const MIN_RUN_SAMPLES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loudness {
    /// Share of 20 ms frames whose root mean square is below the threshold.
    pub silence: f64,
    /// Share of samples in runs of three or more at full scale.
    pub clipping: f64,
}

impl Loudness {
    pub(crate) fn of(waveform: &Waveform, silence_db: f64) -> Self {
        let samples = &waveform.samples;
        let frame = (waveform.rate_hz as usize / FRAMES_A_SECOND).max(1);
        let threshold = 10f64.powf(silence_db / 10.0);
        let is_silent = |frame: &&[f32]| {
            let power: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            power / (frame.len() as f64) < threshold
        };
        let n_frames = samples.len().div_ceil(frame).max(1);
        let n_silent = samples.chunks(frame).filter(is_silent).count();
        let mut n_clipped = 0;
        let mut run = 0;
        for sample in samples.iter().map(|sample| sample.abs()).chain([0.0]) {
            if sample >= FULL_SCALE {
                run += 1;
                continue;
            }
            if run >= MIN_RUN_SAMPLES {
                n_clipped += run;
            }
            run = 0;
        }
        Self {
            silence: n_silent as f64 / n_frames as f64,
            clipping: n_clipped as f64 / samples.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(amplitude: f32) -> Vec<f32> {
        (0..16_000).map(|i| (i as f32 * 0.1).sin() * amplitude).collect()
    }

    #[test]
    fn half_silence_is_half_and_clipping_shows() {
        let mut samples = sine(0.5);
        samples.extend(vec![0.0; 16_000]);
        let half = Loudness::of(&Waveform { samples, rate_hz: 16_000 }, -50.0);
        assert!((half.silence - 0.5).abs() < 0.02 && half.clipping == 0.0, "{half:?}");
        let samples = sine(2.0).into_iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
        let cut = Loudness::of(&Waveform { samples, rate_hz: 16_000 }, -50.0);
        // a sine of twice full scale is above it for two thirds of the time
        assert!((cut.clipping - 0.667).abs() < 0.02 && cut.silence == 0.0, "{cut:?}");
    }
}
