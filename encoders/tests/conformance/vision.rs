//! The vision encoders.

use burn::prelude::*;
use triptych_datasets::batch::ImageBatch;
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::map_norm::MapNormKind;
use triptych_encoders::vision::{
    ResNetConfig, VisionEncoder, VisionEncoderConfig, VisionPooling, VisionStem, VitConfig,
};
use triptych_encoders::{ImageInput, Modality, TokenSequence};

use crate::{Kind, Row, conformance, noise};

const SIDE: usize = 16;

struct Vision;

impl Kind for Vision {
    type Config = VisionEncoderConfig;
    type Encoder = VisionEncoder;
    const MODALITY: Modality = Modality::Image;

    /// With every stem, pooling and normalisation.
    fn registry() -> Vec<(&'static str, VisionEncoderConfig)> {
        let mut registry = VisionEncoderConfig::registry();
        registry.push(("vit over patches", VisionEncoderConfig::Vit(over_patches())));
        for (name, pooling) in [
            ("vit with a class token", VisionPooling::Class),
            ("vit pooled by attention", VisionPooling::Attention),
        ] {
            registry.push((name, VisionEncoderConfig::Vit(VitConfig { pooling, ..over_patches() })));
        }
        let bottleneck =
            ResNetConfig { is_bottleneck: true, norm: MapNormKind::Frozen, ..ResNetConfig::tiny() };
        registry.push(("resnet of bottlenecks", VisionEncoderConfig::ResNet(bottleneck)));
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
fn pictures_of_other_sizes_are_encoded() {
    let device = Device::flex();
    for (name, config) in Vision::registry() {
        let encoder = Vision::init(&config, &mut Initializer::new(1, &device));
        let picture = input(&[Row { seed: 1, length: 1 }], 2 * SIDE, &device).pixels;
        let wide = picture.narrow(1, 0, SIDE);
        let tokens = encoder.forward(&ImageInput { pixels: wide }).tokens;
        let n_tokens = 2 * (SIDE / config.patch_side()).pow(2);
        assert_eq!(tokens.dims(), [1, n_tokens, config.d_model()], "{name}");
        assert!(tokens.into_data().iter::<f32>().all(f32::is_finite), "{name}");
    }
}

#[test]
#[should_panic(expected = "a picture of 18 x 18 pixels, expected multiples of the patch's side 4")]
fn a_picture_that_the_patches_do_not_divide_is_not_encoded() {
    let device = Device::flex();
    let encoder = Vision::init(&VisionEncoderConfig::Vit(over_patches()), &mut Initializer::new(1, &device));
    encoder.forward(&input(&[Row { seed: 1, length: 1 }], SIDE + 2, &device));
}

#[test]
fn patch_dropout_leaves_out_as_many_tokens_of_each_picture_in_training_alone() {
    let sizes = VitConfig { patch_dropout: 0.5, pooling: VisionPooling::Class, ..over_patches() };
    let config = VisionEncoderConfig::Vit(sizes);
    let n_left_out = |device: &Device, seed: u64| {
        let encoder = Vision::init(&config, &mut Initializer::new(1, device));
        let rows = [1, 2, 3].map(|seed| Row { seed, length: 1 });
        device.seed(seed);
        let output = encoder.forward(&input(&rows, SIDE, device));
        assert!(output.pooled().into_data().iter::<f32>().all(f32::is_finite));
        output.is_pad.into_data().iter::<bool>().collect::<Vec<_>>()
    };
    let training = Device::flex().autodiff();
    let drawn = n_left_out(&training, 5);
    for row in drawn.chunks_exact(16) {
        assert_eq!(row.iter().filter(|left_out| **left_out).count(), 8);
    }
    assert!(n_left_out(&Device::flex(), 5).iter().all(|left_out| !left_out));
}

#[test]
fn sides_that_patches_do_not_divide_are_refused() {
    for (_, config) in Vision::registry() {
        let error = config
            .init(SIDE + 2, &mut Initializer::new(1, &Device::flex()))
            .expect_err("18 is a multiple of none");
        let expected = format!("side 18 and patch {}", config.patch_side());
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn stages_that_do_not_fit_are_refused() {
    let init = &mut Initializer::new(1, &Device::flex());
    let odd = ResNetConfig { norm: MapNormKind::Group(3), ..ResNetConfig::tiny() };
    let error = odd.init(SIDE, init).expect_err("3 divides neither 4 nor 8").to_string();
    assert!(error.contains("got 3 groups and 4 channels"), "{error}");
    let uneven = ResNetConfig { depths: vec![1], ..ResNetConfig::tiny() };
    let error = uneven.init(SIDE, init).expect_err("a depth is missing").to_string();
    assert!(error.contains("got channels [4, 8] and depths [1]"), "{error}");
}

#[test]
fn patches_that_are_left_out_are_not_there() {
    let device = Device::flex();
    for (name, config) in Vision::registry() {
        let encoder = Vision::init(&config, &mut Initializer::new(1, &device));
        let picture = |seed| input(&[Row { seed, length: 1 }, Row { seed: 3, length: 1 }], SIDE, &device);
        let n_tokens = (SIDE / config.patch_side()).pow(2);
        let all = vec![(0..n_tokens).collect::<Vec<_>>(); 2];
        let Some(shown) = encoder.forward_visible(&picture(1), &all) else {
            assert!(!config.reads_visible(), "{name}");
            continue;
        };
        assert!(config.reads_visible(), "{name}");
        let whole = encoder.forward(&picture(1)).tokens.into_data();
        whole.assert_approx_eq(&shown.tokens.into_data(), burn::tensor::Tolerance::<f32>::absolute(1e-5));

        let some = vec![vec![0, 3, 5], vec![1, 2, 9]];
        let seen = encoder.forward_visible(&picture(1), &some).expect("it reads some patches").tokens;
        assert_eq!(seen.dims(), [2, 3, config.d_model()], "{name}");
        // behind a projection of patches alone, nothing of the others is left
        if name.starts_with("vit ") {
            let other = picture(1).pixels.slice_fill(s![0..2, 12..16, 12..16, 0..3], 7.0);
            let again =
                encoder.forward_visible(&ImageInput { pixels: other }, &some).expect("as above").tokens;
            assert_eq!(seen.into_data(), again.into_data(), "{name}");
        }
    }
}
