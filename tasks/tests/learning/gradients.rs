//! Gradients of whole objectives against differences of their losses.

use burn::module::Module;
use burn::prelude::*;
use serde_json::json;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{OBJECTIVES, Objective, find};

use crate::fixture::{batch, loss, tiny_model};
use crate::parameters::{self, Table};

/// Length of the step in parameters, of which a model has thousands.
const STEP: f32 = 0.005;
/// What float32 and the curvature of the loss leave.
const TOLERANCE: f64 = 0.02;

/// The model moved by `step` along the gradients of the parameters below `part`, as a unit vector.
fn moved(model: &Model, gradients: &Table, part: &str, step: f32) -> (Model, f64) {
    let below = |name: &str| name.split('.').next() == Some(part);
    let squares = gradients.iter().filter(|(name, _)| below(name));
    let squares = squares.flat_map(|(_, gradient)| gradient.iter::<f64>().map(|value| value * value));
    let norm = squares.sum::<f64>().sqrt();
    let mut table = parameters::save(model);
    for (name, values) in table.iter_mut().filter(|(name, _)| below(name)) {
        let Some(gradient) = gradients.get(name) else { continue };
        let steps = gradient.iter::<f32>().map(|value| value * step / norm as f32);
        let shifted = values.iter::<f32>().zip(steps).map(|(value, step)| value + step).collect::<Vec<_>>();
        *values = TensorData::new(shifted, values.shape().clone());
    }
    let fresh = tiny_model(&Device::flex());
    (parameters::load(fresh, table), norm)
}

/// Along the gradient of every part of the model, the loss rises by the gradient's length.
#[track_caller]
fn assert_differentiates(objective: &dyn Objective, what: &str) {
    // its negatives are drawn by how alike embeddings are: a step of what makes those may draw another
    let draws_by = ["text", "vision", "audio", "retrieval"];
    let is_drawn = |part: &str| objective.name().starts_with("matching") && draws_by.contains(&part);
    let device = Device::flex().autodiff();
    let (model, batch) = (tiny_model(&device), batch(5));
    let value = |model: &Model| -> f64 {
        let plain = Device::flex();
        let loss = loss(model, &batch, objective, (1, 1), &plain).expect("every modality is there");
        f64::from(loss.into_scalar::<f32>())
    };
    let loss = loss(&model, &batch, objective, (1, 1), &device).expect("every modality is there");
    let gradients = parameters::gradients(&model, &loss.backward());
    let parts = gradients.keys().filter_map(|name| name.split('.').next()).filter(|part| !is_drawn(part));
    let parts = parts.collect::<std::collections::BTreeSet<_>>();
    assert!(!parts.is_empty(), "{what} reaches nothing");
    let plain = model.valid();
    for part in parts {
        let slope = |step: f32| {
            let (above, norm) = moved(&plain, &gradients, part, step);
            let (below, _) = moved(&plain, &gradients, part, -step);
            ((value(&above) - value(&below)) / f64::from(2.0 * step), norm)
        };
        // the error of a difference grows with the square of the step (Richardson): small embeddings bend a loss
        let ((wide, norm), (narrow, _)) = (slope(STEP), slope(STEP / 2.0));
        let slope = (4.0 * narrow - wide) / 3.0;
        // a part of the model with next to no influence leaves rounding alone
        let near = (slope - norm).abs() <= TOLERANCE * norm + 3e-4;
        assert!(near, "{what}: along the gradient of {part} the loss rises by {slope}, not {norm}");
    }
}

#[test]
fn gradients_are_the_slopes_of_the_losses() {
    for objective in OBJECTIVES {
        assert_differentiates(*objective, objective.name());
    }
}

#[test]
fn options_keep_gradients_the_slopes_of_the_losses() {
    let cases = [
        ("caption", json!({"parallel": 0.75, "label_smoothing": 0.2})),
        ("ctc", json!({"intermediate": [0, 1]})),
        ("masked_image", json!({"blocks": true, "masked": 0.4})),
        ("masked_autoencoder", json!({"normalise": false})),
        ("joint_masking", json!({"alpha": 0.1, "seen": 0.2, "predicted": 0.8})),
    ];
    for (name, options) in cases {
        let what = format!("{name} with {options}");
        let options = serde_json::from_value(options).expect("a table");
        let objective = find(name).expect("it is registered").with(&options).expect("options that fit");
        assert_differentiates(&*objective, &what);
    }
}
