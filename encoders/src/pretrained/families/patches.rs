//! The sizes of pictures and of the patches that they are cut into.

use serde::{Deserialize, Serialize};

use crate::pretrained::{CheckpointError, PublishedConfig};

/// Sizes in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchConfig {
    /// Side of a picture in pixels.
    pub side: usize,
    /// Side of a patch in pixels; must divide `side`.
    pub patch_side: usize,
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
}
