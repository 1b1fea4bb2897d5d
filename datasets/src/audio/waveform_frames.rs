//! The waveform itself as frames.

use super::{Frames, SAMPLES_PER_FRAME};

/// Keeps silence from being blown up; that of the reference.
const FLOOR: f64 = 1e-7;

/// Samples at mean 0 and variance 1, 160 a frame; zeros fill up the last one.
///
/// # Reference
/// `transformers`' `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`.
pub(super) fn waveform_frames(samples: &[f32]) -> Frames {
    let n = samples.len().max(1) as f64;
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / n;
    let variance = samples.iter().map(|&sample| (f64::from(sample) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + FLOOR).sqrt();
    let n_frames = samples.len().div_ceil(SAMPLES_PER_FRAME);
    let mut values: Vec<f32> =
        samples.iter().map(|&sample| ((f64::from(sample) - mean) * scale) as f32).collect();
    values.resize(n_frames * SAMPLES_PER_FRAME, 0.0);
    Frames { values, n_frames, n_mels: SAMPLES_PER_FRAME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_to_mean_0_and_variance_1_and_zeros_fill_the_last_frame() {
        let samples: Vec<f32> = (0..400).map(|i| if i % 2 == 0 { 0.75 } else { 0.25 }).collect();
        let frames = waveform_frames(&samples);
        assert_eq!((frames.n_frames, frames.n_mels, frames.values.len()), (3, 160, 480));
        assert!(frames.values[..400].iter().all(|value| (value.abs() - 1.0).abs() < 1e-5));
        assert!(frames.values[400..].iter().all(|value| *value == 0.0));
    }

    #[test]
    fn silence_and_nothing_stay_finite() {
        assert!(waveform_frames(&[0.5; 200]).values.iter().all(|value| value.abs() < 1e-3));
        assert_eq!(waveform_frames(&[]).n_frames, 0);
    }
}
