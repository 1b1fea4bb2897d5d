//! What is predicted of a masked patch.

use burn::prelude::*;

/// Pixels of patches, as they are or each patch normalised by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchTargets {
    /// Whether each patch is brought to zero mean and unit variance.
    pub normalise: bool,
    /// Added to the variance, which divides by one less than the number of values.
    pub variance_floor: f32,
}

impl PatchTargets {
    /// He et al. 2022, section 3, and `models_mae.py`, `forward_loss`.
    pub const MAE: Self = Self { normalise: true, variance_floor: 1e-6 };
    /// Keeps plain patches from being blown up to noise.
    pub(super) const OF_DRAWINGS: Self = Self { normalise: true, variance_floor: 0.05 };

    /// # Shapes
    /// `[n, d_patch]` -> the same
    pub fn of(&self, patches: Tensor<2>) -> Tensor<2> {
        if !self.normalise {
            return patches;
        }
        let [_, d_patch] = patches.dims();
        let centred = patches.clone() - patches.mean_dim(1);
        let n_free = d_patch.saturating_sub(1).max(1) as f32;
        let variance = centred.clone().powi_scalar(2).sum_dim(1).div_scalar(n_free);
        centred / (variance + self.variance_floor).sqrt()
    }

    /// Mean squared error of what was predicted of the masked patches.
    ///
    /// # Shapes
    /// `[n_masked, d_patch]` twice -> `[1]`
    pub fn error(&self, predicted: Tensor<2>, patches: Tensor<2>) -> Tensor<1> {
        (predicted - self.of(patches)).powi_scalar(2).mean()
    }
}
