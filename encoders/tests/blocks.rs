//! What stacks of blocks hold to in training: dropped paths, layer scale, insides that are computed again.

#[path = "conformance/parameters.rs"]
mod parameters;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Gradients;
use triptych_encoders::audio::ConformerConfig;
use triptych_encoders::input::padding;
use triptych_encoders::layers::experts::{ExpertsConfig, RoutedConfig};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::map_norm::MapNormKind;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::{BlockConfig, Context, Transformer, TransformerConfig};
use triptych_encoders::text::LstmConfig;
use triptych_encoders::vision::{ConvNextConfig, ResNetConfig, VisionEncoder, VisionEncoderConfig};
use triptych_encoders::{AudioInput, ImageInput, TextInput};

/// The generator that paths are drawn from is the process's: one test at a time.
static GENERATOR: Mutex<()> = Mutex::new(());

fn seeded(seed: u64, device: &Device) -> MutexGuard<'static, ()> {
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    guard
}

const D_MODEL: usize = 16;

fn config(block: BlockConfig) -> TransformerConfig {
    TransformerConfig { mlp_ratio: 2, ..TransformerConfig::new(D_MODEL, 3, 4) }.with_block(block)
}

fn init(config: &TransformerConfig, device: &Device) -> Transformer {
    config.init(&mut Initializer::new(1, device)).expect("sizes that fit")
}

fn values(shape: [usize; 3], seed: usize, device: &Device) -> Tensor<3> {
    let values = (0..shape.iter().product()).map(|i: usize| ((i * 7 + seed) as f32 * 1.7).sin());
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
}

/// Rows of which a third is padding, so that they are packed.
fn mask(device: &Device) -> AttentionMask {
    AttentionMask::bidirectional(Some(padding(&[6, 2, 5, 3], 6, device)))
}

fn tokens(device: &Device) -> Tensor<3> {
    values([4, 6, D_MODEL], 3, device)
}

/// Output, gradient of the tokens, gradients of the parameters.
type Outcome = (TensorData, TensorData, parameters::Table);

fn outcome(model: &Transformer, tokens: &Tensor<3>, output: Tensor<3>) -> Outcome {
    let weighted = output.clone() * values(output.dims(), 11, &Device::flex());
    let gradients: Gradients = weighted.sum().backward();
    let gradient = tokens.grad(&gradients).expect("tokens are tracked").into_data();
    (output.into_data(), gradient, parameters::gradients(model, &gradients))
}

fn recomputed(config: &TransformerConfig) -> TransformerConfig {
    TransformerConfig { checkpoint_blocks: true, ..config.clone() }
}

fn assert_same(plain: &Outcome, again: &Outcome, what: &str) {
    assert_eq!(plain.0, again.0, "{what}: outputs");
    assert_eq!(plain.1, again.1, "{what}: gradients of the tokens");
    assert!(plain.2 == again.2, "{what}: gradients of the parameters");
}

/// How far values may lie apart, against the largest of a tensor, where more than two gradients are added up in another
/// order.
const ORDER_TOLERANCE: f32 = 1e-6;

/// The same where Burn's softmax is one pass outside training and several operations in it: the last bits differ, and a
/// bias of all queries is left with little of gradients that cancel out.
const SOFTMAX_TOLERANCE: f32 = 1e-5;

fn assert_near(plain: &parameters::Table, again: &parameters::Table, tolerance: f32) {
    assert!(plain.keys().eq(again.keys()));
    for (name, values) in plain {
        let scale = values.iter::<f32>().fold(0.0, |most: f32, value| most.max(value.abs()));
        let apart = values.iter::<f32>().zip(again[name].iter::<f32>()).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0.0, f32::max);
        assert!(scale > 0.0 && apart <= tolerance * scale, "{name}: {apart} apart, the largest is {scale}");
    }
}

#[test]
fn checkpointed_blocks_give_the_outputs_and_gradients_of_kept_ones_bit_for_bit() {
    let device = Device::flex().autodiff();
    let grouped = BlockConfig { n_key_heads: Some(2), ..BlockConfig::llama() };
    let dropped = BlockConfig { drop_path: 0.6, layer_scale: Some(0.5), ..BlockConfig::default() };
    let blocks = [
        ("pre-norm", BlockConfig::default()),
        ("post-norm", BlockConfig::bert()),
        ("grouped keys, rotary, gated", grouped),
        ("dropped paths, layer scale", dropped),
    ];
    for (name, block) in blocks {
        for mask in [mask(&device), AttentionMask::prefix(None, 2)] {
            let run = |config: &TransformerConfig| {
                let (model, tokens) = (init(config, &device), tokens(&device).require_grad());
                let _guard = seeded(5, &device);
                outcome(&model, &tokens, model.forward(tokens.clone(), &mask))
            };
            let config = config(block.clone());
            assert_same(&run(&config), &run(&recomputed(&config)), name);
        }
    }
}

#[test]
fn checkpointed_blocks_attend_to_a_context_and_hand_it_its_gradient() {
    let device = Device::flex().autodiff();
    let run = |config: &TransformerConfig| {
        let model = config.init_attending(10, &mut Initializer::new(1, &device)).expect("sizes that fit");
        let tokens = tokens(&device).require_grad();
        let context = values([4, 5, 10], 9, &device).require_grad();
        let around = Context { tokens: context.clone(), is_pad: Some(padding(&[5, 1, 3, 2], 5, &device)) };
        let output = model.forward_attending(tokens.clone(), &mask(&device), &around);
        let gradients = output.clone().square().sum().backward();
        parameters::assert_gradient_everywhere(&model, &gradients, "blocks that attend to a context");
        let mut found = parameters::gradients(&model, &gradients);
        for (name, input) in [("tokens", &tokens), ("context", &context)] {
            found.insert(name.to_owned(), input.grad(&gradients).expect("tracked").into_data());
        }
        (output.into_data(), found)
    };
    let config = config(BlockConfig::default());
    let (plain, again) = (run(&config), run(&recomputed(&config)));
    assert_eq!(plain.0, again.0);
    assert_near(&plain.1, &again.1, ORDER_TOLERANCE);
}

#[test]
fn checkpointed_experts_of_modalities_are_those_of_kept_ones() {
    let device = Device::flex().autodiff();
    let run = |config: &TransformerConfig| {
        let experts = ExpertsConfig::Modality;
        let model = config.init_with_experts(Some(&experts), &mut Initializer::new(1, &device));
        let (model, tokens) = (model.expect("sizes that fit"), tokens(&device).require_grad());
        let (output, _) =
            model.forward_among(tokens.clone(), &mask(&device), &[(1, 0..2), (2, 2..3), (0, 3..6)]);
        outcome(&model, &tokens, output)
    };
    let config = config(BlockConfig::default());
    assert_same(&run(&config), &run(&recomputed(&config)), "experts");
}

#[test]
fn a_checkpointed_conformer_is_the_kept_one() {
    let device = Device::flex().autodiff();
    let run = |checkpoint_blocks: bool| {
        let config = ConformerConfig { checkpoint_blocks, ..ConformerConfig::tiny() };
        let model = config.init(6, &mut Initializer::new(1, &device)).expect("sizes that fit");
        let frames = values([2, 24, 6], 3, &device);
        let tokens = model.forward(&AudioInput { frames, lengths: vec![24, 13] }).tokens;
        let weighted = tokens.clone() * values(tokens.dims(), 11, &Device::flex());
        let mut found = parameters::gradients(&model, &weighted.sum().backward());
        found.insert("tokens".to_owned(), tokens.into_data());
        found
    };
    assert_near(&run(false), &run(true), SOFTMAX_TOLERANCE);
}

/// Tokens, and gradients of the parameters, of an encoder of pictures.
fn of_pictures(encoder: &VisionEncoder, device: &Device) -> parameters::Table {
    let pixels = values([3, 32, 16 * 3], 3, device).reshape([3, 32, 16, 3]);
    let _guard = seeded(5, device);
    let tokens = encoder.forward(&ImageInput { pixels }).tokens;
    let weighted = tokens.clone() * values(tokens.dims(), 11, &Device::flex());
    let mut found = parameters::gradients(encoder, &weighted.sum().backward());
    found.insert("tokens".to_owned(), tokens.into_data());
    found
}

#[test]
fn checkpointed_convolutional_networks_are_the_kept_ones() {
    let device = Device::flex().autodiff();
    let convnext = |checkpoint_blocks, drop_path| {
        let config = ConvNextConfig { drop_path, checkpoint_blocks, ..ConvNextConfig::tiny() };
        VisionEncoderConfig::ConvNext(config)
    };
    let resnet = |checkpoint_blocks, is_bottleneck, norm| {
        let config = ResNetConfig { is_bottleneck, norm, checkpoint_blocks, ..ResNetConfig::tiny() };
        VisionEncoderConfig::ResNet(config)
    };
    let pairs = [
        [false, true].map(|checkpoints| convnext(checkpoints, 0.0)),
        [false, true].map(|checkpoints| convnext(checkpoints, 0.5)),
        [false, true].map(|checkpoints| resnet(checkpoints, false, MapNormKind::Group(2))),
        [false, true].map(|checkpoints| resnet(checkpoints, true, MapNormKind::Frozen)),
    ];
    for [kept, again] in pairs {
        let run = |config: &VisionEncoderConfig| {
            let encoder = config.init(16, &mut Initializer::new(1, &device)).expect("sizes that fit");
            of_pictures(&encoder, &device)
        };
        assert_near(&run(&kept), &run(&again), ORDER_TOLERANCE);
        let (kept, again) = (kept.cost(224).cost, again.cost(224).cost);
        assert_eq!((kept.parameters, kept.flops), (again.parameters, again.flops));
        assert!(again.kept < kept.kept && again.recomputed_flops > 0, "{again:?}, {kept:?}");
    }
}

#[test]
fn checkpointed_lstms_are_the_kept_ones() {
    let device = Device::flex().autodiff();
    let run = |checkpoint_blocks: bool| {
        let config = LstmConfig { checkpoint_blocks, ..LstmConfig::tiny() };
        let model = config.init(7, &mut Initializer::new(1, &device)).expect("sizes that fit");
        let ids = Tensor::from_data(TensorData::new(vec![1_i64, 2, 3, 4, 5, 6, 0, 0], [2, 4]), &device);
        let tokens = model.forward(&TextInput { ids, is_pad: padding(&[4, 2], 4, &device) }).tokens;
        let weighted = tokens.clone() * values(tokens.dims(), 11, &Device::flex());
        let mut found = parameters::gradients(&model, &weighted.sum().backward());
        found.insert("tokens".to_owned(), tokens.into_data());
        found
    };
    assert_near(&run(false), &run(true), ORDER_TOLERANCE);
    let cost = |checkpoint_blocks| LstmConfig { checkpoint_blocks, ..LstmConfig::tiny() }.cost(7, 100).cost;
    assert!(cost(true).kept < cost(false).kept && cost(true).recomputed_flops > 0);
}

#[test]
fn routed_experts_are_not_checkpointed() {
    let routed = ExpertsConfig::Routed(RoutedConfig {
        n_experts: 2,
        n_active: 1,
        capacity_factor: None,
        balance_weight: 0.01,
        z_weight: 0.001,
    });
    let config = recomputed(&config(BlockConfig::default()));
    let error = config.init_with_experts(Some(&routed), &mut Initializer::new(1, &Device::flex()));
    let error = error.expect_err("their losses leave the block").to_string();
    assert!(error.contains("checkpoint_blocks must be false with routed experts, got true"), "{error}");
}

#[test]
fn what_is_computed_again_is_counted_as_operations_and_not_as_memory() {
    let kept = config(BlockConfig::default()).cost(10).cost;
    let again = recomputed(&config(BlockConfig::default())).cost(10).cost;
    assert_eq!((kept.parameters, kept.flops), (again.parameters, again.flops));
    // the last normalisation has no products
    assert_eq!(again.training_flops(), 4 * kept.flops);
    assert_eq!(kept.training_flops(), 3 * kept.flops);
    assert!(again.kept < kept.kept / 2, "{} of {}", again.kept, kept.kept);
}

#[test]
fn paths_are_dropped_by_the_seed_and_in_training_alone() {
    let device = Device::flex().autodiff();
    let dropping = config(BlockConfig { drop_path: 0.5, ..BlockConfig::default() });
    let run = |config: &TransformerConfig, seed: u64, device: &Device| {
        let model = init(config, device);
        let _guard = seeded(seed, device);
        model.forward(tokens(device), &mask(device)).into_data()
    };
    assert_eq!(run(&dropping, 5, &device), run(&dropping, 5, &device));
    assert!((6..12).any(|seed| run(&dropping, seed, &device) != run(&dropping, 5, &device)));
    let whole = config(BlockConfig::default());
    assert_ne!(run(&dropping, 5, &device), run(&whole, 5, &device));
    assert_eq!(run(&dropping, 5, &Device::flex()), run(&whole, 5, &Device::flex()));
}

#[test]
fn a_convnext_drops_paths_by_the_seed_and_in_training_alone() {
    let training = Device::flex().autodiff();
    let run = |drop_path: f64, seed: u64, device: &Device| {
        let config = ConvNextConfig { drop_path, ..ConvNextConfig::tiny() };
        let model = config.init(16, &mut Initializer::new(1, device)).expect("sizes that fit");
        // what blocks add starts at a millionth, and would not be seen
        let mut table = parameters::save(&model);
        for (_, scale) in table.iter_mut().filter(|(name, _)| name.ends_with("scale")) {
            *scale = TensorData::new(vec![1.0f32; scale.num_elements()], scale.shape().clone());
        }
        let model = parameters::load(model, table);
        let pixels = values([3, 16, 16 * 3], 3, device).reshape([3, 16, 16, 3]);
        let _guard = seeded(seed, device);
        model.forward(&ImageInput { pixels }).tokens.into_data()
    };
    assert_eq!(run(0.5, 5, &training), run(0.5, 5, &training));
    assert!((6..12).any(|seed| run(0.5, seed, &training) != run(0.5, 5, &training)));
    assert!((5..9).any(|seed| run(0.5, seed, &training) != run(0.0, 5, &training)));
    assert_eq!(run(0.5, 5, &Device::flex()), run(0.0, 5, &Device::flex()));
}

#[test]
fn a_sample_skips_a_path_as_a_whole_and_others_go_on_without_it() {
    // with the last block alone dropping, each sample is one of four: with or without its attention, its feed-forward
    let device = Device::flex().autodiff();
    let rate = 0.5;
    let config =
        TransformerConfig { depth: 2, ..config(BlockConfig { drop_path: rate, ..BlockConfig::default() }) };
    let model = init(&config, &device);
    let rows = values([1, 6, D_MODEL], 3, &device).repeat_dim(0, 64);
    let _guard = seeded(5, &device);
    let output = model.forward(rows, &AttentionMask::bidirectional(None)).into_data();
    let output: Vec<f32> = output.iter::<f32>().collect();
    let mut kinds: Vec<&[f32]> = Vec::new();
    for row in output.chunks_exact(6 * D_MODEL) {
        let is_known = kinds.iter().any(|kind| kind.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-5));
        if !is_known {
            kinds.push(row);
        }
    }
    assert_eq!(kinds.len(), 4);
}

#[test]
fn a_layer_scale_of_zero_adds_nothing_and_learns_from_the_first_step() {
    let device = Device::flex().autodiff();
    let scaled = config(BlockConfig { layer_scale: Some(0.0), ..BlockConfig::default() });
    let model = init(&scaled, &device);
    let tokens = tokens(&device).require_grad();
    let (output, _, gradients) =
        outcome(&model, &tokens, model.forward(tokens.clone(), &AttentionMask::bidirectional(None)));
    let nothing = TransformerConfig { depth: 0, ..config(BlockConfig::default()) };
    let expected = init(&nothing, &device).forward(tokens, &AttentionMask::bidirectional(None));
    assert_eq!(output, expected.into_data());
    let scales = gradients.iter().filter(|(name, _)| name.ends_with("_scale")).collect::<Vec<_>>();
    assert_eq!(scales.len(), 2 * scaled.depth);
    for (name, gradient) in scales {
        assert!(gradient.iter::<f32>().any(|value| value != 0.0), "{name}");
    }
    let plain = init(&config(BlockConfig::default()), &device).num_params();
    assert_eq!(model.num_params(), plain + 2 * scaled.depth * D_MODEL);
}
