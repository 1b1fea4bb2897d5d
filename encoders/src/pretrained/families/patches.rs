//! A picture cut into patches, with a learned position for each.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops;
use crate::pretrained::{CheckpointError, PublishedConfig};

/// Sizes of [`Patches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchConfig {
    /// Side of a picture in pixels.
    pub side: usize,
    /// Side of a patch in pixels; must divide `side`.
    pub patch_side: usize,
}

/// A linear map of each patch, and positions.
#[derive(Module, Debug)]
pub struct Patches {
    projection: Linear,
    positions: Param<Tensor<2>>,
    patch_side: usize,
}

impl PatchConfig {
    /// The settings of a published model.
    ///
    /// # Errors
    /// When a picture is no square of three channels, or the patches do not divide it.
    pub(super) fn read(
        config: &PublishedConfig,
        side: usize,
        patch_side: usize,
    ) -> Result<Self, CheckpointError> {
        config.only("num_channels", 3)?;
        let (side, patch_side) = (config.side("image_size", side)?, config.side("patch_size", patch_side)?);
        if !side.is_multiple_of(patch_side) {
            let expected = format!("a divisor of the `image_size` {side}");
            return Err(config.wrong("patch_size", &expected, &patch_side.to_string()));
        }
        Ok(Self { side, patch_side })
    }

    /// Patches of a picture.
    pub fn n_patches(&self) -> usize {
        (self.side / self.patch_side.max(1)).pow(2)
    }

    /// Random weights; `n_before` tokens that stand before the patches have positions too.
    ///
    /// # Errors
    /// When the patches do not divide the picture.
    pub(super) fn init(
        &self,
        d_model: usize,
        n_before: usize,
        has_bias: bool,
        init: &mut Initializer,
    ) -> Result<Patches, ConfigError> {
        let Self { side, patch_side } = *self;
        if patch_side == 0 || side == 0 || !side.is_multiple_of(patch_side) {
            let got = format!("side {side} and patch_side {patch_side}");
            return Err(ConfigError::new(format!("patches must divide a picture's side, got {got}")));
        }
        Ok(Patches {
            projection: Linear::with_bias(has_bias, patch_side * patch_side * 3, d_model, init),
            positions: init.truncated_normal([n_before + self.n_patches(), d_model], 0.02),
            patch_side,
        })
    }
}

impl Patches {
    /// # Shapes
    /// `[batch, side, side, 3]`, `[d_model]` of a token that goes first -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When the picture has another size than there are positions.
    pub(super) fn forward(&self, pixels: Tensor<4>, first: Option<Tensor<1>>) -> Tensor<3> {
        let rows = ops::unfold(pixels, [self.patch_side; 2], [self.patch_side; 2], [0, 0]);
        let [batch, height, width, d_patch] = rows.dims();
        let patches = self.projection.forward(rows.reshape([batch, height * width, d_patch]));
        let [_, n_patches, d_model] = patches.dims();
        let tokens = match first {
            Some(first) => Tensor::cat(vec![first.reshape([1, 1, d_model]).repeat_dim(0, batch), patches], 1),
            None => patches,
        };
        let positions = self.positions.val();
        let ([n_positions, _], [_, n_tokens, _]) = (positions.dims(), tokens.dims());
        assert_eq!(n_tokens, n_positions, "a picture of {n_patches} patches for {n_positions} positions");
        tokens + positions.unsqueeze::<3>()
    }
}
