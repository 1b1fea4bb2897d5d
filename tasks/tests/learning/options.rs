//! What the options of objectives change, and what they refuse.

use burn::prelude::*;
use serde_json::{Value, json};
use triptych_datasets::text::WordBoundaries;
use triptych_encoders::vision::VisionEncoderConfig;
use triptych_tasks::model::{HeadsConfig, ModelConfig};
use triptych_tasks::objectives::{OBJECTIVES, Objective, StepContext, TokenIds, find};

use crate::adam::Adam;
use crate::fixture::{TOKEN_IDS, batch, batch_of, loss, loss_value, tiny_model};

fn with(name: &str, options: Value) -> Box<dyn Objective> {
    let options = serde_json::from_value(options).expect("a table");
    find(name).expect("it is registered").with(&options).expect("options that fit")
}

fn value(objective: &dyn Objective) -> f32 {
    loss_value(&tiny_model(&Device::flex()), &batch(5), objective).expect("every modality is there")
}

#[test]
fn every_objective_takes_its_own_options_and_no_others() {
    for objective in OBJECTIVES {
        let name = objective.name();
        let same = objective.with(&objective.options()).expect("its own options");
        assert_eq!(same.options(), objective.options(), "{name}");
        assert_eq!(value(&*same), value(*objective), "{name}");
        let foreign = serde_json::from_value(json!({"smell": 1})).expect("a table");
        let error = objective.with(&foreign).err().expect("an unknown option");
        assert_eq!(error.option, "smell", "{name}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let cases = [
        ("caption", json!({"label_smoothing": 1.0})),
        ("transcript", json!({"parallel": -0.1})),
        ("transcript_hybrid", json!({"ctc_weight": 1.0})),
        ("text_generation", json!({"label_smoothing": -1.0})),
        ("ctc", json!({"intermediate": [-1]})),
        ("ctc", json!({"intermediate_weight": 0.0})),
        ("ctc", json!({"consistency": -0.2})),
        ("masked_text", json!({"masked": 0.0})),
        ("masked_text", json!({"whole_words": 1})),
        ("masked_image", json!({"masked": 1.0})),
        ("masked_image", json!({"blocks": 1})),
        ("masked_autoencoder", json!({"masked": 1.5})),
        ("masked_audio", json!({"masked": [0.8, 0.65]})),
        ("masked_audio", json!({"masked": [0.8]})),
        ("masked_audio", json!({"span_frames": 0})),
        ("masked_audio_codes", json!({"d_code": 0})),
        ("joint_masking", json!({"seen": 0.7, "predicted": 0.7})),
        ("joint_masking", json!({"alpha": 0.0})),
    ];
    for (name, options) in cases {
        let given = serde_json::from_value(options.clone()).expect("a table");
        let objective = find(name).expect("it is registered");
        assert!(objective.with(&given).is_err(), "{name} takes {options}");
    }
}

#[test]
fn what_a_model_lacks_is_told_and_gives_no_loss() {
    let whole = ModelConfig::tiny();
    for objective in OBJECTIVES {
        assert_eq!(objective.lacks(&whole), None, "{}", objective.name());
    }
    let lacks = |name: &str, options: Value, model: &ModelConfig| with(name, options).lacks(model);
    let none = json!({});
    let bare = ModelConfig { heads: HeadsConfig::default(), ..whole.clone() };
    let found = lacks("masked_autoencoder", none.clone(), &bare).expect("no decoder");
    assert_eq!(found, "given `model.heads.patch_decoder`, the decoder's blocks");
    let found = lacks("masked_audio_codes", none.clone(), &bare).expect("no codes");
    assert_eq!(found, "given `model.heads.audio_codes`, the number of codes");
    let encoders = VisionEncoderConfig::registry();
    for (name, vision) in encoders.into_iter().filter(|(name, _)| *name != "vit") {
        let model = ModelConfig { vision: Some(vision), ..whole.clone() };
        let found = lacks("masked_autoencoder", none.clone(), &model).expect("it reads whole pictures");
        assert!(found.starts_with("given a vision transformer"), "{name}: {found}");
    }
    let found = lacks("ctc", json!({"intermediate": [1, 9]}), &whole).expect("too deep");
    assert!(found.ends_with("not 9"), "{found}");
    let shape = crate::fixture::SHAPE;
    let model = bare.init(shape, 1, &Device::flex()).expect("heads may be left out");
    for name in ["masked_autoencoder", "masked_audio_codes"] {
        assert_eq!(loss_value(&model, &batch(3), find(name).expect("it is registered")), None, "{name}");
    }
    let codes =
        ModelConfig { heads: HeadsConfig { audio_codes: Some(1), ..HeadsConfig::default() }, ..whole };
    assert!(codes.init(shape, 1, &Device::flex()).is_err(), "one code tells nothing apart");
}

/// The loss with another begin mark.
fn value_behind(objective: &dyn Objective, begin: u32) -> f32 {
    let device = Device::flex();
    let (model, batch) = (tiny_model(&device), batch(5));
    let ids = TokenIds { begin, ..TOKEN_IDS };
    let context = StepContext::new(&model, &batch, ids, &device, 1, 1);
    objective.loss(&context).expect("every modality is there").into_scalar()
}

#[test]
fn texts_that_are_written_in_parallel_are_not_read() {
    for name in ["caption", "transcript"] {
        let [never, half, always] = [0.0, 0.5, 1.0].map(|share| with(name, json!({"parallel": share})));
        assert_eq!(value(&*never), value(find(name).expect("it is registered")), "{name}");
        assert_ne!(value_behind(&*never, 1), value_behind(&*never, 7), "{name}");
        assert_ne!(value_behind(&*half, 1), value_behind(&*half, 7), "{name}");
        assert_eq!(value_behind(&*always, 1), value_behind(&*always, 7), "{name}");
    }
}

/// The loss where every n-th token begins a word.
fn value_with_words(objective: &dyn Objective, n: usize) -> f32 {
    let device = Device::flex();
    let (model, batch) = (tiny_model(&device), batch(5));
    let token = |id: usize| (Some(if id.is_multiple_of(n) { "▁a" } else { "b" }), false);
    let words = WordBoundaries::new((0..TOKEN_IDS.n_vocab).map(token));
    let context = StepContext::new(&model, &batch, TOKEN_IDS, &device, 1, 1).with_words(Some(&words));
    objective.loss(&context).expect("every modality is there").into_scalar()
}

#[test]
fn words_count_where_they_are_hidden_as_a_whole() {
    for name in ["masked_text", "masked_text_given_image", "masked_text_given_audio"] {
        let tokens = with(name, json!({"masked": 0.5}));
        assert_eq!(value_with_words(&*tokens, 1), value_with_words(&*tokens, 3), "{name}");
        let words = with(name, json!({"masked": 0.5, "whole_words": true}));
        assert_ne!(value_with_words(&*words, 1), value_with_words(&*words, 3), "{name}");
    }
}

#[test]
fn intermediate_and_last_outputs_are_weighed() {
    let plain = value(&*with("ctc", json!({})));
    let [little, more] =
        [0.3, 0.6].map(|w| value(&*with("ctc", json!({"intermediate": [1], "intermediate_weight": w}))));
    // linear in the weight
    let slopes = [(little - plain) / 0.3, (more - plain) / 0.6];
    assert!((slopes[0] - slopes[1]).abs() < 1e-4 && slopes[0].abs() > 1e-3, "{slopes:?}");
    // two blocks count as much as one
    let [first, second, both] = [json!([0]), json!([1]), json!([0, 1])]
        .map(|blocks| value(&*with("ctc", json!({"intermediate": blocks}))));
    assert!(((first + second) / 2.0 - both).abs() < 1e-5, "{first}, {second}, {both}");
}

#[test]
fn views_that_must_agree_are_drawn_anew_at_every_step() {
    let device = Device::flex();
    let (model, batch) = (tiny_model(&device), batch(5));
    let at = |consistency: f64, step| -> f32 {
        let objective = with("ctc", json!({"consistency": consistency}));
        loss(&model, &batch, &*objective, (1, step), &device).expect("sounds").into_scalar()
    };
    let [a, b, c] = [0.2, 0.4, 0.8].map(|scale| at(scale, 1));
    // linear in the scale, and above what the views cost apart
    assert!((c - b - 2.0 * (b - a)).abs() < 1e-4 && b > a + 1e-4, "{a}, {b}, {c}");
    assert_ne!(at(0.2, 1), at(0.2, 2));
}

#[test]
fn a_hybrid_is_three_parts_of_ctc_and_seven_of_attention() {
    let of = |name| value(find(name).expect("it is registered"));
    let expected = 0.3 * of("ctc") + 0.7 * of("transcript");
    assert!((of("transcript_hybrid") - expected).abs() < 1e-5);
}

#[test]
fn masks_of_a_sample_do_not_depend_on_its_neighbours() {
    let model = tiny_model(&Device::flex());
    // as many patches of every picture: the loss of two is the mean of theirs
    for name in ["masked_autoencoder", "masked_image"] {
        let objective = find(name).expect("it is registered");
        let of = |rows: &[usize]| {
            loss_value(&model, &batch_of(8, [rows, rows, rows]), objective).expect("they are there")
        };
        let (both, apart) = (of(&[2, 5]), (of(&[2]) + of(&[5])) / 2.0);
        assert!((both - apart).abs() < 1e-5, "{name}: {both}, not {apart}");
    }
}

#[test]
fn variants_learn() {
    let cases = [
        ("caption", json!({"parallel": 0.75}), 0.3),
        ("ctc", json!({"intermediate": [0, 1]}), 0.2),
        ("ctc", json!({"consistency": 0.2}), 0.3),
        ("masked_image", json!({"blocks": true, "masked": 0.4}), 0.2),
    ];
    let device = Device::flex().autodiff();
    let mut failures = Vec::new();
    for (name, options, goal) in cases {
        let objective = with(name, options.clone());
        let (mut model, batch, mut adam) = (tiny_model(&device), batch(12), Adam::new(5e-3));
        let mut losses = Vec::new();
        for _ in 0..100 {
            let loss = loss(&model, &batch, &*objective, (1, 1), &device).expect("every modality is there");
            losses.push(loss.clone().into_scalar::<f32>());
            model = adam.step(model, &loss.backward());
        }
        let (first, last) = (losses[0], losses[99]);
        if last.is_nan() || last >= goal * first {
            failures.push(format!("{name} with {options}: from {first} to {last}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
