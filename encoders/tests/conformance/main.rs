//! What every encoder in the registries must hold to.

mod audio;
mod config;
mod parameters;
mod presets;
mod reference;
mod text;
mod vision;

use std::fmt::Debug;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Tolerance;
use serde::Serialize;
use serde::de::DeserializeOwned;
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::{Modality, TokenSequence};

/// How far a row may move with the width of its padding or its neighbours: another order of sums in float32, over
/// values of about 1.
const TOLERANCE: f32 = 2e-6;

/// One row of synthetic input: the same seed gives the same content at any length.
#[derive(Clone, Copy, Debug)]
struct Row {
    seed: u64,
    /// In the input's units: tokens, frames; meaningless for pictures.
    length: usize,
}

/// A registry and how to feed its encoders.
trait Kind {
    type Config: Serialize + DeserializeOwned + PartialEq + Debug;
    type Encoder: Module;
    const MODALITY: Modality;

    fn registry() -> Vec<(&'static str, Self::Config)>;
    fn d_model(config: &Self::Config) -> usize;
    fn init(config: &Self::Config, init: &mut Initializer) -> Self::Encoder;
    /// Encodes the rows, padded to `width` with content drawn from `filler`.
    fn forward(
        encoder: &Self::Encoder,
        rows: &[Row],
        width: usize,
        filler: u64,
        device: &Device,
    ) -> TokenSequence;
    fn cost(config: &Self::Config, length: usize) -> CostTree;
    /// Tokens that stand for a row of `length`.
    fn n_tokens(config: &Self::Config, length: usize) -> usize;
    /// Lengths that a batch may mix, and the width of the widest.
    fn lengths() -> (Vec<usize>, usize);
}

fn rows<K: Kind>() -> (Vec<Row>, usize) {
    let (lengths, width) = K::lengths();
    (lengths.into_iter().zip(1..).map(|(length, seed)| Row { seed, length }).collect(), width)
}

fn encoder<K: Kind>(config: &K::Config, seed: u64, device: &Device) -> K::Encoder {
    K::init(config, &mut Initializer::new(seed, device))
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

/// The tokens of one row that are not padding.
fn valid(sequence: &TokenSequence, row: usize, n_tokens: usize) -> TensorData {
    sequence.tokens.clone().narrow(0, row, 1).narrow(1, 0, n_tokens).into_data()
}

/// A loss that every token which is not padding has a part in, each another.
fn projected(sequence: &TokenSequence) -> Tensor<1> {
    let [batch, n_tokens, d_model] = sequence.tokens.dims();
    let weights = (0..batch * n_tokens * d_model).map(|place| noise(99, place)).collect::<Vec<_>>();
    let weights = TensorData::new(weights, [batch, n_tokens, d_model]);
    let weights = Tensor::<3>::from_data(weights, &sequence.tokens.device());
    let is_pad = sequence.is_pad.clone().reshape([batch, n_tokens, 1]).expand([batch, n_tokens, d_model]);
    let whole = match &sequence.summary {
        Some(summary) => {
            let weights = (0..batch * d_model).map(|place| noise(98, place)).collect::<Vec<_>>();
            let weights = TensorData::new(weights, [batch, d_model]);
            (summary.clone() * Tensor::from_data(weights, &summary.device())).sum()
        }
        None => Tensor::zeros([1], &sequence.tokens.device()),
    };
    (sequence.tokens.clone() * weights).mask_fill(is_pad, 0.0).sum() + whole
}

fn outputs_have_the_documented_shape_and_are_finite<K: Kind>() {
    let device = Device::flex();
    for (name, config) in K::registry() {
        let (rows, width) = rows::<K>();
        let output = K::forward(&encoder::<K>(&config, 1, &device), &rows, width, 7, &device);
        let n_tokens = K::n_tokens(&config, width);
        assert_eq!(output.tokens.dims(), [rows.len(), n_tokens, K::d_model(&config)], "{name}");
        assert_eq!(output.modality, K::MODALITY, "{name}");
        let expected = rows.iter().flat_map(|row| {
            let n_valid = K::n_tokens(&config, row.length);
            (0..n_tokens).map(move |idx| idx >= n_valid)
        });
        assert_eq!(
            output.is_pad.into_data().iter::<bool>().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{name}"
        );
        assert!(output.tokens.into_data().iter::<f32>().all(f32::is_finite), "{name}");
    }
}

fn costs_count_every_parameter_and_know_the_shape<K: Kind>() {
    for (name, config) in K::registry() {
        let (_, width) = K::lengths();
        let cost = K::cost(&config, width);
        let encoder = encoder::<K>(&config, 1, &Device::flex());
        assert_eq!(cost.cost.parameters, encoder.num_params() as u64, "{name}");
        assert_eq!(cost.shape, [K::n_tokens(&config, width), K::d_model(&config)], "{name}");
        assert!(cost.cost.flops > 0 && cost.cost.kept > 0, "{name}");
    }
}

fn a_gradient_reaches_every_parameter<K: Kind>() {
    let device = Device::flex().autodiff();
    for (name, config) in K::registry() {
        let (rows, width) = rows::<K>();
        let encoder = encoder::<K>(&config, 1, &device);
        let gradients = projected(&K::forward(&encoder, &rows, width, 7, &device)).backward();
        parameters::assert_gradient_everywhere(&encoder, &gradients, name);
    }
}

fn configs_round_trip_and_refuse_unknown_keys<K: Kind>() {
    for (_, config) in K::registry() {
        config::assert_round_trips(&config);
    }
}

fn saved_parameters_give_the_same_outputs<K: Kind>() {
    let device = Device::flex();
    for (name, config) in K::registry() {
        let (rows, width) = rows::<K>();
        let [trained, other] = [1, 2].map(|seed| encoder::<K>(&config, seed, &device));
        let output = |encoder: &K::Encoder| K::forward(encoder, &rows, width, 7, &device).tokens.into_data();
        assert_ne!(output(&trained), output(&other), "{name}");
        let loaded = parameters::load(other, parameters::save(&trained));
        assert_eq!(output(&trained), output(&loaded), "{name}");
    }
}

fn padding_content_does_not_change_outputs_or_gradients<K: Kind>() {
    let device = Device::flex().autodiff();
    for (name, config) in K::registry() {
        let (rows, width) = rows::<K>();
        let encoder = encoder::<K>(&config, 1, &device);
        let run = |filler| {
            let output = K::forward(&encoder, &rows, width, filler, &device);
            let tokens = rows
                .iter()
                .enumerate()
                .filter(|(_, row)| row.length > 0)
                .map(|(idx, row)| valid(&output, idx, K::n_tokens(&config, row.length)));
            (tokens.collect::<Vec<_>>(), parameters::gradients(&encoder, &projected(&output).backward()))
        };
        assert!(run(7) == run(8), "{name}");
    }
}

fn neighbours_in_a_batch_do_not_change_outputs<K: Kind>() {
    let device = Device::flex();
    for (name, config) in K::registry() {
        let (rows, width) = rows::<K>();
        let encoder = encoder::<K>(&config, 1, &device);
        let together = K::forward(&encoder, &rows, width, 7, &device);
        for (idx, &row) in rows.iter().enumerate().filter(|(_, row)| row.length > 0) {
            let n_tokens = K::n_tokens(&config, row.length);
            let alone = K::forward(&encoder, &[row], row.length, 7, &device);
            assert_eq!(alone.tokens.dims()[1], n_tokens, "{name}, row {idx}");
            valid(&together, idx, n_tokens)
                .assert_approx_eq::<f32>(&valid(&alone, 0, n_tokens), Tolerance::absolute(TOLERANCE));
        }
    }
}

/// The tests of one registry.
macro_rules! conformance {
    ($kind:ty: $($claim:ident),* $(,)?) => { $(
        #[test]
        fn $claim() {
            crate::$claim::<$kind>();
        }
    )* };
    ($kind:ty) => {
        conformance! {
            $kind:
            outputs_have_the_documented_shape_and_are_finite,
            costs_count_every_parameter_and_know_the_shape,
            a_gradient_reaches_every_parameter,
            configs_round_trip_and_refuse_unknown_keys,
            saved_parameters_give_the_same_outputs,
            padding_content_does_not_change_outputs_or_gradients,
            neighbours_in_a_batch_do_not_change_outputs,
        }
    };
}
use conformance;
