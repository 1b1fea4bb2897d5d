//! Sigmoid contrast, momentum contrast, matching and distillation with their gradients, against PyTorch's autograd on
//! the references' definitions, as `pairs.py` beside this writes them out.

use std::collections::BTreeMap;

use burn::prelude::*;
use serde::Deserialize;
use triptych_tasks::objectives::{
    FeatureDistance, contrastive_distillation, feature_distillation, matching_loss, momentum_contrast,
    negative_probabilities, sigmoid_contrast, token_distillation,
};

use crate::golden;

/// What float32 leaves of sums of logits up to 30.
const TOLERANCE: f64 = 5e-6;

#[derive(Deserialize)]
struct Case {
    n: usize,
    d: usize,
    #[serde(default)]
    alpha: f32,
    #[serde(default)]
    temperature: f32,
    #[serde(default)]
    distance: FeatureDistance,
    /// What the loss is differentiated by.
    inputs: Vec<Vec<f32>>,
    constants: Vec<Vec<f32>>,
    loss: f64,
    gradients: Vec<Vec<f64>>,
}

fn cases(name: &str) -> Vec<Case> {
    let mut all: BTreeMap<String, Vec<Case>> = golden("pairs.json");
    all.remove(name).unwrap_or_else(|| panic!("no golden values of {name}"))
}

#[track_caller]
fn assert_near(ours: impl IntoIterator<Item = f64>, golden: &[f64], what: &str) {
    let ours = ours.into_iter().collect::<Vec<_>>();
    assert_eq!(ours.len(), golden.len(), "{what}");
    for (idx, (ours, golden)) in ours.iter().zip(golden).enumerate() {
        let is_near = (ours - golden).abs() <= TOLERANCE * golden.abs().max(1.0);
        assert!(is_near, "{what}, element {idx}: expected {golden}, got {ours}");
    }
}

/// Compares the loss of a case's inputs and constants, all flat, and its gradient at every input.
fn check(name: &str, loss: impl Fn(&Case, Vec<Tensor<1>>, Vec<Tensor<1>>) -> Tensor<1>) {
    let device = Device::flex().autodiff();
    let flat = |values: &Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), &device);
    let cases = cases(name);
    assert!(cases.len() >= 2);
    for (idx, case) in cases.iter().enumerate() {
        let inputs = case.inputs.iter().map(|values| flat(values).require_grad()).collect::<Vec<_>>();
        let ours = loss(case, inputs.clone(), case.constants.iter().map(flat).collect());
        assert_near(ours.to_data().iter::<f64>(), &[case.loss], &format!("{name} {idx}"));
        let gradients = ours.backward();
        for (place, (input, golden)) in inputs.iter().zip(&case.gradients).enumerate() {
            let gradient = input.grad(&gradients).expect("inputs are tracked").into_data();
            assert_near(gradient.iter::<f64>(), golden, &format!("{name} {idx}, gradient of input {place}"));
        }
    }
}

/// A flat tensor as a matrix of `n` rows.
fn rows(flat: Tensor<1>, n: usize) -> Tensor<2> {
    let [len] = flat.dims();
    flat.reshape([n, len / n])
}

fn array<const N: usize>(tensors: Vec<Tensor<1>>) -> [Tensor<1>; N] {
    tensors.try_into().unwrap_or_else(|_| panic!("{N} tensors"))
}

#[test]
fn sigmoid_contrast_and_its_gradients_are_big_visions_in_chunks_of_any_size() {
    for chunk_rows in [1, 4, 100] {
        check("sigmoid", |case, inputs, _| {
            let [a, b, scale, bias] = array(inputs);
            sigmoid_contrast(rows(a, case.n), rows(b, case.n), scale, bias, chunk_rows)
        });
    }
}

#[test]
fn momentum_contrast_and_its_gradients_are_albefs() {
    check("momentum", |case, inputs, constants| {
        let ([a, b, scale], [a_all, b_all, pairs]) = (array(inputs), array(constants));
        let n_candidates = pairs.dims()[0] / case.n;
        let teacher = [a_all, b_all].map(|side| rows(side, n_candidates));
        let student = [a, b].map(|side| rows(side, case.n));
        momentum_contrast(student, teacher, scale, rows(pairs, case.n), case.alpha)
    });
}

#[test]
fn matching_and_the_probabilities_of_its_negatives_are_albefs() {
    check("matching", |case, inputs, _| {
        let [logits] = array(inputs);
        matching_loss(logits, case.n)
    });
    for case in cases("matching") {
        let [similarity, golden] = case.constants.try_into().expect("two constants");
        for (row, similarity) in similarity.chunks(case.n).enumerate() {
            let ours = negative_probabilities(similarity, |idx| idx == row);
            let golden =
                golden[row * case.n..][..case.n].iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            assert_near(ours.into_iter().map(f64::from), &golden, &format!("negatives of row {row}"));
        }
    }
}

#[test]
fn contrastive_distillation_and_its_gradients_are_open_clips() {
    check("contrastive_distillation", |case, inputs, constants| {
        let ([a, b, scale], [a_teacher, b_teacher, scale_teacher]) = (array(inputs), array(constants));
        let student = [a, b].map(|side| rows(side, case.n));
        let teacher = [a_teacher, b_teacher].map(|side| rows(side, case.n));
        contrastive_distillation(student, scale, teacher, scale_teacher)
    });
}

#[test]
fn feature_distillation_and_its_gradient_are_pytorchs() {
    check("feature_distillation", |case, inputs, constants| {
        let ([x], [y]) = (array(inputs), array(constants));
        assert_eq!(x.dims(), [case.n * case.d]);
        feature_distillation(rows(x, case.n), rows(y, case.n), case.distance)
    });
}

#[test]
fn token_distillation_and_its_gradient_are_pytorchs() {
    check("token_distillation", |case, inputs, constants| {
        let ([x], [y, weight]) = (array(inputs), array(constants));
        token_distillation(rows(x, case.n), rows(y, case.n), weight, case.temperature)
    });
}
