//! Pictures of which the encoder is shown a quarter, and a small decoder paints the rest.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;

use super::blanking::{BlankedPictures, grid};
use super::options::{self, OptionError, Options};
use super::{Objective, PatchTargets, StepContext};
use crate::model::ModelConfig;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct AutoencoderOptions {
    /// Share of the patches that the encoder is not shown.
    masked: f64,
    /// Whether each patch is normalised by itself before it is compared.
    normalise: bool,
}

/// With its defaults.
pub(super) const MASKED_AUTOENCODER: MaskedAutoencoder =
    MaskedAutoencoder { options: AutoencoderOptions { masked: 0.75, normalise: true } };

/// Squared error of the pixels of the patches that the encoder was not shown.
///
/// # Reference
/// He et al. 2022 (MAE), section 3: 75% of the patches are dropped before the encoder; a decoder gets what it makes of the
/// others, a learned vector in the place of each that is missing, and fixed positions.
///
/// # Differences from the reference
/// The decoder does not see the class token. Behind a convolutional stem, whose maps overlap, the missing patches are blanked
/// before it too.
#[derive(Clone, Copy)]
pub(super) struct MaskedAutoencoder {
    options: AutoencoderOptions,
}

impl Objective for MaskedAutoencoder {
    fn name(&self) -> &'static str {
        "masked_autoencoder"
    }

    fn about(&self) -> &'static str {
        "pixels of patches that the encoder is not shown, by a decoder (MAE)"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Image]
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: AutoencoderOptions = options::given(&self.options, given)?;
        options::check_share("masked", options.masked)?;
        Ok(Box::new(Self { options }))
    }

    fn lacks(&self, model: &ModelConfig) -> Option<String> {
        if model.vision.as_ref().is_some_and(|vision| !vision.reads_visible()) {
            return Some("given a vision transformer, which can read some patches alone".to_owned());
        }
        model.patch_decoder.is_none().then(|| "given `model.patch_decoder`, the decoder's blocks".to_owned())
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let decoder = context.model.patch_decoder.as_ref()?;
        let places = (0..context.image_batch()?.rows.len()).collect::<Vec<_>>();
        let pixels = context.pixels_at(&places)?;
        let d_patch = decoder.d_patch();
        let [rows, columns] = grid(&pixels, d_patch);
        let n_patches = rows * columns;
        let n_visible = ((n_patches as f64 * (1.0 - self.options.masked)).round() as usize).max(1);
        if n_visible >= n_patches {
            return None;
        }
        let visible = context.draws(self.name(), Modality::Image, &places).into_iter().map(|mut draw| {
            let mut visible = draw.choose(n_patches, n_visible);
            visible.sort_unstable();
            visible
        });
        let visible = visible.collect::<Vec<_>>();
        let hidden = visible.iter().map(|visible| {
            (0..n_patches).map(|patch| visible.binary_search(&patch).is_err()).collect::<Vec<_>>()
        });
        let hidden = hidden.collect::<Vec<_>>();
        let pictures = BlankedPictures::new(pixels, d_patch, &hidden);
        let encoded = context.model.encode_visible(&pictures.input, &visible)?;
        let predicted = decoder.forward(encoded, &visible, [rows, columns]);
        let masked = hidden.iter().flatten().enumerate().filter(|(_, hidden)| **hidden);
        let masked = context.indices(&masked.map(|(place, _)| place).collect::<Vec<_>>());
        let [batch, _, _] = predicted.dims();
        let predicted = predicted.reshape([batch * n_patches, d_patch]).select(0, masked.clone());
        let targets = PatchTargets { normalise: self.options.normalise, ..PatchTargets::MAE };
        Some(targets.error(predicted, pictures.patches(masked)))
    }
}
