//! Masked pictures: most patches are blanked, and their pixels are predicted with the text in view.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::draw::Draw;
use triptych_encoders::Modality;

use super::blanking::{BlankedPictures, grid};
use super::masks::blocks;
use super::options::{self, OptionError, Options};
use super::{Objective, PatchTargets, StepContext, lacks_tokens};
use crate::model::ModelConfig;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct PatchMask {
    /// Share of the patches that are blanked: 0.6 in Xie et al. 2022, table 1; 75 of 196 in blocks in Bao et al. 2022.
    masked: f64,
    /// Whether they lie together in rectangles, or anywhere.
    blocks: bool,
}

impl PatchMask {
    /// `[rows * columns]`, true = blanked
    fn draw(&self, [rows, columns]: [usize; 2], draw: &mut Draw) -> Vec<bool> {
        let n_masked = ((rows * columns) as f64 * self.masked).round() as usize;
        if self.blocks {
            return blocks([rows, columns], n_masked, draw);
        }
        let mut hidden = vec![false; rows * columns];
        draw.choose(rows * columns, n_masked).into_iter().for_each(|patch| hidden[patch] = true);
        hidden
    }
}

/// With its defaults.
pub(super) const MASKED_IMAGE: MaskedImage = MaskedImage { mask: PatchMask { masked: 0.6, blocks: false } };

/// Squared error of the per-patch normalised pixels, on the masked patches alone.
///
/// # Reference
/// Xie et al. 2022 (SimMIM) for blanking the pixels and a linear head, which fits any encoder; He et al. 2022
/// (MAE), section 3, for the normalised pixels; Bao et al. 2022 (BEiT) for the blocks.
///
/// # Differences from the reference
/// The prediction is read off the backbone's image span, with the text beside it (FLAVA's joint masking).
#[derive(Clone, Copy)]
pub(super) struct MaskedImage {
    mask: PatchMask,
}

impl Objective for MaskedImage {
    fn name(&self) -> &'static str {
        "masked_image"
    }

    fn about(&self) -> &'static str {
        "pixels of blanked patches, with the text in view"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Image, Modality::Text]
    }

    fn options(&self) -> Options {
        options::table(&self.mask)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let mask = options::given(&self.mask, given)?;
        options::check_share("masked", mask.masked)?;
        Ok(Box::new(Self { mask }))
    }

    fn lacks(&self, model: &ModelConfig) -> Option<String> {
        lacks_patches(model)
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let d_patch = context.model.patches.as_ref()?.weight.dims()[1];
        let [places, text_places] = context.paired(Modality::Image, Modality::Text)?;
        let text = context.encoded_at(Modality::Text, &text_places)?;
        let pixels = context.pixels_at(&places)?;
        let grid = grid(&pixels, d_patch);
        let draws = context.draws(self.name(), Modality::Image, &places);
        let hidden = draws.into_iter().map(|mut draw| self.mask.draw(grid, &mut draw)).collect::<Vec<_>>();
        let masked = hidden.iter().flatten().enumerate().filter(|(_, hidden)| **hidden);
        let masked = masked.map(|(place, _)| place).collect::<Vec<_>>();
        if masked.is_empty() {
            return None;
        }
        let pictures = BlankedPictures::new(pixels, d_patch, &hidden);
        let fused = context.fuse(&[context.model.encode_image(&pictures.input), text]);
        pictures.error(context, &fused, &masked, PatchTargets::OF_DRAWINGS)
    }
}

/// Patches that training leaves out can be predicted from nothing.
pub(super) fn lacks_patches(model: &ModelConfig) -> Option<String> {
    let leaves_out = model.vision.as_ref().is_some_and(|vision| vision.leaves_tokens_out());
    let dropped =
        leaves_out.then(|| "without patch_dropout, as it predicts patches that would be left out".to_owned());
    dropped.or_else(|| lacks_tokens(model, Modality::Image))
}
