//! Who sees whom, and decoding with cached keys and values.

use burn::prelude::*;
use burn::tensor::Tolerance;
use triptych_encoders::Modality;
use triptych_fusion::sequence::Segment;

use crate::{N_VOCAB, TOLERANCE, backbones, row, sequence, subsets, text};

#[test]
fn the_text_sees_its_past_alone_and_the_inputs_do_not_see_the_text() {
    let device = Device::flex();
    for (name, backbone) in backbones(&device) {
        for subset in subsets() {
            let inputs = subset.iter().map(|&modality| sequence(modality, &[row(5, 3)], 4, 9, &device));
            let inputs = inputs.collect::<Vec<_>>();
            let words = text(&[row(1, 6)], 6, 9, &device);
            let fused = backbone.forward_causal(&inputs, &words);
            let n_prefix = fused.tokens.dims()[1] - 6;
            for place in 0..6 {
                let mut changed = words.clone();
                let other = (changed.ids.clone().narrow(1, place, 1) + 1) % N_VOCAB as i64;
                changed.ids = changed.ids.slice_assign(s![.., place..place + 1], other);
                let moved = (backbone.forward_causal(&inputs, &changed).tokens - fused.tokens.clone()).abs();
                let moved = moved.max_dim(2).into_data().iter::<f32>().collect::<Vec<_>>();
                let (before, behind) = moved.split_at(n_prefix + place);
                assert!(
                    before.iter().all(|moved| *moved == 0.0),
                    "{name}, {subset:?}: {place} moves its past"
                );
                assert!(behind.iter().all(|moved| *moved > 0.0), "{name}, {subset:?}: {place} moves nothing");
            }
        }
    }
}

#[test]
fn inputs_with_and_without_a_text_behind_them_are_fused_alike() {
    let device = Device::flex();
    for (_, backbone) in backbones(&device) {
        for subset in subsets() {
            let inputs =
                subset.iter().map(|&modality| sequence(modality, &[row(5, 3), row(6, 4)], 4, 9, &device));
            let inputs = inputs.collect::<Vec<_>>();
            let words = text(&[row(1, 6), row(2, 3)], 6, 9, &device);
            let [plain, decoding] = [backbone.forward(&inputs), backbone.start_decoding(&inputs).0];
            let causal = backbone.forward_causal(&inputs, &words);
            for (segment, places) in plain.spans.clone() {
                // what stands in padding is of no meaning
                let is_pad = plain.is_pad.clone().narrow(1, places.start, places.len());
                let visible = is_pad.bool_not().float().unsqueeze_dim::<3>(2);
                let [plain, decoding, causal] = [&plain, &decoding, &causal].map(|fused| {
                    let span = fused.span(segment).expect("a span of each input");
                    (span * visible.clone()).into_data()
                });
                for other in [decoding, causal] {
                    plain.assert_approx_eq::<f32>(&other, Tolerance::absolute(TOLERANCE));
                }
            }
        }
    }
}

#[test]
fn decoding_with_a_cache_gives_the_scores_of_the_full_pass() {
    let device = Device::flex();
    for (_, backbone) in backbones(&device) {
        let n_causal = backbone.max_causal_tokens();
        for subset in subsets() {
            let inputs =
                subset.iter().map(|&modality| sequence(modality, &[row(5, 2), row(6, 4)], 4, 9, &device));
            let inputs = inputs.collect::<Vec<_>>();
            let words = text(&[row(1, n_causal), row(2, n_causal)], n_causal, 9, &device);
            let full =
                backbone.forward_causal(&inputs, &words).span(Segment::Causal).expect("a span of the text");
            let (_, mut state) = backbone.start_decoding(&inputs);
            for place in 0..n_causal {
                let ids = words.ids.clone().narrow(1, place, 1).reshape([2]);
                let step = backbone.decode_next(ids, &mut state).into_data();
                let [_, _, d_model] = full.dims();
                let full = backbone.vocabulary_logits(full.clone().narrow(1, place, 1).reshape([2, d_model]));
                step.assert_approx_eq::<f32>(&full.into_data(), Tolerance::absolute(TOLERANCE));
            }
        }
    }
}

#[test]
fn decoding_behind_nothing_gives_the_scores_of_the_text_alone() {
    let device = Device::flex();
    for (name, backbone) in backbones(&device) {
        let n_causal = backbone.max_causal_tokens();
        let words = text(&[row(1, n_causal), row(2, n_causal)], n_causal, 9, &device);
        let full = backbone.forward_causal(&[], &words).span(Segment::Causal).expect("a span of the text");
        let [_, _, d_model] = full.dims();
        let mut state = backbone.start_decoding_alone(2);
        for place in 0..n_causal {
            let ids = words.ids.clone().narrow(1, place, 1).reshape([2]);
            let step = backbone.decode_next(ids, &mut state).into_data();
            let full = backbone.vocabulary_logits(full.clone().narrow(1, place, 1).reshape([2, d_model]));
            let full = full.into_data();
            let off = step.iter::<f32>().zip(full.iter::<f32>()).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) < TOLERANCE, "{name} at {place}: {step}, not {full}");
        }
    }
}

#[test]
fn a_selected_state_goes_on_as_its_rows_would() {
    let device = Device::flex();
    let ids = |ids: &[i64]| Tensor::<1, Int>::from_data(TensorData::new(ids.to_vec(), [ids.len()]), &device);
    for (_, backbone) in backbones(&device) {
        let inputs = [sequence(Modality::Audio, &[row(5, 2), row(6, 4)], 4, 9, &device)];
        let (_, mut state) = backbone.start_decoding(&inputs);
        backbone.decode_next(ids(&[1, 2]), &mut state);
        let mut selected = state.select(&ids(&[1, 0, 1]));
        let both = backbone.decode_next(ids(&[3, 4]), &mut state);
        let swapped = backbone.decode_next(ids(&[4, 3, 4]), &mut selected).into_data();
        let expected = both.select(0, ids(&[1, 0, 1])).into_data();
        swapped.assert_approx_eq::<f32>(&expected, Tolerance::absolute(TOLERANCE));
    }
}

#[test]
#[should_panic(expected = "needs at least one modality")]
fn no_input_at_all_is_a_mistake() {
    let (_, backbone) = backbones(&Device::flex()).remove(0);
    backbone.forward(&[]);
}
