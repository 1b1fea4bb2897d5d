//! Targets from chance: vectors are projected at random and named after the nearest of random codes, neither of which learns.

use burn::prelude::*;
use triptych_datasets::draw::Draw;

/// Keeps a vector without any spread from being divided by 0, as PyTorch's `layer_norm` does.
const VARIANCE_FLOOR: f32 = 1e-5;
/// Keeps a vector of zeros from being divided by 0, as PyTorch's `normalize` does.
const NORM_FLOOR: f32 = 1e-12;

/// A frozen random projection and a frozen codebook.
///
/// # Reference
/// Chiu et al. 2022 (BEST-RQ), section 3.1: Xavier-uniform projection, standard normal codes, the nearest by the distance
/// of unit vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomQuantizer {
    d_in: usize,
    d_code: usize,
    /// `[d_in, d_code]`
    projection: Vec<f32>,
    /// `[n_codes, d_code]`, unit vectors
    codes: Vec<f32>,
}

impl RandomQuantizer {
    /// Drawn from `seed`.
    ///
    /// # Panics
    /// When a size is 0.
    pub fn new(d_in: usize, d_code: usize, n_codes: usize, seed: u64) -> Self {
        let mut draw = Draw::new(seed, 0, "", "projection of a random quantizer");
        let bound = (6.0 / (d_in + d_code) as f32).sqrt();
        let projection = (0..d_in * d_code).map(|_| draw.range(-bound, bound)).collect();
        let mut draw = Draw::new(seed, 0, "", "codes of a random quantizer");
        let codes = (0..(n_codes * d_code).div_ceil(2)).flat_map(|_| <[f32; 2]>::from(draw.normal_pair()));
        Self::from_parts(d_in, d_code, projection, codes.take(n_codes * d_code).collect())
    }

    /// Of given values.
    ///
    /// # Panics
    /// When a size is 0, or the numbers of values do not fit.
    pub fn from_parts(d_in: usize, d_code: usize, projection: Vec<f32>, codes: Vec<f32>) -> Self {
        assert!(d_in > 0 && d_code > 0 && !codes.is_empty(), "a quantizer of no size");
        assert_eq!(projection.len(), d_in * d_code, "a projection from {d_in} to {d_code}");
        assert!(codes.len().is_multiple_of(d_code), "codes of {d_code} values");
        let mut codes = codes;
        for code in codes.chunks_exact_mut(d_code) {
            let norm = code.iter().map(|value| value * value).sum::<f32>().sqrt().max(NORM_FLOOR);
            code.iter_mut().for_each(|value| *value /= norm);
        }
        Self { d_in, d_code, projection, codes }
    }

    /// Values of a vector.
    pub fn d_in(&self) -> usize {
        self.d_in
    }

    /// Number of codes.
    pub fn n_codes(&self) -> usize {
        self.codes.len() / self.d_code
    }

    /// The code of each vector, which is first brought to zero mean and unit variance. Of equally near codes, the first.
    ///
    /// # Shapes
    /// `[n, d_in]` -> `n` codes
    pub fn codes(&self, vectors: Tensor<2>) -> Vec<i64> {
        let [n, _] = vectors.dims();
        if n == 0 {
            return Vec::new();
        }
        let device = vectors.device();
        let centred = vectors.clone() - vectors.mean_dim(1);
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let vectors = (centred / (variance + VARIANCE_FLOOR).sqrt()).detach();
        let matrix = |values: &[f32], rows: usize| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, values.len() / rows]), &device)
        };
        // the length of a projected vector does not change which unit vector is nearest
        let projected = vectors.matmul(matrix(&self.projection, self.d_in));
        let similarities = projected.matmul(matrix(&self.codes, self.n_codes()).transpose());
        similarities.argmax(1).into_data().iter::<i64>().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(n: usize, d: usize) -> Tensor<2> {
        let mut draw = Draw::new(7, 0, "", "");
        let values = (0..n * d).map(|_| draw.normal_pair().0).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [n, d]), &Device::flex())
    }

    #[test]
    fn a_seed_fixes_the_codes_and_another_changes_them() {
        let codes = |seed| RandomQuantizer::new(24, 8, 64, seed).codes(vectors(50, 24));
        assert_eq!(codes(1), codes(1));
        assert_ne!(codes(1), codes(2));
    }

    #[test]
    fn loudness_and_level_do_not_change_a_code() {
        let quantizer = RandomQuantizer::new(24, 8, 64, 1);
        assert_eq!(quantizer.codes(vectors(50, 24)), quantizer.codes(vectors(50, 24) * 3.0 - 2.0));
    }

    #[test]
    fn many_codes_are_in_use() {
        let used = RandomQuantizer::new(24, 8, 64, 1).codes(vectors(1000, 24));
        let used = used.into_iter().collect::<std::collections::BTreeSet<_>>();
        assert!(used.len() > 56, "{} of 64", used.len());
    }

    #[test]
    fn no_vectors_have_no_codes_and_a_silent_one_has_the_first_of_the_nearest() {
        let quantizer = RandomQuantizer::new(4, 2, 3, 1);
        assert_eq!(quantizer.codes(Tensor::zeros([1, 4], &Device::flex())), [0]);
        assert!(quantizer.codes(vectors(1, 4).narrow(0, 0, 1)).iter().all(|code| (0..3).contains(code)));
    }
}
