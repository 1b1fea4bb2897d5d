//! Logarithms of the energies in bands, as both front ends take them.

use pulp::{Arch, Simd, WithSimd};

use super::logarithm::ln;
use super::spectrum::PowerSpectrum;
use super::triangle::Triangle;

/// Power spectrum, bands, logarithm.
pub(super) struct Filterbank {
    spectrum: PowerSpectrum,
    bands: Vec<Triangle>,
    floor: f32,
}

impl Filterbank {
    /// Plans transforms of `n_fft` samples. Energies below `floor`, and those that are no numbers, are taken for it.
    pub(super) fn new(n_fft: usize, bands: Vec<Triangle>, floor: f32) -> Self {
        Self { spectrum: PowerSpectrum::new(n_fft), bands, floor }
    }

    /// Number of bands.
    pub(super) fn n_bands(&self) -> usize {
        self.bands.len()
    }

    /// The natural logarithms of the bands' energies; `fill` writes the samples of a frame under their window.
    ///
    /// The widest vectors of the processor are used, found at run time; the bits of the values are the same with all.
    ///
    /// # Shapes
    /// `fill` is given `[n_fft]` zeros or the frame before; the result is `[n_frames, n_bands]`.
    pub(super) fn energies(&self, n_frames: usize, fill: impl Fn(usize, &mut [f32])) -> Vec<f32> {
        Arch::new().dispatch(Energies { bank: self, n_frames, fill })
    }
}

struct Energies<'a, F> {
    bank: &'a Filterbank,
    n_frames: usize,
    fill: F,
}

impl<F: Fn(usize, &mut [f32])> WithSimd for Energies<'_, F> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self { bank, n_frames, fill } = self;
        let (half, n_bands, n_lanes) = (bank.spectrum.half(), bank.n_bands(), S::F32_LANES);
        let mut frame = vec![0.0; 2 * half];
        let mut even = vec![0.0; half * n_lanes];
        let mut odd = vec![0.0; half * n_lanes];
        let mut power = vec![0.0; (half + 1) * n_lanes];
        let mut energies = vec![0.0; n_bands * n_lanes];
        let mut values = vec![0.0; n_frames * n_bands];
        for (group_idx, rows) in values.chunks_mut(n_bands * n_lanes).enumerate() {
            // lanes beyond the last frame keep what was in them, which nobody reads
            for lane in 0..rows.len() / n_bands {
                fill(group_idx * n_lanes + lane, &mut frame);
                for ((pair, even), odd) in frame
                    .chunks_exact(2)
                    .zip(even.chunks_exact_mut(n_lanes))
                    .zip(odd.chunks_exact_mut(n_lanes))
                {
                    (even[lane], odd[lane]) = (pair[0], pair[1]);
                }
            }
            let (power, _) = S::as_mut_simd_f32s(&mut power);
            bank.spectrum.power(
                simd,
                S::as_mut_simd_f32s(&mut even).0,
                S::as_mut_simd_f32s(&mut odd).0,
                power,
            );
            for (energy, band) in S::as_mut_simd_f32s(&mut energies).0.iter_mut().zip(&bank.bands) {
                *energy = band.energy(simd, power);
            }
            for energy in &mut energies {
                // a comparison, as it is false of what is no number
                *energy = ln(if *energy > bank.floor { *energy } else { bank.floor });
            }
            for (lane, row) in rows.chunks_exact_mut(n_bands).enumerate() {
                for (value, energies) in row.iter_mut().zip(energies.chunks_exact(n_lanes)) {
                    *value = energies[lane];
                }
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_every_width_give_the_same_bits() {
        let bands = (0..9).map(|band| {
            let weights: Vec<f32> =
                (0..201).map(|bin| if bin / 20 == band { 0.1 * bin as f32 } else { 0.0 }).collect();
            Triangle::new(&weights)
        });
        let bank = Filterbank::new(400, bands.collect(), 1e-10);
        let fill = |frame_idx: usize, frame: &mut [f32]| {
            for (i, sample) in frame.iter_mut().enumerate() {
                *sample = ((i * i + frame_idx * 31) as f32 * 0.3).sin() * 0.5;
            }
        };
        for n_frames in [1, 15, 16, 17, 50] {
            let widest = bank.energies(n_frames, fill);
            let scalar = Energies { bank: &bank, n_frames, fill }.with_simd(pulp::Scalar);
            let narrow = Energies { bank: &bank, n_frames, fill }.with_simd(pulp::Scalar256b);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&widest), bits(&scalar), "{n_frames} frames");
            assert_eq!(bits(&narrow), bits(&scalar), "{n_frames} frames");
        }
    }

    #[test]
    fn samples_that_are_no_numbers_give_the_floor() {
        let bank = Filterbank::new(400, vec![Triangle::new(&[1.0; 201])], 1e-10);
        for bad in [f32::NAN, f32::INFINITY] {
            let values =
                bank.energies(20, |frame_idx, frame| frame.fill(if frame_idx == 7 { bad } else { 0.0 }));
            assert!(values.iter().all(|value| *value == ln(1e-10)), "{values:?}");
        }
    }
}
