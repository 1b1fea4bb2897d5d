//! Changing the rate of a waveform.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::AudioError;

/// Long enough for a steep filter; a block is the next even multiple of the smallest one that the rates allow.
const BLOCK_SAMPLES: usize = 1024;

/// Brings a waveform from one rate to another, band-limited, without delay.
///
/// # Errors
/// Rates that the resampler does not take, such as 0.
///
/// # Differences from the reference
/// It is rubato's FFT resampler, not torchaudio's windowed sinc; the two differ near the Nyquist frequency.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, AudioError> {
    if from_hz == to_hz || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let failed = |reason: String| AudioError::Resample { from_hz, to_hz, reason };
    let smallest = from_hz as usize / gcd(from_hz, to_hz).max(1) as usize;
    // half a block is the filter's delay: of an odd one the half sample would not be trimmed
    let block = smallest * BLOCK_SAMPLES.div_ceil(smallest.max(1)).next_multiple_of(2);
    let (from, to, window) = (from_hz as usize, to_hz as usize, WindowFunction::BlackmanHarris2);
    let mut resampler = Fft::<f32>::new_custom(from, to, block.max(1), 1, 1, window, FixedSync::Input)
        .map_err(|e| failed(e.to_string()))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|e| failed(e.to_string()))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|e| failed(e.to_string()))?;
    Ok(output.take_data())
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Plays a waveform faster (a factor above 1) or slower, so that its pitch rises or falls with it.
///
/// Cubic interpolation (Catmull-Rom). Above 1, what lies higher than the Nyquist frequency over the factor folds
/// back; with factors up to 1.25 that is the part of speech above 6.4 kHz.
///
/// # Panics
/// If the factor is not above 0.
pub fn change_speed(samples: &[f32], factor: f32) -> Vec<f32> {
    assert!(factor > 0.0, "a speed of {factor} does not exist");
    if factor == 1.0 || samples.len() < 2 {
        return samples.to_vec();
    }
    let step = f64::from(factor);
    let n_out = ((samples.len() - 1) as f64 / step).floor() as usize + 1;
    let last = samples.len() - 1;
    let mut output = Vec::with_capacity(n_out);
    for i in 0..n_out {
        let position = i as f64 * step;
        let left = (position as usize).min(last);
        let t = (position - left as f64) as f32;
        let neighbours = if left >= 1 && left + 2 <= last {
            [samples[left - 1], samples[left], samples[left + 1], samples[left + 2]]
        } else {
            [left.saturating_sub(1), left, (left + 1).min(last), (left + 2).min(last)].map(|k| samples[k])
        };
        output.push(catmull_rom(neighbours, t));
    }
    output
}

fn catmull_rom([p0, p1, p2, p3]: [f32; 4], t: f32) -> f32 {
    let a = 1.5 * (p1 - p2) + 0.5 * (p3 - p0);
    let b = p0 - 2.5 * p1 + 2.0 * p2 - 0.5 * p3;
    let c = 0.5 * (p2 - p0);
    ((a * t + b) * t + c) * t + p1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32, rate_hz: f32, n_samples: usize) -> Vec<f32> {
        (0..n_samples).map(|i| (std::f32::consts::TAU * hz * i as f32 / rate_hz).sin()).collect()
    }

    #[test]
    fn resampled_sine_is_the_sine_of_the_new_rate() {
        for from_hz in [8_000, 22_050, 44_100, 48_000] {
            let source = sine(440.0, from_hz as f32, from_hz as usize);
            let got = resample(&source, from_hz, 16_000).expect("rates are plain");
            let expected = sine(440.0, 16_000.0, got.len());
            assert!(got.len().abs_diff(16_000) <= 1, "{} samples from {from_hz} Hz", got.len());
            let largest = got[800..15_000]
                .iter()
                .zip(&expected[800..15_000])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(largest < 2e-3, "{largest} from {from_hz} Hz");
        }
    }

    #[test]
    fn speed_raises_the_pitch_and_shortens() {
        let source = sine(300.0, 16_000.0, 16_000);
        for factor in [0.85f32, 1.0, 1.1, 1.25] {
            let got = change_speed(&source, factor);
            let expected = sine(300.0 * factor, 16_000.0, got.len());
            assert!((got.len() as f32 - 16_000.0 / factor).abs() < 2.0);
            let n = got.len() - 4;
            let largest =
                got[2..n].iter().zip(&expected[2..n]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 5e-3, "{largest} at {factor}");
        }
    }

    #[test]
    fn rate_of_zero_is_an_error() {
        assert!(resample(&[0.0; 10], 0, 16_000).is_err());
    }
}
