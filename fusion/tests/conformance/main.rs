//! What every backbone in the registry must hold to.

#[path = "../../../encoders/tests/conformance/config.rs"]
mod config;
mod masks;
#[path = "../../../encoders/tests/conformance/parameters.rs"]
mod parameters;
mod reference;
mod subsets;

use burn::prelude::*;
use triptych_encoders::input::padding;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::{Modality, TextInput, TokenSequence};
use triptych_fusion::backbone::{Backbone, BackboneConfig};

/// Widths of the text, image and audio tokens: all different, so that none can stand for another.
const WIDTHS: [usize; 3] = [6, 10, 14];
const N_VOCAB: usize = 11;

/// How far a row may move with its neighbours: another order of sums in float32, over values of about 1.
const TOLERANCE: f32 = 2e-6;

fn backbones(device: &Device) -> Vec<(&'static str, Backbone)> {
    let init = |config: BackboneConfig| {
        config.init(WIDTHS, N_VOCAB, &mut Initializer::new(1, device)).expect("registered sizes fit together")
    };
    BackboneConfig::registry().into_iter().map(|(name, config)| (name, init(config))).collect()
}

/// Every choice of modalities but none at all.
fn subsets() -> impl Iterator<Item = Vec<Modality>> {
    (1..8).map(|bits| Modality::ALL.into_iter().filter(|modality| bits >> modality.idx() & 1 == 1).collect())
}

/// Uniform in [-1, 1), decided by seed and place.
fn noise(seed: u64, place: usize) -> f32 {
    let mut z = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add((place as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93));
    z = (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// A row of an encoder's tokens or of text: the same seed gives the same content at any length.
#[derive(Clone, Copy, Debug)]
struct Row {
    seed: u64,
    length: usize,
}

/// Rows of tokens, padded to `width` with content drawn from `filler`.
fn sequence(modality: Modality, rows: &[Row], width: usize, filler: u64, device: &Device) -> TokenSequence {
    let d_encoder = WIDTHS[modality.idx()];
    let tokens = rows.iter().flat_map(|row| {
        let end = row.length * d_encoder;
        (0..width * d_encoder).map(move |place| noise(if place < end { row.seed } else { filler }, place))
    });
    let tokens = TensorData::new(tokens.collect::<Vec<_>>(), [rows.len(), width, d_encoder]);
    let lengths = rows.iter().map(|row| row.length).collect::<Vec<_>>();
    TokenSequence::new(Tensor::from_data(tokens, device), padding(&lengths, width, device), modality)
}

/// Rows of token ids, padded to `width` with ids drawn from `filler`.
fn text(rows: &[Row], width: usize, filler: u64, device: &Device) -> TextInput {
    let id = |seed, place| ((noise(seed, place) + 1.0) / 2.0 * N_VOCAB as f32) as i64;
    let ids = rows.iter().flat_map(|row| {
        (0..width).map(move |place| id(if place < row.length { row.seed } else { filler }, place))
    });
    let ids = TensorData::new(ids.collect::<Vec<_>>(), [rows.len(), width]);
    let lengths = rows.iter().map(|row| row.length).collect::<Vec<_>>();
    TextInput { ids: Tensor::from_data(ids, device), is_pad: padding(&lengths, width, device) }
}

fn row(seed: u64, length: usize) -> Row {
    Row { seed, length }
}
