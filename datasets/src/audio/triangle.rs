//! One band of a mel filterbank, as both front ends use it.

use pulp::Simd;

/// Weights over neighbouring bins of a spectrum.
pub(super) struct Triangle {
    first_bin: usize,
    weights: Vec<f32>,
}

impl Triangle {
    /// Keeps what of a weight a bin is above 0.
    pub(super) fn new(weights: &[f32]) -> Self {
        // with many bands some triangles fall between two bins and stay empty
        let first_bin = weights.iter().position(|w| *w > 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|w| *w > 0.0).map_or(first_bin, |last| last + 1);
        Self { first_bin, weights: weights[first_bin..end].to_vec() }
    }

    /// The weighted sum of each lane's power spectrum.
    #[inline(always)]
    pub(super) fn energy<S: Simd>(&self, simd: S, power: &[S::f32s]) -> S::f32s {
        let bins = &power[self.first_bin..self.first_bin + self.weights.len()];
        let mut sum = simd.splat_f32s(0.0);
        for (power, weight) in bins.iter().zip(&self.weights) {
            sum = simd.mul_add_f32s(*power, simd.splat_f32s(*weight), sum);
        }
        sum
    }
}
