//! Paints the patches of a picture that the encoder was not shown.

use burn::module::{Module, Param};
use burn::prelude::*;
use triptych_encoders::layers::cost::{self, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::{Transformer, TransformerConfig};
use triptych_encoders::{ConfigError, TokenSequence};

/// The slowest of the sines that tell a place goes round once in so many patches times 2π.
const LONGEST: f64 = 10_000.0;

/// A small transformer over the encoder's tokens of the visible patches and a learned vector for every other.
///
/// # Reference
/// He et al. 2022 (MAE), section 3, "MAE decoder", and `models_mae.py`: 8 blocks of width 512 for a large encoder.
#[derive(Module, Debug)]
pub struct PatchDecoder {
    input: Linear,
    missing: Param<Tensor<1>>,
    transformer: Transformer,
    pixels: Linear,
}

impl PatchDecoder {
    /// Random weights of a decoder from tokens of width `d_image` to patches of `d_patch` values.
    ///
    /// # Errors
    /// When sizes do not fit together, or the width is no multiple of 4: two halves tell the row and the column, each in
    /// sines and cosines.
    pub fn new(
        config: &TransformerConfig,
        d_image: usize,
        d_patch: usize,
        init: &mut Initializer,
    ) -> Result<Self, ConfigError> {
        let d_model = config.d_model;
        if !d_model.is_multiple_of(4) {
            return Err(ConfigError::new(format!(
                "patch_decoder.d_model must be a multiple of 4, got {d_model}"
            )));
        }
        Ok(Self {
            input: Linear::new(d_image, d_model, init),
            missing: init.truncated_normal([d_model], 0.02),
            transformer: config.init(init)?,
            pixels: Linear::new(d_model, d_patch, init),
        })
    }

    /// What painting one picture of `n_patches` costs, of which all are counted as visible.
    pub fn cost(config: &TransformerConfig, d_image: usize, n_patches: usize, d_patch: usize) -> CostTree {
        let d_model = config.d_model;
        let shape = [n_patches, d_model];
        let parts = vec![
            CostTree::leaf("input", &shape, cost::linear(n_patches, d_image, d_model, true)),
            CostTree::leaf("missing", &[d_model], cost::table(1, d_model)),
            config.cost(n_patches),
            CostTree::leaf("pixels", &[n_patches, d_patch], cost::linear(n_patches, d_model, d_patch, true)),
        ];
        CostTree::of("patch_decoder", &[n_patches, d_patch], parts)
    }

    /// Values of a patch.
    pub fn d_patch(&self) -> usize {
        self.pixels.weight.dims()[1]
    }

    /// All patches of a grid of rows and columns; those that were visible are of no meaning.
    ///
    /// # Shapes
    /// `[batch, n_visible, d_image]`, tokens of the patches `visible` in their order -> `[batch, n_patches, d_patch]`
    ///
    /// # Panics
    /// When there is not one place for every token.
    pub fn forward(&self, encoded: TokenSequence, visible: &[Vec<usize>], grid: [usize; 2]) -> Tensor<3> {
        let tokens = self.input.forward(encoded.tokens);
        let ([batch, n_visible, d_model], device) = (tokens.dims(), tokens.device());
        let n_patches = grid[0] * grid[1];
        assert!(visible.iter().all(|places| places.len() == n_visible), "a place for every token");
        // one row more than there are tokens: the missing patches all take it
        let mut rows = vec![(batch * n_visible) as i64; batch * n_patches];
        for (row, places) in visible.iter().enumerate() {
            for (token, place) in places.iter().enumerate() {
                rows[row * n_patches + place] = (row * n_visible + token) as i64;
            }
        }
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch * n_patches]), &device);
        let known = tokens.reshape([batch * n_visible, d_model]);
        let all = Tensor::cat(vec![known, self.missing.val().unsqueeze::<2>()], 0).select(0, rows);
        let tokens =
            all.reshape([batch, n_patches, d_model]) + places(grid, d_model, &device).unsqueeze::<3>();
        self.pixels.forward(self.transformer.forward(tokens, &AttentionMask::bidirectional(None)))
    }
}

/// Sines and cosines of the column, then of the row.
///
/// # Shapes
/// -> `[rows * columns, d_model]`
///
/// # Reference
/// MAE, `util/pos_embed.py`.
fn places([rows, columns]: [usize; 2], d_model: usize, device: &Device) -> Tensor<2> {
    let quarter = d_model / 4;
    let value = |patch: usize, channel: usize| {
        let place = if channel < 2 * quarter { patch % columns } else { patch / columns };
        let angle = place as f64 / LONGEST.powf((channel % quarter) as f64 / quarter as f64);
        (if (channel / quarter).is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    let n_patches = rows * columns;
    let values = (0..n_patches).flat_map(|patch| (0..d_model).map(move |channel| value(patch, channel)));
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), [n_patches, d_model]), device)
}
