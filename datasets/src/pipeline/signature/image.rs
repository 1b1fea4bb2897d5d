//! Pictures: 64 bits of their coarse structure to find candidates, a tiny picture to compare them.

use serde::{Deserialize, Serialize};

use super::Packed;
use super::spill::Record;
use crate::image::{CropBox, Pixels, crop_resize};

/// The picture is brought to this many pixels a side first.
const SIDE: usize = 32;
/// Frequencies a side that make the bits.
const N_FREQUENCIES: usize = 8;
/// Side of the tiny picture.
const TINY: usize = 16;

/// # Reference
/// The DCT variant of pHash (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"): bits
/// say which of the 8x8 lowest frequencies of a 32x32 grey picture are above their median.
///
/// # Differences from the reference
/// No smoothing before shrinking, since the shrinking itself is band-limited. A 16x16 colour picture and the shape go
/// along, so that pictures of like structure and other colours are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PictureSignature {
    pub bits: u64,
    /// `[16, 16, 3]`.
    tiny: Packed,
    /// Width over height.
    aspect: f32,
}

impl PictureSignature {
    pub(crate) fn of(pixels: &Pixels) -> Self {
        let whole = CropBox { left: 0.0, top: 0.0, width: pixels.width as f64, height: pixels.height as f64 };
        let small = crop_resize(pixels, whole, SIDE, SIDE);
        let grey: Vec<f32> = small
            .rgb
            .chunks_exact(3)
            .map(|rgb| 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]))
            .collect();
        let whole = CropBox { left: 0.0, top: 0.0, width: SIDE as f64, height: SIDE as f64 };
        let tiny = Packed(crop_resize(&small, whole, TINY, TINY).rgb);
        Self { bits: bits(&grey), tiny, aspect: pixels.width as f32 / pixels.height as f32 }
    }

    /// Root of the mean squared difference of the tiny pictures, in levels of 0 to 255; infinite for other shapes.
    pub(crate) fn distance(&self, other: &Self) -> f32 {
        let (a, b) = (&self.tiny.0, &other.tiny.0);
        let aspects = self.aspect / other.aspect;
        if a.len() != b.len() || !(0.9..=1.11).contains(&aspects) {
            return f32::INFINITY;
        }
        let squares: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
        (squares as f32 / a.len().max(1) as f32).sqrt()
    }
}

impl Record for PictureSignature {
    const N_BYTES: usize = 8 + 4 + TINY * TINY * 3;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.bits.to_le_bytes());
        out.extend(self.aspect.to_le_bytes());
        out.extend(&self.tiny.0);
    }

    fn read(bytes: &[u8]) -> Self {
        let (bits, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], bytes));
        let (aspect, tiny) = rest.split_first_chunk().unwrap_or((&[0; 4], rest));
        Self {
            bits: u64::from_le_bytes(*bits),
            aspect: f32::from_le_bytes(*aspect),
            tiny: Packed(tiny.to_vec()),
        }
    }
}

fn bits(grey: &[f32]) -> u64 {
    let basis: Vec<f32> = (0..N_FREQUENCIES)
        .flat_map(|k| {
            let turn = std::f32::consts::PI * k as f32 / SIDE as f32;
            (0..SIDE).map(move |x| (turn * (x as f32 + 0.5)).cos())
        })
        .collect();
    let mut rows = [0.0; SIDE * N_FREQUENCIES];
    for (y, row) in grey.chunks_exact(SIDE).enumerate() {
        for (k, wave) in basis.chunks_exact(SIDE).enumerate() {
            rows[y * N_FREQUENCIES + k] = row.iter().zip(wave).map(|(a, b)| a * b).sum::<f32>();
        }
    }
    let mut spectrum = [0.0f32; N_FREQUENCIES * N_FREQUENCIES];
    for (k, wave) in basis.chunks_exact(SIDE).enumerate() {
        for frequency in 0..N_FREQUENCIES {
            let sum: f32 = (0..SIDE).map(|y| rows[y * N_FREQUENCIES + frequency] * wave[y]).sum();
            spectrum[k * N_FREQUENCIES + frequency] = sum;
        }
    }
    // the mean brightness says nothing about structure
    let mut sorted: Vec<f32> = spectrum[1..].to_vec();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[sorted.len() / 2];
    // what is flat but for rounding has no structure
    let floor = 1.0;
    let is_set = |value: &f32| *value > median + floor;
    spectrum
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, value)| is_set(value))
        .fold(0, |bits, (k, _)| bits | 1 << k)
}
