//! Log filterbank energies, exactly Kaldi's.

use serde::{Deserialize, Serialize};

use super::filterbank::Filterbank;
use super::triangle::Triangle;
use super::{Frames, RATE_HZ};

/// 25 ms at 16 kHz.
const WINDOW_SAMPLES: usize = 400;
/// 10 ms at 16 kHz: 100 frames a second.
const HOP_SAMPLES: usize = 160;
/// The next power of two above the window.
const N_FFT: usize = 512;
/// The bin at the Nyquist frequency belongs to no filter.
const N_BINS: usize = N_FFT / 2;
const PRE_EMPHASIS: f64 = 0.97;
/// Makes a Hann window "povey", which is like Hamming's but goes down to zero.
const POVEY_POWER: f64 = 0.85;
const LOWEST_HZ: f64 = 20.0;
/// Energies below are taken for silence.
const FLOOR: f32 = f32::EPSILON;

/// What a Kaldi-style front end may differ in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FbankOptions {
    /// Samples of about -1 to 1 are multiplied by this. Kaldi itself reads 16-bit numbers: 32768 gives its values,
    /// which are `2 ln 32768` higher.
    pub scale: f32,
    /// Whether only frames are made that lie wholly within the clip. Otherwise there is one for every 10 ms, and the
    /// clip is mirrored at its ends.
    pub snip_edges: bool,
    /// Standard deviation of the noise that training adds to the scaled samples; nothing is added outside training.
    pub dither: f32,
}

impl Default for FbankOptions {
    fn default() -> Self {
        Self { scale: 1.0, snip_edges: true, dither: 0.0 }
    }
}

impl FbankOptions {
    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        if !(1e-3..=1e6).contains(&self.scale) {
            return Err(format!("scale: expected 0.001 to 1000000, got {}", self.scale));
        }
        if !(0.0..=1e3).contains(&self.dither) {
            return Err(format!("dither: expected 0 to 1000, got {}", self.dither));
        }
        Ok(())
    }
}

/// Turns waveforms into log filterbank energies.
///
/// 16 kHz mono; windows of 400 samples every 160; each minus its mean, pre-emphasised by 0.97, times a povey window,
/// filled to 512; power spectrum; triangles that are even on Kaldi's mel scale over 20 Hz to 8 kHz; natural logarithm of
/// at least the smallest float32 step above 1.
///
/// # Reference
/// Kaldi's `compute-fbank-feats` as in torchaudio 2.11, `compliance/kaldi.py`, `fbank(waveform, num_mel_bins=n_mels)`
/// with `dither=0`.
///
/// # Differences from the reference
/// Frames are windowed in float64 and rounded once, where the reference rounds at every step; both transform in float32. Where
/// a band is 60 to 90 dB quieter than the loudest that is heard: over half a minute this is up to 7e-4 from the definition, the
/// reference up to 1.4e-3, and the two up to 2e-3 from each other; of 1000 values 999 are within 1.5e-4.
///
/// Clips of less than a window are first filled to 400 samples with silence, where the reference gives no frame.
pub struct Fbank {
    options: FbankOptions,
    window: Vec<f64>,
    bank: Filterbank,
}

impl Fbank {
    /// Plans the transform and computes the filters.
    ///
    /// # Panics
    /// If `n_mels` is 0.
    pub fn new(n_mels: usize, options: FbankOptions) -> Self {
        assert!(n_mels > 0, "a spectrogram of 0 bands does not exist");
        let turn = std::f64::consts::TAU / (WINDOW_SAMPLES - 1) as f64;
        let window =
            (0..WINDOW_SAMPLES).map(|i| (0.5 - 0.5 * (turn * i as f64).cos()).powf(POVEY_POWER)).collect();
        Self { options, window, bank: Filterbank::new(N_FFT, mel_filters(n_mels), FLOOR) }
    }

    /// Mel bands in a frame.
    pub fn n_mels(&self) -> usize {
        self.bank.n_bands()
    }

    /// Number of frames of a clip.
    pub fn n_frames(&self, n_samples: usize) -> usize {
        let n_samples = n_samples.max(WINDOW_SAMPLES);
        if self.options.snip_edges {
            1 + (n_samples - WINDOW_SAMPLES) / HOP_SAMPLES
        } else {
            (n_samples + HOP_SAMPLES / 2) / HOP_SAMPLES
        }
    }

    /// The frames of a clip of 16 kHz.
    ///
    /// # Shapes
    /// `samples` is `[n_samples]`; the result `[n_frames, n_mels]`, at least one frame.
    pub fn frames(&self, samples: &[f32]) -> Frames {
        let n_frames = self.n_frames(samples.len());
        let clip = self.padded(samples, n_frames);
        let values = self.bank.energies(n_frames, |frame_idx, frame| {
            let start = frame_idx * HOP_SAMPLES;
            self.windowed(&clip[start..start + WINDOW_SAMPLES], frame);
        });
        Frames { values, n_frames, n_mels: self.n_mels() }
    }

    /// The scaled samples, with what lies beyond both ends: silence behind a short clip, and without `snip_edges` the
    /// clip's mirror image, its first and last sample repeated.
    fn padded(&self, samples: &[f32], n_frames: usize) -> Vec<f32> {
        let n_samples = samples.len().max(WINDOW_SAMPLES);
        let at = |idx: usize| samples.get(idx).map_or(0.0, |sample| sample * self.options.scale);
        if self.options.snip_edges {
            return (0..n_samples).map(at).collect();
        }
        let before = (WINDOW_SAMPLES - HOP_SAMPLES) / 2;
        let n_padded = (n_frames - 1) * HOP_SAMPLES + WINDOW_SAMPLES;
        let mirrored = |place: usize| match place.checked_sub(before) {
            None => at(before - 1 - place),
            Some(idx) if idx >= n_samples => at(2 * n_samples - 1 - idx),
            Some(idx) => at(idx),
        };
        (0..n_padded).map(mirrored).collect()
    }

    /// One frame without its mean, pre-emphasised, under the window.
    ///
    /// In float64 up to the last step: each rounding on the way is noise that quiet bands hear.
    fn windowed(&self, clip: &[f32], input: &mut [f32]) {
        // what pre-emphasis leaves of the mean
        let offset = sum(clip) / WINDOW_SAMPLES as f64 * (1.0 - PRE_EMPHASIS);
        let emphasised = |sample: f32, before: f32, weight: f64| {
            ((f64::from(sample) - PRE_EMPHASIS * f64::from(before) - offset) * weight) as f32
        };
        // the first sample stands in for the one before it
        input[0] = emphasised(clip[0], clip[0], self.window[0]);
        for ((out, pair), weight) in input[1..].iter_mut().zip(clip.windows(2)).zip(&self.window[1..]) {
            *out = emphasised(pair[1], pair[0], *weight);
        }
        input[WINDOW_SAMPLES..].fill(0.0);
    }
}

/// In lanes, as one chain of sums would wait for each of them.
fn sum(samples: &[f32]) -> f64 {
    let (groups, rest) = samples.as_chunks::<8>();
    let mut lanes = [0.0f64; 8];
    for group in groups {
        for (lane, sample) in lanes.iter_mut().zip(group) {
            *lane += f64::from(*sample);
        }
    }
    lanes.into_iter().chain(rest.iter().copied().map(f64::from)).sum()
}

/// Triangles of height 1 that are even on Kaldi's mel scale, and straight on it rather than in Hz.
fn mel_filters(n_mels: usize) -> Vec<Triangle> {
    let nyquist_hz = f64::from(RATE_HZ) / 2.0;
    let bin_hz = f64::from(RATE_HZ) / N_FFT as f64;
    let lowest = hz_to_mel(LOWEST_HZ);
    let step = (hz_to_mel(nyquist_hz) - lowest) / (n_mels + 1) as f64;
    let triangle = |band: usize, bin: usize| {
        let [left, centre, right] = [0, 1, 2].map(|edge| lowest + step * (band + edge) as f64);
        let mel = hz_to_mel(bin_hz * bin as f64);
        ((mel - left) / (centre - left)).min((right - mel) / (right - centre)).max(0.0)
    };
    (0..n_mels)
        .map(|band| {
            let weights: Vec<f32> = (0..N_BINS).map(|bin| triangle(band, bin) as f32).collect();
            Triangle::new(&weights)
        })
        .collect()
}

/// O'Shaughnessy's scale, "Speech Communication", 1987.
fn hz_to_mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(snip_edges: bool) -> FbankOptions {
        FbankOptions { snip_edges, ..FbankOptions::default() }
    }

    #[test]
    fn number_of_frames_is_kaldis() {
        for (n_samples, snipped, whole) in [
            (0, 1, 3),
            (399, 1, 3),
            (400, 1, 3),
            (559, 1, 3),
            (560, 2, 4),
            (16_000, 98, 100),
            (16_079, 98, 100),
        ] {
            for (snip_edges, n_frames) in [(true, snipped), (false, whole)] {
                let frames = Fbank::new(23, options(snip_edges)).frames(&vec![0.1; n_samples]);
                assert_eq!(frames.n_frames, n_frames, "{n_samples} samples, snip_edges {snip_edges}");
                assert_eq!(frames.values.len(), n_frames * 23);
            }
        }
    }

    #[test]
    fn silence_and_a_constant_are_the_floor() {
        for value in [0.0, 0.5] {
            let frames = Fbank::new(80, FbankOptions::default()).frames(&[value; 800]);
            assert!(frames.values.iter().all(|v| *v == FLOOR.ln()), "of {value}");
        }
    }

    #[test]
    fn scale_adds_its_logarithm_twice() {
        let noise: Vec<f32> = (0..4000).map(|i| ((i * i) as f32 * 0.3).sin() * 0.5).collect();
        let plain = Fbank::new(40, options(true)).frames(&noise);
        let scaled = Fbank::new(40, FbankOptions { scale: 32768.0, ..options(true) }).frames(&noise);
        let offset = 2.0 * 32768f32.ln();
        let is_near = plain.values.iter().zip(&scaled.values).all(|(a, b)| (a + offset - b).abs() < 1e-3);
        assert!(is_near);
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert_eq!(FbankOptions::default().check(), Ok(()));
        let problem = FbankOptions { scale: f32::NAN, ..FbankOptions::default() }.check();
        assert_eq!(problem, Err("scale: expected 0.001 to 1000000, got NaN".to_owned()));
        assert!(FbankOptions { dither: -1.0, ..FbankOptions::default() }.check().is_err());
    }
}
