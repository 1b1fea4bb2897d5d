//! Batches in which modalities are missing, wholly or in some rows.

use burn::prelude::*;
use triptych_encoders::Modality;
use triptych_tasks::model::{HeadsConfig, ModelConfig};
use triptych_tasks::objectives::{self, OBJECTIVES, Requirement, StepContext};

use crate::fixture::{
    SHAPE, TOKEN_IDS, batch, batch_of, compares, loss_value, tiny_model, with_garbage_in_padding, without,
};

/// What other widths of padding leave of a loss of up to 5.
const TOLERANCE: f32 = 1e-5;

#[test]
fn objectives_apply_exactly_where_the_modalities_that_they_need_are() {
    let model = tiny_model(&Device::flex());
    let batch = batch(4);
    for objective in OBJECTIVES {
        let name = objective.name();
        for modality in Modality::ALL {
            let loss = loss_value(&model, &without(&batch, modality), *objective);
            let needs = objective.needs().contains(&modality);
            assert_eq!(loss.is_none(), needs, "{name} without {}", modality.name());
        }
    }
}

#[test]
fn a_modality_that_the_model_does_not_know_is_as_good_as_absent() {
    let config = ModelConfig { audio: None, ..ModelConfig::tiny() };
    let model = config.init(SHAPE, 1, &Device::flex()).expect("two encoders are enough");
    for objective in OBJECTIVES {
        let loss = loss_value(&model, &batch(4), *objective);
        assert_eq!(loss.is_none(), objective.needs().contains(&Modality::Audio), "{}", objective.name());
    }
}

#[test]
fn rows_that_do_not_overlap_give_no_loss() {
    let model = tiny_model(&Device::flex());
    let batch = batch_of(6, [&[0, 3], &[1, 4], &[2, 5]]);
    for objective in OBJECTIVES {
        let is_alone = objective.needs().len() == 1;
        assert_eq!(loss_value(&model, &batch, *objective).is_some(), is_alone, "{}", objective.name());
    }
}

#[test]
fn one_pair_alone_teaches_contrast_nothing() {
    let model = tiny_model(&Device::flex());
    for objective in OBJECTIVES {
        let loss = loss_value(&model, &batch(1), *objective);
        assert_eq!(loss.is_none(), compares(*objective), "{}", objective.name());
    }
}

#[test]
fn rows_that_lack_a_modality_count_for_nothing() {
    let model = tiny_model(&Device::flex());
    let present: [&[usize]; 3] = [&[0, 2, 3, 5, 6, 7], &[0, 1, 2, 4, 6, 7], &[1, 2, 3, 4, 5, 7]];
    for objective in OBJECTIVES {
        let has_all =
            |row: &usize| objective.needs().iter().all(|modality| present[modality.idx()].contains(row));
        let shared = (0..8).filter(has_all).collect::<Vec<_>>();
        let needed = |rows: [&[usize]; 3]| {
            let is_needed = Modality::ALL.map(|modality| objective.needs().contains(&modality));
            batch_of(8, [0, 1, 2].map(|idx| if is_needed[idx] { rows[idx] } else { &[] }))
        };
        let [partial, alone] =
            [present, [shared.as_slice(); 3]].map(|rows| loss_value(&model, &needed(rows), *objective));
        let (partial, alone) = (partial.expect("rows are shared"), alone.expect("rows are there"));
        assert!((partial - alone).abs() < TOLERANCE, "{}: {partial}, but {alone} alone", objective.name());
    }
}

#[test]
fn sounds_learn_what_their_texts_mean_whether_or_not_they_have_pictures() {
    let model = tiny_model(&Device::flex());
    let objective = objectives::find("contrast_image_audio").expect("it is registered");
    // in the order of text, image, audio
    let loss =
        |rows: [&[usize]; 3]| loss_value(&model, &batch_of(8, rows), objective).expect("rows are shared");
    let (front, back): (&[usize], &[usize]) = (&[0, 1, 2, 3], &[4, 5, 6, 7]);
    let by_pictures = [front, back].map(|rows| loss([&[], rows, rows]));
    let with_pictures = 2.0 * loss([back, back, back]) - by_pictures[1];
    let without_pictures = 2.0 * loss([back, front, &[0, 1, 2, 3, 4, 5, 6, 7]]) - by_pictures[0];
    assert!((with_pictures - by_pictures[1]).abs() > 0.01, "texts count for nothing");
    assert!((with_pictures - without_pictures).abs() < TOLERANCE, "{with_pictures}, {without_pictures}");
}

#[test]
fn padding_content_does_not_change_a_loss() {
    let model = tiny_model(&Device::flex());
    let batch = batch(5);
    let garbage = with_garbage_in_padding(&batch);
    assert_ne!(batch.audio, garbage.audio);
    assert_ne!(batch.text, garbage.text);
    for objective in OBJECTIVES {
        let [clean, garbage] = [&batch, &garbage].map(|batch| loss_value(&model, batch, *objective));
        assert_eq!(clean, garbage, "{}", objective.name());
    }
}

#[test]
fn without_what_it_requires_an_objective_gives_no_loss() {
    let heads = HeadsConfig::default();
    let config = ModelConfig { heads, ..ModelConfig::tiny() };
    let bare = config.init(SHAPE, 1, &Device::flex()).expect("the sizes fit together");
    let (whole, batch, device) = (tiny_model(&Device::flex()), batch(4), Device::flex());
    for objective in OBJECTIVES {
        let requires = objective.requires();
        let of_head = [Requirement::SigmoidHead, Requirement::MatchingHead, Requirement::DistilledHead];
        let needs_head = requires.iter().any(|requirement| of_head.contains(requirement));
        let needs_head = needs_head || objective.lacks(&config).is_some();
        assert_eq!(loss_value(&bare, &batch, *objective).is_none(), needs_head, "{}", objective.name());
        let alone = objective.loss(&StepContext::new(&whole, &batch, TOKEN_IDS, &device, 1, 1));
        let needs_company = requires.iter().any(|requirement| !of_head.contains(requirement));
        assert_eq!(alone.is_none(), needs_company, "{}", objective.name());
    }
}

#[test]
fn rows_of_one_group_are_no_negatives_of_each_other() {
    let model = tiny_model(&Device::flex());
    let mut batch = batch(4);
    batch.ids = ["same"; 4].map(ToOwned::to_owned).to_vec();
    for name in ["matching_image_text", "matching_audio_text"] {
        let objective = objectives::find(name).expect("it is registered");
        assert_eq!(loss_value(&model, &batch, objective), None, "{name}");
    }
}
