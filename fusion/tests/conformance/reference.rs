//! A resampler and co-attention beside PyTorch's decoder layers with the same weights; `golden/fusion.py` made them.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use serde_json::Value;
use triptych_encoders::input::padding;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::transformer::TransformerConfig;
use triptych_encoders::{Modality, TextInput, TokenSequence};
use triptych_fusion::backbone::{BackboneConfig, FusionKind};
use triptych_fusion::resampler::ResamplerConfig;
use triptych_fusion::sequence::Segment;

use crate::parameters::{self, Table};

/// How far outputs may lie from the reference's, against the largest: another order of sums in float32.
const OUTPUT_TOLERANCE: f32 = 1e-5;

/// The same of gradients, in which more is summed.
const GRADIENT_TOLERANCE: f32 = 1e-4;

struct Expected(Value);

impl Expected {
    fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let text = fs::read_to_string(path.join(format!("{name}.json"))).expect("the golden file");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn plain<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_value(self.0[key].clone()).expect("plain numbers")
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

    fn tokens(&self, key: &str, lengths: &[usize], modality: Modality, device: &Device) -> TokenSequence {
        let tokens = Tensor::<3>::from_data(Self::data(&self.0[key]), device).require_grad();
        let width = tokens.dims()[1];
        TokenSequence::new(tokens, padding(lengths, width, device), modality)
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
}

/// The sum that `fusion.py` differentiates.
fn weighted_sum(output: Tensor<3>) -> Tensor<1> {
    let shape = output.dims();
    let weights = (0..shape.iter().product::<usize>()).map(|i| (i % 7 + 1) as f32).collect::<Vec<_>>();
    (output * Tensor::from_data(TensorData::new(weights, shape), &Device::flex())).sum()
}

fn blocks(checkpoint_blocks: bool) -> TransformerConfig {
    TransformerConfig { mlp_ratio: 2, checkpoint_blocks, ..TransformerConfig::new(8, 2, 2) }
}

#[test]
fn a_resampler_computes_what_pytorchs_decoder_does() {
    let (expected, device) = (Expected::of("resampler"), Device::flex().autodiff());
    for checkpoint_blocks in [false, true] {
        let config = ResamplerConfig { n_latents: 3, transformer: blocks(checkpoint_blocks) };
        let resampler = config.init(6, &mut Initializer::new(1, &device)).expect("sizes that fit");
        let resampler = expected.weighted(resampler);
        let lengths: Vec<usize> = expected.plain("lengths");
        let input = expected.tokens("tokens", &lengths, Modality::Audio, &device);
        let output = resampler.forward(&input).tokens;
        let gradients = weighted_sum(output.clone()).backward();
        expected.assert_near("hidden", output.inner(), OUTPUT_TOLERANCE);
        let gradient = input.tokens.grad(&gradients).expect("it reaches the input");
        expected.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
    }
}

#[test]
fn co_attention_computes_what_pytorchs_decoders_do() {
    let (expected, device) = (Expected::of("co_attention"), Device::flex().autodiff());
    for checkpoint_blocks in [false, true] {
        let config = BackboneConfig {
            max_causal_tokens: 5,
            kind: FusionKind::CoAttention,
            transformer: blocks(checkpoint_blocks),
            ..BackboneConfig::tiny()
        };
        let backbone = config.init([5, 6, 7], 7, &mut Initializer::new(1, &device)).expect("sizes that fit");
        let backbone = expected.weighted(backbone);
        let lengths: Vec<Vec<usize>> = expected.plain("lengths");
        let names = Modality::ALL.map(Modality::name);
        let inputs = Modality::ALL.map(|modality| {
            let idx = modality.idx();
            expected.tokens(names[idx], &lengths[idx], modality, &device)
        });
        let ids: Vec<Vec<i64>> = expected.plain("ids");
        let words = TextInput {
            ids: Tensor::from_data(TensorData::new(ids.concat(), [2, 3]), &device),
            is_pad: padding(&[3, 3], 3, &device),
        };
        let fused = backbone.forward_causal(&inputs, &words);
        let visible = Tensor::<2>::from_data(Expected::data(&expected.0["visible"]), &Device::flex());
        let tokens = fused.tokens.clone() * visible.unsqueeze_dim::<3>(2);
        expected.assert_near("fused", tokens.clone().inner(), OUTPUT_TOLERANCE);
        let causal = fused.span(Segment::Causal).expect("a span of the text").reshape([6, 8]);
        let logits = backbone.vocabulary_logits(causal).reshape([2, 3, 7]);
        expected.assert_near("logits", logits.inner(), OUTPUT_TOLERANCE);
        let gradients = weighted_sum(tokens).backward();
        for (name, input) in names.iter().zip(&inputs) {
            let gradient = input.tokens.grad(&gradients).expect("it reaches the input");
            expected.assert_near(&format!("{name}_gradient"), gradient, GRADIENT_TOLERANCE);
        }
    }
}
