//! A picture cut into patches, with a learned position for each.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops;
use crate::pretrained::{CheckpointError, PublishedConfig};
use crate::vision::interpolated;

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
    /// Positions are interpolated where the picture has another size than the model was made for.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]`, `[d_model]` of a token that goes first -> `[batch, n_tokens, d_model]`
    ///
    /// # Panics
    /// When the patches do not divide the picture.
    ///
    /// # Reference
    /// `transformers`' `interpolate_pos_encoding`, of ViT, CLIP and SigLIP.
    pub(super) fn forward(&self, pixels: Tensor<4>, first: Option<Tensor<1>>) -> Tensor<3> {
        let ([_, height, width, _], side) = (pixels.dims(), self.patch_side);
        assert!(
            height.is_multiple_of(side) && width.is_multiple_of(side),
            "a picture of {height} x {width} pixels, expected multiples of the patch's side {side}"
        );
        let map = ops::unfold(pixels, [side; 2], [side; 2], [0, 0]);
        let [batch, rows, columns, d_patch] = map.dims();
        let patches = self.projection.forward(map.reshape([batch, rows * columns, d_patch]));
        let [_, _, d_model] = patches.dims();
        let positions = self.positions.val();
        let n_before = usize::from(first.is_some());
        let n_places = positions.dims()[0] - n_before;
        let places = positions.clone().narrow(0, n_before, n_places);
        let patches = patches + interpolated(places, [n_places.isqrt(); 2], [rows, columns]).unsqueeze::<3>();
        let Some(first) = first else { return patches };
        let first = first.unsqueeze::<2>() + positions.narrow(0, 0, 1);
        Tensor::cat(vec![first.reshape([1, 1, d_model]).repeat_dim(0, batch), patches], 1)
    }
}
