//! Encoders beside PyTorch and `transformers` with the same weights; `golden/encoders.py` made them.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use serde_json::Value;
use triptych_encoders::audio::ConformerConfig;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::map_norm::MapNormKind;
use triptych_encoders::layers::sinusoids;
use triptych_encoders::text::LstmConfig;
use triptych_encoders::vision::{ConvNextConfig, ResNetConfig};
use triptych_encoders::{AudioInput, ImageInput, TextInput};

use crate::parameters::{self, Table};

/// How far outputs may lie from the reference's, against the largest: another order of sums in float32.
const OUTPUT_TOLERANCE: f32 = 1e-5;

/// The same of gradients, in which more is summed.
const GRADIENT_TOLERANCE: f32 = 1e-4;

struct Expected(Value);

impl Expected {
    fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders");
        let text = fs::read_to_string(path.join(format!("{name}.json"))).expect("the golden file");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn data(value: &Value) -> TensorData {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).expect("a shape");
        let values: Vec<f32> = serde_json::from_value(value["values"].clone()).expect("numbers");
        TensorData::new(values, shape)
    }

    /// The module with the golden weights, all of its parameters.
    fn weighted<M: Module>(&self, module: M) -> M {
        let weights = self.0["weights"].as_object().expect("weights by name");
        let table: Table = weights.iter().map(|(name, value)| (name.clone(), Self::data(value))).collect();
        parameters::load(module, table)
    }

    fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(Self::data(&self.0[key]), device)
    }

    fn assert_near<const D: usize>(&self, key: &str, got: Tensor<D>, tolerance: f32) {
        let expected = Self::data(&self.0[key]);
        assert_eq!(got.dims().to_vec(), expected.shape().to_vec(), "{key}");
        let scale = expected.iter::<f32>().fold(1.0_f32, |most, value| most.max(value.abs()));
        for (i, (got, expected)) in got.into_data().iter::<f32>().zip(expected.iter::<f32>()).enumerate() {
            let far = (got - expected).abs();
            assert!(
                far <= tolerance * scale,
                "{key}, value {i}: expected {expected}, got {got}, {far} apart"
            );
        }
    }

    /// Outputs, and the gradient of the sum that `encoders.py` weights them to.
    fn assert_hidden<const D: usize>(&self, output: Tensor<3>, input: &Tensor<D>) {
        let shape = output.dims();
        let weights = (0..shape.iter().product::<usize>()).map(|i| (i % 7 + 1) as f32).collect::<Vec<_>>();
        let weights = Tensor::<3>::from_data(TensorData::new(weights, shape), &Device::flex());
        let gradients = (output.clone() * weights).sum().backward();
        let gradient = input.grad(&gradients).expect("it reaches the input");
        self.assert_near("hidden", output.inner(), OUTPUT_TOLERANCE);
        self.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
    }

    /// Pictures `[batch, channels, height, width]`, and the same as ours.
    fn pictures(&self, device: &Device) -> (Tensor<4>, ImageInput) {
        let pixels = self.tensor::<4>("pixels", device).require_grad();
        let input = ImageInput { pixels: pixels.clone().permute([0, 2, 3, 1]) };
        (pixels, input)
    }
}

#[test]
fn lstm_computes_what_pytorch_computes_on_packed_rows() {
    let (expected, device) = (Expected::of("lstm"), Device::flex());
    let config = LstmConfig { d_model: 6, ..LstmConfig::tiny() };
    let encoder = config.init(7, &mut Initializer::new(1, &device)).expect("sizes that fit");
    let encoder = expected.weighted(encoder);
    let ids: Vec<Vec<i64>> = serde_json::from_value(expected.0["ids"].clone()).expect("ids");
    let lengths: Vec<usize> = serde_json::from_value(expected.0["lengths"].clone()).expect("lengths");
    let shape = [ids.len(), ids[0].len()];
    let input = TextInput {
        ids: Tensor::from_data(TensorData::new(ids.concat(), shape), &device),
        is_pad: triptych_encoders::input::padding(&lengths, shape[1], &device),
    };
    expected.assert_near("hidden", encoder.forward(&input).tokens, OUTPUT_TOLERANCE);
}

#[test]
fn convnext_computes_what_transformers_computes() {
    let (expected, device) = (Expected::of("convnext"), Device::flex().autodiff());
    let config = ConvNextConfig { channels: vec![4, 8], ..ConvNextConfig::tiny() };
    let encoder = config.init(16, &mut Initializer::new(1, &device)).expect("sizes that fit");
    let encoder = expected.weighted(encoder);
    let (pixels, input) = expected.pictures(&device);
    expected.assert_hidden(encoder.forward(&input).tokens, &pixels);
}

#[test]
fn resnets_compute_what_transformers_computes() {
    let device = Device::flex().autodiff();
    let of_two = |channels: [usize; 2], is_bottleneck, norm| ResNetConfig {
        channels: channels.to_vec(),
        is_bottleneck,
        norm,
        ..ResNetConfig::tiny()
    };
    for (name, config) in [
        ("resnet_grouped", of_two([4, 8], false, MapNormKind::Group(2))),
        ("resnet_frozen", of_two([2, 4], true, MapNormKind::Frozen)),
    ] {
        let expected = Expected::of(name);
        let encoder = config.init(16, &mut Initializer::new(1, &device)).expect("sizes that fit");
        let encoder = expected.weighted(encoder);
        let (pixels, input) = expected.pictures(&device);
        expected.assert_hidden(encoder.forward(&input).tokens, &pixels);
    }
}

#[test]
fn conformer_computes_what_transformers_computes() {
    let (expected, device) = (Expected::of("conformer"), Device::flex().autodiff());
    let config = ConformerConfig { d_model: 8, ..ConformerConfig::tiny() };
    let encoder = config.init(6, &mut Initializer::new(1, &device)).expect("sizes that fit");
    let encoder = expected.weighted(encoder);
    let frames = expected.tensor::<3>("frames", &device).require_grad();
    let input = AudioInput { frames: frames.clone(), lengths: vec![18] };
    expected.assert_hidden(encoder.forward(&input).tokens, &frames);
}

#[test]
fn whispers_positions_are_those_of_transformers() {
    let expected = Expected::of("sinusoids");
    expected.assert_near("whisper", sinusoids::absolute(5, 8, &Device::flex()), 1e-6);
}
