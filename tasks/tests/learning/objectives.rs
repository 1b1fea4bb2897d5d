//! Every objective learns, and draws from its seed and step alone.

use burn::prelude::*;
use triptych_datasets::batch::HostBatch;
use triptych_datasets::mixup::Mixup;
use triptych_encoders::Modality;
use triptych_tasks::objectives::{OBJECTIVES, Objective, find};

use crate::adam::Adam;
use crate::fixture::{batch, loss, loss_value, tiny_model};
use crate::parameters;

const N_SAMPLES: usize = 64;
const N_STEPS: usize = 200;
const LR: f32 = 5e-3;

/// The share of its first value that an objective's loss must fall below.
fn goal(objective: &dyn Objective) -> f32 {
    match objective.name() {
        // label smoothing of 0.1 over 24 labels leaves 0.62 of the 3.2 of a uniform guess
        "caption" | "transcript" | "answer" | "answer_audio" => 0.3,
        // two thirds of a sound are blanked, and the rest of it hardly tells how loud each band is
        "masked_audio" => 0.6,
        // three quarters of a picture are not even there
        "masked_autoencoder" => 0.6,
        // with nothing else in view, which of 64 texts it is remains a guess: 4.2 in each text's 4 or 5 tokens, of the 3.2 a
        // token at first
        "text_generation" => 0.35,
        // what the average finds alike too is asked for besides
        "momentum_image_text" | "momentum_audio_text" => 0.3,
        // pushed by 63 negatives a pair, it falls last, and is still falling
        "sigmoid_image_audio" => 0.3,
        // negatives are drawn anew as the embeddings change
        "matching_image_text" | "matching_audio_text" => 0.6,
        _ => 0.2,
    }
}

/// Trains a fresh model on one batch with one objective, the same masks at every step.
fn losses(objective: &dyn Objective) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let (mut model, batch, mut adam) = (tiny_model(&device), batch(N_SAMPLES), Adam::new(LR));
    let mut losses = Vec::with_capacity(N_STEPS);
    for _ in 0..N_STEPS {
        let loss = loss(&model, &batch, objective, (1, 1), &device).expect("every modality is there");
        losses.push(loss.clone().into_scalar());
        model = adam.step(model, &loss.backward());
    }
    losses
}

#[test]
fn every_objective_overfits_a_batch_of_its_own() {
    let mut failures = Vec::new();
    for &objective in OBJECTIVES {
        let losses = losses(objective);
        let (first, last) = (losses[0], losses[N_STEPS - 1]);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{}: {losses:?}", objective.name());
        // all of them are run before any fails: the list is worth more than its head
        if last >= goal(objective) * first {
            failures.push(format!("{}: from {first} to {last}", objective.name()));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_loss_is_decided_by_seed_and_step() {
    let device = Device::flex().autodiff();
    let (model, batch) = (tiny_model(&device), batch(6));
    for &objective in OBJECTIVES {
        // the targets of momentum contrast depend on the step too: here they are as hard at every one
        let options = serde_json::json!({"alpha": 0.0});
        let options = options.as_object().filter(|_| objective.name().starts_with("momentum"));
        let objective = objective.with(&options.cloned().unwrap_or_default()).expect("it has an alpha");
        let run = |key| {
            let loss = loss(&model, &batch, &*objective, key, &device).expect("every modality is there");
            (loss.to_data(), parameters::gradients(&model, &loss.backward()))
        };
        let name = objective.name();
        assert!(run((1, 1)) == run((1, 1)), "{name}: another loss at the same step");
        let is_drawn = ["masked", "joint", "matching"].iter().any(|drawn| name.starts_with(drawn));
        assert_eq!(run((1, 1)) != run((1, 2)), is_drawn, "{name} at another step");
        assert_eq!(run((1, 1)) != run((2, 1)), is_drawn, "{name} with another seed");
    }
}

#[test]
fn a_contrast_aims_at_what_pictures_are_blended_of() {
    let device = Device::flex();
    let model = tiny_model(&device);
    let plain = batch(6);
    let blended =
        |share| HostBatch { mixup: Some(Mixup { share, others: vec![1, 2, 3, 4, 5, 0] }), ..plain.clone() };
    for name in ["contrast_image_text", "contrast_image_audio", "contrast_audio_text"] {
        let objective = find(name).expect("it is registered");
        let value = |batch| loss_value(&model, &batch, objective).expect("every modality is there");
        let (expected, own, other) = (value(plain.clone()), value(blended(1.0)), value(blended(0.0)));
        assert!((own - expected).abs() < 1e-5, "{name}: {own}, not {expected}");
        // a loss is linear in its targets
        let half = value(blended(0.5));
        assert!((half - (own + other) / 2.0).abs() < 1e-5, "{name}: {half} between {own} and {other}");
        assert_eq!(own != other, objective.needs().contains(&Modality::Image), "{name}");
    }
    assert!(OBJECTIVES.iter().all(|o| o.knows_blends() == o.name().starts_with("contrast")));
}

#[test]
fn names_are_unique_and_found() {
    for objective in OBJECTIVES {
        let found = find(objective.name()).expect("it is registered");
        assert_eq!((found.name(), found.about()), (objective.name(), objective.about()));
        assert!(!objective.needs().is_empty() && !objective.about().is_empty());
    }
    assert!(find("contrast_smell_text").is_none());
}

#[test]
fn an_untrained_contrast_is_near_a_uniform_guess() {
    let device = Device::flex();
    let model = tiny_model(&device);
    let contrasts = OBJECTIVES.iter().filter(|objective| objective.name().starts_with("contrast"));
    let mut n_contrasts = 0;
    for (objective, n_samples) in contrasts.zip([5, 9, 12]) {
        let loss =
            loss(&model, &batch(n_samples), *objective, (1, 1), &device).expect("every modality is there");
        let (loss, uniform) = (loss.into_scalar::<f32>(), (n_samples as f32).ln());
        assert!(loss > 0.5 * uniform && loss < 3.0 * uniform, "{loss}, a uniform guess costs {uniform}");
        n_contrasts += 1;
    }
    assert_eq!(n_contrasts, 3);
}
