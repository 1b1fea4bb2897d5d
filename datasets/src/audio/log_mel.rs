//! Log-mel spectrograms, exactly Whisper's.

use std::f32::consts::LOG10_E;

use super::filterbank::Filterbank;
use super::triangle::Triangle;
use super::{Frames, RATE_HZ};

/// 25 ms at 16 kHz.
const N_FFT: usize = 400;
/// 10 ms at 16 kHz: 100 frames a second.
const HOP_SAMPLES: usize = 160;
const N_BINS: usize = N_FFT / 2 + 1;
/// Powers below are taken for silence.
const FLOOR: f32 = 1e-10;
/// Everything more than 80 dB below the clip's loudest point is cut to that.
const RANGE_LOG10: f32 = 8.0;

/// Turns waveforms into log-mel frames.
///
/// 16 kHz mono; periodic Hann window of 400 samples every 160, centred, reflected at both ends, the last frame
/// dropped; power spectrum; Slaney mel filters with Slaney norm over 0 to 8 kHz; `log10(max(x, 1e-10))`; cut to the
/// clip's maximum minus 8; `(x + 4) / 4`.
///
/// # Reference
/// openai-whisper 20250625, `whisper/audio.py`, `log_mel_spectrogram`.
///
/// # Differences from the reference
/// Any number of mel bands. Clips that are too short to be reflected are first filled to 400 samples with silence.
pub struct LogMel {
    window: Vec<f32>,
    bank: Filterbank,
}

impl LogMel {
    /// Plans the transform and computes the filters.
    ///
    /// # Panics
    /// If `n_mels` is 0.
    pub fn new(n_mels: usize) -> Self {
        assert!(n_mels > 0, "a spectrogram of 0 bands does not exist");
        let turn = std::f64::consts::TAU / N_FFT as f64;
        let window = (0..N_FFT).map(|i| (0.5 - 0.5 * (turn * i as f64).cos()) as f32).collect();
        Self { window, bank: Filterbank::new(N_FFT, mel_filters(n_mels), FLOOR) }
    }

    /// Mel bands in a frame.
    pub fn n_mels(&self) -> usize {
        self.bank.n_bands()
    }

    /// Number of frames of a clip.
    pub fn n_frames(n_samples: usize) -> usize {
        n_samples.max(N_FFT) / HOP_SAMPLES
    }

    /// The frames of a clip of 16 kHz.
    ///
    /// # Shapes
    /// `samples` is `[n_samples]`; the result `[n_samples / 160, n_mels]`, at least 2 frames.
    pub fn frames(&self, samples: &[f32]) -> Frames {
        let padded = reflect(samples);
        let n_frames = Self::n_frames(samples.len());
        let mut values = self.bank.energies(n_frames, |frame_idx, frame| {
            let clip = &padded[frame_idx * HOP_SAMPLES..frame_idx * HOP_SAMPLES + N_FFT];
            for ((out, sample), weight) in frame.iter_mut().zip(clip).zip(&self.window) {
                *out = sample * weight;
            }
        });
        let lowest = loudest(&values) * LOG10_E - RANGE_LOG10;
        for value in &mut values {
            *value = ((*value * LOG10_E).max(lowest) + 4.0) / 4.0;
        }
        Frames { values, n_frames, n_mels: self.n_mels() }
    }
}

/// The largest of the values; in lanes, as one chain of comparisons would wait for each of them.
fn loudest(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<32>();
    let mut lanes = [f32::MIN; 32];
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane = lane.max(*value);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::MIN, f32::max)
}

/// Half a window before and behind, mirrored at the first and the last sample, which are not repeated.
fn reflect(samples: &[f32]) -> Vec<f32> {
    const HALF: usize = N_FFT / 2;
    let n_samples = samples.len().max(N_FFT);
    let mut padded = Vec::with_capacity(n_samples + N_FFT);
    padded.resize(HALF, 0.0);
    padded.extend_from_slice(samples);
    padded.resize(HALF + n_samples, 0.0);
    for i in 1..=HALF {
        padded[HALF - i] = padded[HALF + i];
    }
    let last = HALF + n_samples - 1;
    for i in 1..=HALF {
        padded.push(padded[last - i]);
    }
    padded
}

/// Triangles that are even on the Slaney mel scale, each of area 1 over Hz times 2.
///
/// # Reference
/// librosa 0.11, `filters.mel(sr=16000, n_fft=400, n_mels=n_mels)`.
fn mel_filters(n_mels: usize) -> Vec<Triangle> {
    let nyquist_hz = f64::from(RATE_HZ) / 2.0;
    let highest = hz_to_mel(nyquist_hz);
    let edges_hz: Vec<f64> =
        (0..n_mels + 2).map(|i| mel_to_hz(highest * i as f64 / (n_mels + 1) as f64)).collect();
    let bin_hz = nyquist_hz / (N_BINS - 1) as f64;
    let triangle = |edges: &[f64], bin: usize| {
        let hz = bin as f64 * bin_hz;
        let rising = (hz - edges[0]) / (edges[1] - edges[0]);
        let falling = (edges[2] - hz) / (edges[2] - edges[1]);
        rising.min(falling).max(0.0) * 2.0 / (edges[2] - edges[0])
    };
    edges_hz
        .windows(3)
        .map(|edges| {
            let weights: Vec<f32> = (0..N_BINS).map(|bin| triangle(edges, bin) as f32).collect();
            Triangle::new(&weights)
        })
        .collect()
}

/// Below 1 kHz linear, above logarithmic (Slaney, "Auditory Toolbox", 1998).
const LINEAR_HZ_PER_MEL: f64 = 200.0 / 3.0;
const BREAK_HZ: f64 = 1000.0;
const BREAK_MEL: f64 = BREAK_HZ / LINEAR_HZ_PER_MEL;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < BREAK_HZ { hz / LINEAR_HZ_PER_MEL } else { BREAK_MEL + (hz / BREAK_HZ).ln() / log_step() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < BREAK_MEL { mel * LINEAR_HZ_PER_MEL } else { BREAK_HZ * ((mel - BREAK_MEL) * log_step()).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_frames_is_a_hundred_a_second() {
        let log_mel = LogMel::new(80);
        for (n_samples, n_frames) in
            [(0, 2), (1, 2), (399, 2), (400, 2), (480, 3), (16_000, 100), (16_159, 100)]
        {
            let frames = log_mel.frames(&vec![0.1; n_samples]);
            assert_eq!(frames.n_frames, n_frames, "{n_samples} samples");
            assert_eq!(frames.values.len(), n_frames * 80);
            assert_eq!(LogMel::n_frames(n_samples), n_frames);
        }
    }

    #[test]
    fn silence_is_the_floor() {
        let frames = LogMel::new(40).frames(&[0.0; 1600]);
        assert!(frames.values.iter().all(|v| (v - (-10.0 + 4.0) / 4.0).abs() < 1e-6));
    }

    #[test]
    fn reflection_mirrors_without_repeating_the_edge() {
        let samples: Vec<f32> = (0..500).map(|i| i as f32).collect();
        let padded = reflect(&samples);
        assert_eq!(padded.len(), 900);
        assert_eq!(&padded[198..203], &[2.0, 1.0, 0.0, 1.0, 2.0]);
        assert_eq!(&padded[698..703], &[498.0, 499.0, 498.0, 497.0, 496.0]);
    }

    #[test]
    fn tone_is_loudest_in_its_band() {
        let tone: Vec<f32> =
            (0..8000).map(|i| (std::f32::consts::TAU * 1000.0 * i as f32 / 16_000.0).sin()).collect();
        let frames = LogMel::new(80).frames(&tone);
        let middle = &frames.values[20 * 80..21 * 80];
        let loudest = (0..80).max_by(|a, b| middle[*a].total_cmp(&middle[*b])).expect("80 bands");
        let centre_hz = mel_to_hz(hz_to_mel(8000.0) * (loudest + 1) as f64 / 81.0);
        assert!((centre_hz - 1000.0).abs() < 60.0, "band {loudest} at {centre_hz} Hz");
    }
}
