//! A batch in pieces has the gradient of the whole.

use burn::prelude::*;
use triptych_datasets::batch::HostBatch;
use triptych_datasets::mixup::Mixup;
use triptych_encoders::Modality;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{OBJECTIVES, Objective, StepGradients, StepInputs, differentiate, find};

use crate::fixture::{TOKEN_IDS, batch, batch_of, companions, tiny_model};

/// What another order of sums leaves of the whole gradient, and of the loss.
const TOLERANCE: f64 = 1e-6;
/// The same of a single parameter, where larger parts may cancel.
const TOLERANCE_OF_ONE: f64 = 5e-6;

fn gradients(
    model: &Model,
    batch: &HostBatch,
    weighted: &[(&dyn Objective, f32)],
    n_pieces: usize,
) -> StepGradients {
    let device = Device::flex().autodiff();
    let inputs = StepInputs {
        model,
        batch,
        token_ids: TOKEN_IDS,
        words: None,
        device: &device,
        seed: 1,
        step: 400,
        companions: companions(),
    };
    differentiate(inputs, weighted, n_pieces).expect("the objectives apply")
}

fn named(names: &[&str]) -> Vec<(&'static dyn Objective, f32)> {
    let weighted = names.iter().zip(1..).map(|(name, weight)| {
        let objective = find(name).unwrap_or_else(|| panic!("{name} is registered"));
        (objective, weight as f32 * 0.5)
    });
    weighted.collect()
}

#[track_caller]
fn assert_same(ours: &StepGradients, expected: &StepGradients, what: &str) {
    let is_near = (ours.total - expected.total).abs() <= TOLERANCE * expected.total.abs().max(1.0);
    assert!(is_near, "{what}: loss {}, not {}", ours.total, expected.total);
    let names =
        |found: &StepGradients| found.gradients.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(ours), names(expected), "{what}");
    let norm = |tensor: Tensor<1>| tensor.powi_scalar(2).sum().into_scalar::<f64>().sqrt();
    let whole = expected.gradients.norm();
    let mut squares = 0.0;
    for ((name, ours), (_, expected)) in ours.gradients.iter().zip(expected.gradients.iter()) {
        let off = norm(ours.clone() - expected.clone());
        squares += off * off;
        let off = off / norm(expected.clone()).max(1e-3 * whole);
        assert!(off <= TOLERANCE_OF_ONE, "{what}: {name} is off by {off}");
    }
    let off = squares.sqrt() / whole;
    assert!(off <= TOLERANCE, "{what}: the gradient is off by {off}");
}

#[test]
fn contrasts_have_the_gradient_of_the_whole_batch_in_any_number_of_pieces() {
    let model = tiny_model(&Device::flex().autodiff());
    let whole = batch(12);
    let partial = batch_of(12, [&[0, 1, 2, 3, 7, 8, 9], &[0, 2, 3, 4, 5, 8, 11], &[1, 2, 3, 6, 7, 8, 9]]);
    let blended = HostBatch {
        mixup: Some(Mixup { share: 0.7, others: (0..12).map(|row| (row + 5) % 12).collect() }),
        ..whole.clone()
    };
    for names in [
        &["contrast_image_text", "contrast_audio_text", "contrast_image_audio"][..],
        &["sigmoid_image_text", "sigmoid_audio_text", "sigmoid_image_audio"],
        &["momentum_image_text", "momentum_audio_text", "distil_image_text", "distil_audio_text"],
    ] {
        let weighted = named(names);
        assert!(weighted.iter().all(|(objective, _)| objective.embeds().is_some()));
        for (batch, which) in [(&whole, "all"), (&partial, "some"), (&blended, "blended")] {
            let expected = gradients(&model, batch, &weighted, 1);
            for n_pieces in [2, 5, 12] {
                let ours = gradients(&model, batch, &weighted, n_pieces);
                assert_same(&ours, &expected, &format!("{names:?}, {which} rows, {n_pieces} pieces"));
                assert_eq!(ours.queued.len(), expected.queued.len());
            }
        }
    }
}

#[test]
fn objectives_that_compare_nothing_are_means_over_the_pieces_beside_the_contrasts() {
    let model = tiny_model(&Device::flex().autodiff());
    let batch = batch(6);
    let (contrast, caption) = (named(&["contrast_image_text"]), named(&["caption"]));
    let both = contrast.iter().chain(&caption).copied().collect::<Vec<_>>();
    let mut expected = gradients(&model, &batch, &contrast, 1);
    let alone = gradients(&model, &batch, &caption, 3);
    expected.gradients.add(alone.gradients);
    expected.total += alone.total;
    assert_same(&gradients(&model, &batch, &both, 3), &expected, "a contrast beside captions");
    // one by one, by hand
    let rows = |rows: &[usize]| batch_of(6, [rows, rows, &[]]);
    let mut by_hand = 0.0;
    for piece in [[0, 1], [2, 3], [4, 5]] {
        by_hand += gradients(&model, &rows(&piece), &caption, 1).total / 3.0;
    }
    assert!((alone.total - by_hand).abs() < 1e-5, "{}, not {by_hand}", alone.total);
}

#[test]
fn every_objective_can_be_computed_in_pieces_and_twice_alike() {
    let model = tiny_model(&Device::flex().autodiff());
    let batch = batch(8);
    let weighted = OBJECTIVES.iter().map(|&objective| (objective, 1.0)).collect::<Vec<_>>();
    let [first, second] = [(); 2].map(|()| gradients(&model, &batch, &weighted, 3));
    assert_eq!(first.named.len(), OBJECTIVES.len());
    assert_eq!(first.total, second.total);
    for ((name, first), (_, second)) in first.gradients.iter().zip(second.gradients.iter()) {
        assert_eq!(first.to_data(), second.to_data(), "{name}");
    }
    assert!(OBJECTIVES.iter().all(|o| o.embeds().is_none_or(|embeds| {
        o.needs().iter().all(|modality| embeds.contains(modality))
            && embeds.iter().all(|m| Modality::ALL.contains(m))
    })));
}
