//! Any subset of the modalities, with or without a causal text.

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Tolerance;
use triptych_encoders::input::padding;
use triptych_encoders::layers::experts::ExpertsConfig;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::{Modality, TextInput, TokenSequence};
use triptych_fusion::backbone::{BackboneConfig, FusionKind};
use triptych_fusion::resampler::ResamplerConfig;
use triptych_fusion::sequence::{FusedSequence, Segment};

use crate::{
    N_VOCAB, Row, TOLERANCE, WIDTHS, backbones, config, noise, parameters, row, sequence, subsets, text,
};

/// The rows of each modality and their width.
fn rows(modality: Modality) -> ([Row; 3], usize) {
    match modality {
        Modality::Text => ([row(1, 4), row(2, 2), row(3, 5)], 5),
        Modality::Image => ([row(4, 4), row(5, 4), row(6, 4)], 4),
        Modality::Audio => ([row(7, 7), row(8, 1), row(9, 3)], 7),
    }
}

fn projected(tokens: Tensor<2>) -> Tensor<1> {
    let [n, d] = tokens.dims();
    let weights = TensorData::new((0..n * d).map(|place| noise(99, place)).collect::<Vec<_>>(), [n, d]);
    let weights = Tensor::<2>::from_data(weights, &tokens.device());
    (tokens * weights).sum()
}

/// One row's tokens that are not padding.
fn valid(fused: &FusedSequence, row: usize) -> TensorData {
    let [_, n_tokens, d_model] = fused.tokens.dims();
    let is_pad = fused.is_pad.clone().narrow(0, row, 1).into_data().iter::<bool>().collect::<Vec<_>>();
    let places = (0..n_tokens).filter(|&place| !is_pad[place]).map(|place| place as i64).collect::<Vec<_>>();
    let n = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [n]), &fused.tokens.device());
    fused.tokens.clone().narrow(0, row, 1).reshape([n_tokens, d_model]).select(0, places).into_data()
}

#[test]
fn every_subset_gives_finite_tokens_and_a_span_for_each_input() {
    let device = Device::flex();
    for ((name, backbone), (_, config)) in backbones(&device).into_iter().zip(BackboneConfig::registry()) {
        for subset in subsets() {
            let inputs = subset.iter().map(|&modality| {
                let (rows, width) = rows(modality);
                sequence(modality, &rows, width, 9, &device)
            });
            let inputs = inputs.collect::<Vec<_>>();
            let widths = subset.iter().map(|&modality| config.n_fused(modality, rows(modality).1));
            let widths = widths.collect::<Vec<_>>();
            let fused = backbone.forward(&inputs);
            let [batch, n_tokens, d_model] = fused.tokens.dims();
            assert_eq!((batch, n_tokens), (3, widths.iter().sum()), "{name}, {subset:?}");
            assert_eq!(fused.is_pad.dims(), [batch, n_tokens], "{name}, {subset:?}");
            assert!(fused.tokens.clone().into_data().iter::<f32>().all(f32::is_finite), "{name}, {subset:?}");
            for (input, width) in inputs.iter().zip(widths) {
                let span = fused.span(Segment::Encoded(input.modality)).expect("a span of each input");
                assert_eq!(span.dims(), [batch, width, d_model], "{name}, {subset:?}");
            }
            assert!(fused.span(Segment::Causal).is_none(), "{name}, {subset:?}");
            for absent in Modality::ALL.into_iter().filter(|modality| !subset.contains(modality)) {
                assert!(fused.span(Segment::Encoded(absent)).is_none(), "{name}, {subset:?}");
            }
            let fused =
                backbone.forward_causal(&inputs, &text(&[row(1, 3), row(2, 1), row(3, 2)], 3, 9, &device));
            let causal = fused.span(Segment::Causal).expect("a span of the text");
            assert_eq!(causal.dims(), [batch, 3, d_model], "{name}, {subset:?}");
        }
    }
}

#[test]
fn a_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    for (name, backbone) in backbones(&device) {
        let inputs = Modality::ALL.map(|modality| {
            let (rows, width) = rows(modality);
            sequence(modality, &rows, width, 9, &device)
        });
        let fused =
            backbone.forward_causal(&inputs, &text(&[row(1, 3), row(2, 1), row(3, 2)], 3, 9, &device));
        let causal = fused.span(Segment::Causal).expect("a span of the text");
        let [batch, n_causal, d_model] = causal.dims();
        let logits = backbone.vocabulary_logits(causal.reshape([batch * n_causal, d_model]));
        // the inputs too: what the last block does to them alone does not reach the text
        let [_, n_tokens, _] = fused.tokens.dims();
        let fused = fused.tokens.reshape([batch * n_tokens, d_model]);
        let loss = projected(logits) + projected(fused);
        parameters::assert_gradient_everywhere(&backbone, &loss.backward(), name);
    }
}

#[test]
fn one_table_embeds_the_text_and_scores_its_next_tokens() {
    let device = Device::flex().autodiff();
    for (name, backbone) in backbones(&device) {
        let table = parameters::save(&backbone);
        let as_large = table
            .values()
            .filter(|values| values.shape().contains(&N_VOCAB))
            .map(|values| values.shape().len());
        // the table and the bias, and no copy of either
        let mut ranks = as_large.collect::<Vec<_>>();
        ranks.sort_unstable();
        assert_eq!(ranks, [1, 2], "{name}");
        let words = TextInput {
            ids: Tensor::from_data(TensorData::new(vec![1i64, 4], [1, 2]), &device),
            is_pad: padding(&[2], 2, &device),
        };
        let moved = |scores_alone: bool| {
            let sound = sequence(Modality::Audio, &[row(5, 4)], 4, 9, &device);
            let causal = backbone.forward_causal(&[sound], &words).span(Segment::Causal).expect("a span");
            let [_, n_causal, d_model] = causal.dims();
            let causal = causal.reshape([n_causal, d_model]);
            let loss = match scores_alone {
                true => projected(backbone.vocabulary_logits(causal.detach())),
                false => projected(causal),
            };
            let gradient = parameters::gradients(&backbone, &loss.backward()).remove("causal.weight");
            let gradient: Vec<f32> = gradient.expect("the table's").iter::<f32>().collect();
            let rows = gradient.chunks_exact(d_model).map(|row| row.iter().any(|value| *value != 0.0));
            rows.enumerate().filter(|(_, is_moved)| *is_moved).map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(moved(false), [1, 4], "{name}: embedded");
        assert_eq!(moved(true), (0..N_VOCAB).collect::<Vec<_>>(), "{name}: scored");
    }
}

#[test]
fn every_input_of_every_subset_reaches_the_text_and_the_other_inputs() {
    let device = Device::flex().autodiff();
    for (name, backbone) in backbones(&device) {
        for subset in subsets() {
            let inputs = subset.iter().map(|&modality| {
                let mut input = sequence(modality, &[row(5, 4)], 4, 9, &device);
                input.tokens = input.tokens.require_grad();
                input
            });
            let inputs = inputs.collect::<Vec<_>>();
            let words = text(&[row(1, 3)], 3, 9, &device);
            for (segment, _) in backbone.forward_causal(&inputs, &words).spans {
                // a graph can be walked once
                let fused = backbone.forward_causal(&inputs, &words);
                let span = fused.span(segment).expect("listed");
                let [_, n_tokens, d_model] = span.dims();
                let gradients = projected(span.reshape([n_tokens, d_model])).backward();
                for input in &inputs {
                    let gradient = input.tokens.grad(&gradients).expect("inputs are tracked").into_data();
                    let what = format!("{name}: {:?} to {segment:?} of {subset:?}", input.modality);
                    assert!(gradient.iter::<f32>().all(|value| value.is_finite() && value != 0.0), "{what}");
                }
            }
        }
    }
}

#[test]
fn costs_count_every_parameter_and_know_the_shape() {
    for (name, config) in BackboneConfig::registry() {
        let backbone = config.init(WIDTHS, N_VOCAB, &mut Initializer::new(1, &Device::flex()));
        let backbone = backbone.expect("registered sizes fit together");
        for subset in subsets() {
            let n_inputs = Modality::ALL.map(|modality| if subset.contains(&modality) { 4 } else { 0 });
            let inputs =
                subset.iter().map(|&modality| sequence(modality, &[row(5, 4)], 4, 9, &Device::flex()));
            let fused = backbone
                .forward_causal(&inputs.collect::<Vec<_>>(), &text(&[row(1, 3)], 3, 9, &Device::flex()));
            let cost = config.cost(WIDTHS, N_VOCAB, n_inputs, 3);
            assert_eq!(cost.cost.parameters, backbone.num_params() as u64, "{name}, {subset:?}");
            assert_eq!(cost.shape, fused.tokens.dims()[1..], "{name}, {subset:?}");
            assert!(cost.cost.flops > 0 && cost.cost.kept > 0, "{name}, {subset:?}");
        }
    }
}

#[test]
fn every_registered_backbone_is_told_about() {
    let registered = BackboneConfig::registry().into_iter().map(|(name, _)| name);
    assert!(registered.eq(BackboneConfig::ABOUT.iter().map(|(name, _)| *name)));
}

#[test]
fn configs_round_trip_and_refuse_unknown_keys() {
    for (_, config) in BackboneConfig::registry() {
        config::assert_round_trips(&config);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let init = &mut Initializer::new(1, &Device::flex());
    for (name, config) in BackboneConfig::registry() {
        assert!(config.init(WIDTHS, 0, init).is_err(), "{name}: no vocabulary");
        let config = BackboneConfig { max_causal_tokens: 0, ..config };
        let error = config.init(WIDTHS, N_VOCAB, init).expect_err("no room for a begin mark");
        assert!(error.to_string().contains("max_causal_tokens 0"), "{error}");
    }
    let both = BackboneConfig {
        kind: FusionKind::CoAttention,
        experts: Some(ExpertsConfig::Modality),
        ..BackboneConfig::tiny()
    };
    let error = both.init(WIDTHS, N_VOCAB, init).expect_err("streams have no experts").to_string();
    assert!(error.contains("got experts and kind = \"co_attention\""), "{error}");
    let mut empty = BackboneConfig::tiny();
    empty.resample.audio = Some(ResamplerConfig { n_latents: 0, ..ResamplerConfig::tiny() });
    let error = empty.init(WIDTHS, N_VOCAB, init).expect_err("nothing would be heard").to_string();
    assert!(error.contains("n_latents 0"), "{error}");
}

#[test]
fn a_resampled_row_of_padding_alone_is_padding_and_a_longer_sound_takes_no_more_tokens() {
    let device = Device::flex();
    let resampler = ResamplerConfig::tiny().init(WIDTHS[2], &mut Initializer::new(1, &device));
    let resampler = resampler.expect("sizes fit together");
    for width in [4, 40] {
        let sounds = sequence(Modality::Audio, &[row(1, 4), row(2, 0), row(3, 1)], width, 9, &device);
        let latents = resampler.forward(&sounds);
        assert_eq!(latents.tokens.dims(), [3, 3, 12]);
        let is_pad = latents.is_pad.into_data().iter::<bool>().collect::<Vec<_>>();
        assert_eq!(is_pad, [[false; 3], [true; 3], [false; 3]].concat());
        assert!(latents.tokens.into_data().iter::<f32>().all(f32::is_finite));
    }
}

#[test]
fn an_input_of_padding_alone_is_as_an_absent_one() {
    let device = Device::flex();
    for (name, backbone) in backbones(&device) {
        let picture = sequence(Modality::Image, &[row(5, 4)], 4, 9, &device);
        let empty = |modality| sequence(modality, &[row(6, 0)], 3, 9, &device);
        let words = text(&[row(1, 3)], 3, 9, &device);
        let written = |inputs: &[TokenSequence]| {
            backbone
                .forward_causal(inputs, &words)
                .span(Segment::Causal)
                .expect("a span of the text")
                .into_data()
        };
        let alone = written(std::slice::from_ref(&picture));
        let beside = written(&[empty(Modality::Text), picture.clone(), empty(Modality::Audio)]);
        assert_near(&alone, &beside, name);
        let heard = written(&[empty(Modality::Image), empty(Modality::Audio)]);
        let read = written(&[empty(Modality::Text)]);
        assert_near(&heard, &read, name);
    }
}

fn assert_near(a: &TensorData, b: &TensorData, what: &str) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    let apart = a.iter::<f32>().zip(b.iter::<f32>()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart <= TOLERANCE, "{what}: {apart} apart");
}

#[test]
fn saved_parameters_give_the_same_outputs() {
    let device = Device::flex();
    for (name, config) in BackboneConfig::registry() {
        let [trained, other] = [1, 2].map(|seed| {
            config.init(WIDTHS, N_VOCAB, &mut Initializer::new(seed, &device)).expect("sizes fit together")
        });
        let (rows, width) = rows(Modality::Audio);
        let input = [sequence(Modality::Audio, &rows, width, 9, &device)];
        let words = text(&[row(1, 3), row(2, 1), row(3, 2)], 3, 9, &device);
        let output = |backbone: &triptych_fusion::backbone::Backbone| {
            backbone.forward_causal(&input, &words).tokens.into_data()
        };
        assert_ne!(output(&trained), output(&other), "{name}");
        let loaded = parameters::load(other, parameters::save(&trained));
        assert_eq!(output(&trained), output(&loaded), "{name}");
    }
}

#[test]
fn padding_content_does_not_change_outputs_or_gradients() {
    let device = Device::flex().autodiff();
    for (name, backbone) in backbones(&device) {
        for subset in subsets() {
            let run = |filler| {
                let inputs = subset.iter().map(|&modality| {
                    let (rows, width) = rows(modality);
                    sequence(modality, &rows, width, filler, &device)
                });
                let words = text(&[row(1, 3), row(2, 1), row(3, 2)], 3, filler, &device);
                let fused = backbone.forward_causal(&inputs.collect::<Vec<_>>(), &words);
                let valid = (0..3).map(|row| valid(&fused, row)).collect::<Vec<_>>();
                let [batch, n_tokens, d_model] = fused.tokens.dims();
                let is_pad = fused.is_pad.reshape([batch, n_tokens, 1]).expand([batch, n_tokens, d_model]);
                let tokens = fused.tokens.mask_fill(is_pad, 0.0).reshape([batch * n_tokens, d_model]);
                (valid, parameters::gradients(&backbone, &projected(tokens).backward()))
            };
            assert!(run(9) == run(10), "{name}, {subset:?}");
        }
    }
}

#[test]
fn neighbours_in_a_batch_do_not_change_outputs() {
    let device = Device::flex();
    for (_, backbone) in backbones(&device) {
        for subset in subsets() {
            let words = [row(1, 3), row(2, 1), row(3, 2)];
            let inputs = subset.iter().map(|&modality| {
                let (rows, width) = rows(modality);
                sequence(modality, &rows, width, 9, &device)
            });
            let together = backbone.forward_causal(&inputs.collect::<Vec<_>>(), &text(&words, 3, 9, &device));
            for idx in 0..3 {
                let inputs = subset.iter().map(|&modality| {
                    let row = rows(modality).0[idx];
                    sequence(modality, &[row], row.length, 9, &device)
                });
                let words = text(&[words[idx]], words[idx].length, 9, &device);
                let alone = backbone.forward_causal(&inputs.collect::<Vec<_>>(), &words);
                valid(&together, idx)
                    .assert_approx_eq::<f32>(&valid(&alone, 0), Tolerance::absolute(TOLERANCE));
            }
        }
    }
}

#[test]
fn outputs_of_fewer_blocks_come_before_the_whole_output() {
    let device = Device::flex();
    // co-attention has no one sequence between its blocks
    for (name, backbone) in backbones(&device).into_iter().filter(|(name, _)| *name != "co_attention") {
        let (rows, width) = rows(Modality::Audio);
        let inputs = [sequence(Modality::Audio, &rows, width, 9, &device)];
        let whole = backbone.forward(&inputs);
        // the smallest backbone has two blocks
        let tapped = backbone.forward_tapped(&inputs, &[0, 1, 2, 7]);
        assert_eq!(tapped.len(), 3, "{name}");
        for row in 0..3 {
            let [before, first, last] = [0, 1, 2].map(|depth| valid(&tapped[depth], row));
            assert_eq!(last, valid(&whole, row), "{name}");
            assert!(before != first && first != last, "{name}");
            let values = before.iter::<f32>().chain(first.iter::<f32>()).collect::<Vec<_>>();
            assert!(values.iter().all(|value| value.is_finite()), "{name}");
        }
    }
}

#[test]
fn a_text_alone_is_read_from_the_left() {
    let device = Device::flex();
    for (name, backbone) in backbones(&device) {
        let read = |texts: &[Row], width: usize| {
            let fused = backbone.forward_causal(&[], &text(texts, width, 9, &device));
            fused.span(Segment::Causal).expect("a span of the text")
        };
        let whole = read(&[row(1, 5), row(2, 3)], 5);
        let begun = read(&[row(1, 2), row(2, 2)], 2);
        assert_eq!(begun.dims()[1], 2, "{name}");
        let tolerance = Tolerance::<f32>::absolute(TOLERANCE);
        whole.narrow(1, 0, 2).into_data().assert_approx_eq(&begun.into_data(), tolerance);
    }
}
