//! What the masked objectives hide, and what they count.

use burn::prelude::*;
use triptych_datasets::batch::HostBatch;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{Objective, find};

use crate::fixture::{SHAPE, TOKEN_IDS, batch, loss_value, tiny_model};
use crate::parameters;

/// A change below this is rounding, of losses of about 1 to 5.
const ROUNDING: f32 = 2e-6;

const PATCH: usize = 4;
const FRAMES_PER_TOKEN: usize = 4;

fn objective(name: &str) -> &'static dyn Objective {
    find(name).expect("it is registered")
}

/// A model whose parameters below `path` are 0: it predicts 0 there whatever it sees, so that its loss depends on
/// what is to be predicted alone.
fn blind(path: &str) -> Model {
    let device = Device::flex();
    let model = tiny_model(&device);
    let mut table = parameters::save(&model);
    let mut n_found = 0;
    for (name, values) in &mut table {
        if name.starts_with(path) {
            let shape = values.shape().clone();
            *values = TensorData::zeros::<f32, _>(shape);
            n_found += 1;
        }
    }
    assert!(n_found > 0, "no parameter below {path}");
    parameters::load(model, table)
}

fn moves(model: &Model, [plain, changed]: [&HostBatch; 2], objective: &dyn Objective) -> bool {
    let [plain, changed] =
        [plain, changed].map(|batch| loss_value(model, batch, objective).expect("it applies"));
    (plain - changed).abs() > ROUNDING
}

/// Adds to the red of the left half of a patch, or to the whole of it.
fn change_patch(batch: &HostBatch, row: usize, patch: usize, by: f32, is_whole: bool) -> HostBatch {
    let mut batch = batch.clone();
    let image = batch.image.as_mut().expect("asked for");
    let (side, n_patches) = (image.width, image.width / PATCH);
    for y in 0..PATCH {
        for x in 0..if is_whole { PATCH } else { PATCH / 2 } {
            let place = (row * side + patch / n_patches * PATCH + y) * side + patch % n_patches * PATCH + x;
            for channel in 0..if is_whole { 3 } else { 1 } {
                image.pixels[place * 3 + channel] += by;
            }
        }
    }
    batch
}

fn change_frames(batch: &HostBatch, row: usize, token: usize, by: f32) -> HostBatch {
    let mut batch = batch.clone();
    let audio = batch.audio.as_mut().expect("asked for");
    let start = (row * audio.n_frames + token * FRAMES_PER_TOKEN) * audio.n_mels;
    let end = (row * audio.n_frames + audio.lengths[row].min((token + 1) * FRAMES_PER_TOKEN)) * audio.n_mels;
    audio.frames[start..end].iter_mut().for_each(|value| *value += by);
    batch
}

/// The patches or audio tokens of each row that the loss of a blind model depends on.
fn counted(
    objective: &dyn Objective,
    path: &str,
    batch: &HostBatch,
    n_places: impl Fn(usize) -> usize,
    change: impl Fn(usize, usize) -> HostBatch,
) -> Vec<Vec<bool>> {
    let model = blind(path);
    (0..batch.ids.len())
        .map(|row| {
            (0..n_places(row)).map(|place| moves(&model, [batch, &change(row, place)], objective)).collect()
        })
        .collect()
}

fn n_audio_tokens(batch: &HostBatch, row: usize) -> usize {
    batch.audio.as_ref().expect("asked for").lengths[row].div_ceil(FRAMES_PER_TOKEN)
}

/// The objectives that predict patches, with their heads and how many of 16 patches they predict.
const OF_PATCHES: [(&str, &str, usize); 2] =
    [("masked_image", "patches", 10), ("masked_autoencoder", "patch_decoder.pixels", 12)];

/// Found by the model's indifference to all but what is to be predicted: a normalised patch has the same squares whatever it
/// shows, so that a masked autoencoder is asked for plain pixels.
fn counted_patches(name: &str, path: &str, batch: &HostBatch) -> Vec<Vec<bool>> {
    let mut plain = objective(name).options();
    if plain.contains_key("normalise") {
        plain.insert("normalise".to_owned(), false.into());
    }
    let objective = &*objective(name).with(&plain).expect("its own options");
    let n_patches = (SHAPE.image_side / PATCH).pow(2);
    let change = |row, patch| change_patch(batch, row, patch, 1.0, false);
    counted(objective, path, batch, |_| n_patches, change)
}

#[test]
fn the_share_of_patches_that_is_asked_for_is_counted() {
    let batch = batch(2);
    for (name, path, n_counted) in OF_PATCHES {
        for row in counted_patches(name, path, &batch) {
            assert_eq!(row.iter().filter(|counts| **counts).count(), n_counted, "{name}: {row:?}");
        }
    }
}

#[test]
fn a_counted_patch_is_not_seen_and_a_seen_one_is() {
    let (batch, model) = (batch(2), tiny_model(&Device::flex()));
    for (name, path, _) in OF_PATCHES {
        let objective = objective(name);
        for (row, counted) in counted_patches(name, path, &batch).into_iter().enumerate() {
            for (patch, counts) in counted.into_iter().enumerate() {
                // a whole patch made lighter is the same when normalised; what is not predicted moves the loss by being seen
                let changed = change_patch(&batch, row, patch, 2.0, counts);
                let moves = moves(&model, [&batch, &changed], objective);
                assert_eq!(moves, !counts, "{name}, row {row}, patch {patch}");
            }
        }
    }
}

#[test]
fn at_least_65_percent_of_a_sound_is_counted_in_runs_of_three_tokens() {
    let (objective, batch) = (objective("masked_audio"), batch(3));
    let change = |row, token| change_frames(&batch, row, token, 1.0);
    let counted = counted(objective, "frames", &batch, |row| n_audio_tokens(&batch, row), change);
    for row in counted {
        let n_counted = row.iter().filter(|counts| **counts).count();
        assert!(n_counted as f32 >= 0.65 * row.len() as f32, "{row:?}");
        // 10 frames are 3 tokens of 4
        assert!(row.chunk_by(|a, b| a == b).all(|run| !run[0] || run.len() >= 3), "{row:?}");
    }
}

#[test]
fn counted_frames_are_not_seen() {
    let (objective, batch) = (objective("masked_audio"), batch(2));
    let change = |row, token| change_frames(&batch, row, token, 1.0);
    let counted = counted(objective, "frames", &batch, |row| n_audio_tokens(&batch, row), change);
    let n_values = counted.iter().enumerate().flat_map(|(row, counted)| {
        let length = batch.audio.as_ref().expect("asked for").lengths[row];
        let n_frames = move |token: usize| (length - token * FRAMES_PER_TOKEN).min(FRAMES_PER_TOKEN);
        counted
            .iter()
            .enumerate()
            .map(move |(token, &counts)| if counts { n_frames(token) * SHAPE.n_mels } else { 0 })
    });
    let n_values = n_values.collect::<Vec<_>>();
    let n_counted = n_values.iter().sum::<usize>() as f32;
    let model = tiny_model(&Device::flex());
    let mut n_values = n_values.into_iter();
    for (row, counted) in counted.into_iter().enumerate() {
        for (token, counts) in counted.into_iter().enumerate() {
            let [below, here, above] = [-2.0, 0.0, 2.0].map(|by| {
                loss_value(&model, &change_frames(&batch, row, token, by), objective).expect("it applies")
            });
            let n_moved = n_values.next().expect("one a token") as f32;
            if counts {
                // with a prediction that does not move, the loss is a parabola in what is to be predicted
                let (bend, parabola) = (above + below - 2.0 * here, 2.0 * 4.0 * n_moved / n_counted);
                assert!((bend - parabola).abs() < 1e-5, "row {row}, token {token}: {bend}, not {parabola}");
            } else {
                assert_eq!(n_moved, 0.0);
                assert!((above - here).abs() > ROUNDING, "row {row}, token {token} is not seen");
            }
        }
    }
}

#[test]
fn a_mean_of_squares_is_taken_over_counted_frames_alone() {
    let (objective, batch) = (objective("masked_audio"), batch(3));
    let change = |row, token| change_frames(&batch, row, token, 1.0);
    let counted = counted(objective, "frames", &batch, |row| n_audio_tokens(&batch, row), change);
    let audio = batch.audio.as_ref().expect("asked for");
    let mut squares = Vec::new();
    for (row, counted) in counted.into_iter().enumerate() {
        for frame in (0..audio.lengths[row]).filter(|frame| counted[frame / FRAMES_PER_TOKEN]) {
            let start = (row * audio.n_frames + frame) * audio.n_mels;
            squares.extend(audio.frames[start..start + audio.n_mels].iter().map(|value| value.powi(2)));
        }
    }
    let expected = squares.iter().sum::<f32>() / squares.len() as f32;
    let loss = loss_value(&blind("frames"), &batch, objective).expect("it applies");
    assert!((loss - expected).abs() < 1e-5, "{loss}, expected {expected}");
}

#[test]
fn one_in_seven_tokens_of_a_text_is_counted_and_at_least_one() {
    let batch = batch(6);
    let text = batch.text.as_ref().expect("asked for");
    // blind, but for how much it likes each label
    let model = blind("backbone.causal.");
    let mut table = parameters::save(&model);
    let bias = (0..SHAPE.n_vocab).map(|label| label as f32 * 0.1).collect::<Vec<_>>();
    let replaced =
        table.insert("backbone.vocabulary_bias".to_owned(), TensorData::new(bias.clone(), [SHAPE.n_vocab]));
    assert!(replaced.is_some(), "no bias of the vocabulary");
    let model = parameters::load(model, table);
    let log_total = bias.iter().map(|logit| logit.exp()).sum::<f32>().ln();
    for name in ["masked_text_given_image", "masked_text_given_audio"] {
        let objective = objective(name);
        let mut costs = Vec::new();
        for (row, &length) in text.lengths.iter().enumerate() {
            let counted = (0..length).filter(|place| {
                let mut changed = batch.clone();
                let id = &mut changed.text.as_mut().expect("asked for").ids[row * text.n_tokens + place];
                *id = if *id == TOKEN_IDS.first_ordinary { *id + 1 } else { TOKEN_IDS.first_ordinary };
                moves(&model, [&batch, &changed], objective)
            });
            let counted = counted.collect::<Vec<_>>();
            // texts of at most 9 tokens have one
            assert_eq!(counted.len(), 1, "{name}, row {row}");
            costs.extend(
                counted.iter().map(|place| log_total - bias[text.ids[row * text.n_tokens + place] as usize]),
            );
        }
        let expected = costs.iter().sum::<f32>() / costs.len() as f32;
        let loss = loss_value(&model, &batch, objective).expect("it applies");
        assert!((loss - expected).abs() < 1e-5, "{name}: {loss}, expected {expected}");
    }
}
