//! Sounds: 512 bits, each the sign of a change of a difference between neighbouring bands.

use serde::{Deserialize, Serialize};

use super::Packed;
use super::spill::Record;
use crate::audio::LogMel;

/// Mel bands up to 8 kHz, of which the lower ones are used: up to some 4 kHz, which every codec and telephone keeps.
const N_MELS: usize = 22;
const N_BANDS: usize = 17;
/// Stretches of the sound; between neighbours there are 32 changes.
const N_STRETCHES: usize = 33;
/// How much longer one loud part may be than the other; noise moves its ends.
const MAX_STRETCH: f32 = 1.25;
/// Of a power of 255, counted where it goes and where it comes: 0.3 of all of it.
const MAX_MOVED: u32 = 153;
/// The loud part lies between these shares of the whole energy, so that silence and noise around it do not move it.
const EDGES: [f64; 2] = [0.02, 0.98];

/// # Reference
/// Haitsma and Kalker 2002, "A highly robust audio fingerprinting system": the bits are the signs of energy differences
/// along both bands and time.
///
/// # Differences from the reference
/// Time is cut into 33 stretches of the loud part of the clip, not into fixed frames: a clip is compared as a whole,
/// wherever it begins. Bands are mel bands. The
/// length of the loud part and the shares of the bands go along, since a steady sound has no changes to tell it by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SoundSignature {
    /// `[8]` of u64, little endian.
    bits: Packed,
    /// `[17]`, each band's share of the power in 255ths.
    shares: Packed,
    /// Length of the loud part.
    loud_s: f32,
}

pub(crate) struct SoundHasher(LogMel);

impl SoundHasher {
    pub(crate) fn new() -> Self {
        Self(LogMel::new(N_MELS))
    }

    /// Of samples at 16 kHz.
    pub(crate) fn sign(&self, samples: &[f32]) -> SoundSignature {
        let frames = self.0.frames(samples);
        // back from Whisper's scale to powers
        let power: Vec<f64> = frames
            .values
            .chunks_exact(N_MELS)
            .flat_map(|frame| &frame[..N_BANDS])
            .map(|value| 10f64.powf(f64::from(*value) * 4.0 - 4.0))
            .collect();
        let energies: Vec<f64> = power.chunks_exact(N_BANDS).map(|frame| frame.iter().sum()).collect();
        let total: f64 = energies.iter().sum();
        let mut sum = 0.0;
        let sums: Vec<f64> = energies
            .iter()
            .map(|energy| {
                sum += energy;
                sum
            })
            .collect();
        let edge = |share: f64| sums.iter().position(|sum| *sum >= share * total).unwrap_or(0);
        let (start, end) = (edge(EDGES[0]), edge(EDGES[1]) + 1);
        // fractions of a frame: stretches of short clips are shorter than two frames
        let length = (end - start) as f64 / N_STRETCHES as f64;
        let stretch = |idx: usize| {
            let (from, to) = (start as f64 + idx as f64 * length, start as f64 + (idx + 1) as f64 * length);
            let mut bands = [0.0f64; N_BANDS];
            for frame in from as usize..(to.ceil() as usize).min(frames.n_frames) {
                let weight = (to.min(frame as f64 + 1.0) - from.max(frame as f64)).max(0.0);
                for (band, power) in bands.iter_mut().zip(&power[frame * N_BANDS..]) {
                    *band += power * weight;
                }
            }
            bands.map(|energy| (energy / length.max(1e-9)).max(1e-12).ln())
        };
        let mut words = [0u64; 8];
        let mut before = stretch(0);
        for idx in 1..N_STRETCHES {
            let now = stretch(idx);
            for band in 0..N_BANDS - 1 {
                let change = (now[band] - now[band + 1]) - (before[band] - before[band + 1]);
                if change > 0.0 {
                    let bit = (idx - 1) * (N_BANDS - 1) + band;
                    words[bit / 64] |= 1 << (bit % 64);
                }
            }
            before = now;
        }
        let shares = (0..N_BANDS).map(|band| {
            let of_band: f64 = power.iter().skip(band).step_by(N_BANDS).sum();
            (of_band / total.max(1e-12) * 255.0).round() as u8
        });
        SoundSignature {
            shares: Packed(shares.collect()),
            bits: Packed(words.iter().flat_map(|word| word.to_le_bytes()).collect()),
            loud_s: (end - start) as f32 / 100.0,
        }
    }
}

impl SoundSignature {
    /// Whether the loud parts are about as long, and their power lies in the same bands.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let longer = self.loud_s.max(other.loud_s) / self.loud_s.min(other.loud_s).max(0.01);
        let moved: u32 =
            self.shares.0.iter().zip(&other.shares.0).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        longer <= MAX_STRETCH && moved <= MAX_MOVED
    }

    pub(crate) fn words(&self) -> [u64; 8] {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(self.bits.0.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        words
    }
}

impl Record for SoundSignature {
    const N_BYTES: usize = 64 + 4 + N_BANDS;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.words().iter().flat_map(|word| word.to_le_bytes()));
        out.extend(self.loud_s.to_le_bytes());
        out.extend(&self.shares.0);
    }

    fn read(bytes: &[u8]) -> Self {
        let (bits, rest) = bytes.split_first_chunk().unwrap_or((&[0; 64], bytes));
        let (loud_s, shares) = rest.split_first_chunk().unwrap_or((&[0; 4], rest));
        Self {
            bits: Packed(bits.to_vec()),
            loud_s: f32::from_le_bytes(*loud_s),
            shares: Packed(shares.to_vec()),
        }
    }
}
