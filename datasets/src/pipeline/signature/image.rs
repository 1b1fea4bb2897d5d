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
/// A picture may be so many times as bright as another, and so many levels brighter, and still be the same.
const MAX_GAIN: f64 = 1.2;
const MAX_OFFSET: f64 = 16.0;

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

    /// Root of the mean squared difference of the tiny pictures, in levels of 0 to 255, after one has been made as bright
    /// as the other within bounds; infinite for other shapes.
    pub(crate) fn distance(&self, other: &Self) -> f32 {
        let (a, b) = (&self.tiny.0, &other.tiny.0);
        let aspects = self.aspect / other.aspect;
        if a.len() != b.len() || !(0.9..=1.11).contains(&aspects) {
            return f32::INFINITY;
        }
        residual(a, b).min(residual(b, a)) as f32
    }
}

/// What the best `gain * a + offset` of all channels alike leaves of `b`, root mean square.
fn residual(a: &[u8], b: &[u8]) -> f64 {
    let (mut sum_a, mut sum_b, mut squares, mut products) = (0u64, 0u64, 0u64, 0u64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (u64::from(*a), u64::from(*b));
        (sum_a, sum_b) = (sum_a + a, sum_b + b);
        (squares, products) = (squares + a * a, products + a * b);
    }
    let n = a.len().max(1) as f64;
    let (mean_a, mean_b) = (sum_a as f64 / n, sum_b as f64 / n);
    let variance = squares as f64 / n - mean_a * mean_a;
    let covariance = products as f64 / n - mean_a * mean_b;
    let gain = if variance > 0.0 { (covariance / variance).clamp(1.0 / MAX_GAIN, MAX_GAIN) } else { 1.0 };
    let offset = (mean_b - gain * mean_a).clamp(-MAX_OFFSET, MAX_OFFSET);
    let left = |(a, b): (&u8, &u8)| (f64::from(*b) - gain * f64::from(*a) - offset).powi(2);
    (a.iter().zip(b).map(left).sum::<f64>() / n).sqrt()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    fn patches(seed: u64) -> Pixels {
        let mut draw = Draw::new(seed, 0, "", "patches");
        let mut pixels = Pixels::filled(64, 64, [0; 3]);
        let colours: Vec<[u8; 3]> =
            (0..64).map(|_| [0; 3].map(|_: u8| 40 + (draw.next_u64() % 160) as u8)).collect();
        for (place, rgb) in pixels.rgb.chunks_exact_mut(3).enumerate() {
            rgb.copy_from_slice(&colours[place % 64 / 8 + place / 64 / 8 * 8]);
        }
        pixels
    }

    fn changed(pixels: &Pixels, change: impl Fn(usize, u8) -> u8) -> Pixels {
        let mut new = pixels.clone();
        new.rgb.iter_mut().enumerate().for_each(|(place, value)| *value = change(place % 3, *value));
        new
    }

    #[test]
    fn brighter_pictures_are_near_and_other_colours_are_not() {
        let pixels = patches(1);
        let signature = PictureSignature::of(&pixels);
        let distance = |other: &Pixels| {
            let other = PictureSignature::of(other);
            assert_eq!(signature.distance(&other), other.distance(&signature));
            signature.distance(&other)
        };
        assert!(distance(&pixels) < 1e-3);
        assert!(distance(&changed(&pixels, |_, value| value + 14)) < 1.0);
        assert!(distance(&changed(&pixels, |_, value| (f32::from(value) * 1.15) as u8)) < 1.0);
        // red and blue swapped, one channel alone, and much brighter
        let mut swapped = pixels.clone();
        swapped.rgb.chunks_exact_mut(3).for_each(|rgb| rgb.swap(0, 2));
        assert!(distance(&swapped) > 20.0);
        assert!(distance(&changed(&pixels, |channel, value| value + 40 * u8::from(channel == 0))) > 12.0);
        assert!(distance(&changed(&pixels, |_, value| value / 2)) > 12.0);
        assert!(distance(&patches(2)) > 20.0);
    }
}
