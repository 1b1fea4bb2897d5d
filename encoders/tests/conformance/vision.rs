//! The vision encoders.

use burn::prelude::*;
use triptych_datasets::batch::ImageBatch;
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::vision::{VisionEncoder, VisionEncoderConfig, VisionStem, VitConfig};
use triptych_encoders::{ImageInput, Modality, TokenSequence};

use crate::{Kind, Row, conformance, noise};

const SIDE: usize = 16;

struct Vision;

impl Kind for Vision {
    type Config = VisionEncoderConfig;
    type Encoder = VisionEncoder;
    const MODALITY: Modality = Modality::Image;

    /// With every stem.
    fn registry() -> Vec<(&'static str, VisionEncoderConfig)> {
        let mut registry = VisionEncoderConfig::registry();
        registry.push(("vit over patches", VisionEncoderConfig::Vit(over_patches())));
        registry
    }

    fn d_model(config: &VisionEncoderConfig) -> usize {
        config.d_model()
    }

    fn init(config: &VisionEncoderConfig, init: &mut Initializer) -> VisionEncoder {
        config.init(SIDE, init).expect("registered sizes fit together")
    }

    fn forward(encoder: &VisionEncoder, rows: &[Row], _: usize, _: u64, device: &Device) -> TokenSequence {
        encoder.forward(&input(rows, SIDE, device))
    }

    fn cost(config: &VisionEncoderConfig, _: usize) -> CostTree {
        config.cost(SIDE)
    }

    fn n_tokens(config: &VisionEncoderConfig, _: usize) -> usize {
        (SIDE / config.patch_side()).pow(2)
    }

    fn lengths() -> (Vec<usize>, usize) {
        (vec![1; 4], 1)
    }
}

fn over_patches() -> VitConfig {
    VitConfig { stem: VisionStem::Patch(4), ..VitConfig::tiny() }
}

fn input(rows: &[Row], side: usize, device: &Device) -> ImageInput {
    let pixels = rows.iter().flat_map(|row| (0..side * side * 3).map(|place| noise(row.seed, place)));
    let batch =
        ImageBatch { rows: (0..rows.len()).collect(), pixels: pixels.collect(), height: side, width: side };
    ImageInput::new(&batch, device)
}

conformance!(Vision);

#[test]
fn tokens_stand_row_by_row_for_their_patches() {
    // a patch stem alone has no other way for a pixel to reach a token than its own patch and attention; without
    // blocks, only its own patch
    let device = Device::flex();
    let mut sizes = over_patches();
    sizes.transformer.depth = 0;
    let encoder = Vision::init(&VisionEncoderConfig::Vit(sizes), &mut Initializer::new(1, &device));
    let plain = input(&[Row { seed: 1, length: 1 }], SIDE, &device);
    // row 5 and column 14 of the picture lie in row 1 and column 3 of 4 x 4 patches
    let changed = plain.pixels.clone().slice_fill(s![0..1, 5..6, 14..15, 0..3], 9.0);
    let [plain, changed] =
        [plain.pixels, changed].map(|pixels| encoder.forward(&ImageInput { pixels }).tokens);
    let moved = (plain - changed).abs().sum_dim(2).into_data();
    let moved = moved.iter::<f32>().enumerate().filter(|(_, moved)| *moved > 0.0).map(|(token, _)| token);
    assert_eq!(moved.collect::<Vec<_>>(), [7]);
}

#[test]
#[should_panic(expected = "expected a square of")]
fn a_picture_of_another_size_is_not_encoded() {
    let device = Device::flex();
    let (_, config) = VisionEncoderConfig::registry().remove(0);
    let encoder = Vision::init(&config, &mut Initializer::new(1, &device));
    encoder.forward(&input(&[Row { seed: 1, length: 1 }], SIDE / 2, &device));
}

#[test]
fn sides_that_patches_do_not_divide_are_refused() {
    for (_, config) in Vision::registry() {
        let error = config
            .init(SIDE + 2, &mut Initializer::new(1, &Device::flex()))
            .expect_err("18 is no multiple of 4");
        assert!(error.to_string().contains("side 18 and patch 4"), "{error}");
    }
}
