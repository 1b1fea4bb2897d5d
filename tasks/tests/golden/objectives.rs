//! The objectives' losses, gradients and targets against PyTorch: `objectives.py` beside this makes the values.

use burn::prelude::*;
use serde::Deserialize;
use triptych_encoders::layers::ops;
use triptych_tasks::decode::ctc::{Frames, PrefixScorer};
use triptych_tasks::objectives::{PatchTargets, RandomQuantizer, consistent_ctc};

use crate::golden;

/// What float32 leaves of losses of up to 20 and their gradients.
const TOLERANCE: f64 = 1e-5;
/// Sums of double-precision exponentials of float32 scores.
const PREFIX_TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    label_smoothing: Vec<LabelSmoothing>,
    mae: Vec<Mae>,
    best_rq: Vec<BestRq>,
    cr_ctc: Vec<CrCtc>,
    hybrid: Hybrid,
    prefix_scores: Vec<PrefixScores>,
}

#[derive(Deserialize)]
struct LabelSmoothing {
    n: usize,
    classes: usize,
    smoothing: f32,
    logits: Vec<f32>,
    targets: Vec<i64>,
    weight: Vec<f32>,
    loss: f64,
    grad: Vec<f64>,
}

#[derive(Deserialize)]
struct Mae {
    n: usize,
    side: usize,
    patch: usize,
    normalise: bool,
    /// `[n, side, side, 3]`
    pixels: Vec<f32>,
    mask: Vec<f32>,
    predicted: Vec<f32>,
    loss: f64,
    grad: Vec<f64>,
}

#[derive(Deserialize)]
struct BestRq {
    d_in: usize,
    d_code: usize,
    frames: Vec<f32>,
    projection: Vec<f32>,
    codes: Vec<f32>,
    nearest: Vec<i64>,
}

#[derive(Deserialize)]
struct CrCtc {
    n_frames: usize,
    n_labels: usize,
    lengths: Vec<usize>,
    texts: Vec<Vec<u32>>,
    scale: f32,
    a: Vec<f32>,
    b: Vec<f32>,
    losses: Vec<f64>,
    grad_a: Vec<f64>,
    grad_b: Vec<f64>,
}

#[derive(Deserialize)]
struct Hybrid {
    n_frames: usize,
    n_labels: usize,
    lengths: Vec<usize>,
    texts: Vec<Vec<u32>>,
    logits: Vec<f32>,
    written: Vec<f32>,
    loss: f64,
    grad_logits: Vec<f64>,
    grad_written: Vec<f64>,
}

#[derive(Deserialize)]
struct PrefixScores {
    n_labels: usize,
    frames: Vec<f32>,
    /// A prefix, the log-probability of texts that begin with it, and that of the prefix as a whole text.
    prefixes: Vec<(Vec<u32>, f64, Option<f64>)>,
}

fn tracked<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

#[track_caller]
fn assert_near(ours: &TensorData, golden: &[f64], what: &str) {
    let ours = ours.iter::<f64>().collect::<Vec<_>>();
    assert_eq!(ours.len(), golden.len(), "{what}");
    for (idx, (ours, golden)) in ours.iter().zip(golden).enumerate() {
        let near = (ours - golden).abs() <= TOLERANCE * golden.abs().max(1.0);
        assert!(near, "{what}, element {idx}: expected {golden}, got {ours}");
    }
}

#[track_caller]
fn assert_gradient<const D: usize>(
    input: &Tensor<D>,
    gradients: &burn::tensor::Gradients,
    golden: &[f64],
    what: &str,
) {
    assert_near(&input.grad(gradients).expect("inputs are tracked").into_data(), golden, what);
}

#[test]
fn label_smoothing_and_its_gradient_are_pytorchs() {
    let device = Device::flex().autodiff();
    for case in golden::<Golden>("objectives.json").label_smoothing {
        let logits = tracked(case.logits, [case.n, case.classes]);
        let targets = Tensor::<1, Int>::from_data(TensorData::new(case.targets, [case.n]), &device);
        let weight = Tensor::<1>::from_data(TensorData::new(case.weight, [case.n]), &device);
        let loss = ops::cross_entropy(logits.clone(), targets, weight, case.smoothing);
        assert_near(&loss.to_data(), &[case.loss], "loss");
        assert_gradient(&logits, &loss.backward(), &case.grad, "gradient");
    }
}

#[test]
fn the_error_of_masked_patches_is_that_of_mae() {
    for case in golden::<Golden>("objectives.json").mae {
        let Mae { n, side, patch, normalise, .. } = case;
        let device = Device::flex().autodiff();
        let pixels = Tensor::<4>::from_data(TensorData::new(case.pixels, [n, side, side, 3]), &device);
        let (n_patches, d_patch) = ((side / patch).pow(2), patch * patch * 3);
        let patches = ops::unfold(pixels, [patch; 2], [patch; 2], [0, 0]).reshape([n * n_patches, d_patch]);
        let predicted = tracked(case.predicted, [n * n_patches, d_patch]);
        let masked = (0..).zip(&case.mask).filter(|(_, mask)| **mask > 0.0).map(|(place, _)| place);
        let masked = masked.collect::<Vec<i64>>();
        let n_masked = masked.len();
        let masked = Tensor::<1, Int>::from_data(TensorData::new(masked, [n_masked]), &device);
        let targets = PatchTargets { normalise, ..PatchTargets::MAE };
        let loss = targets.error(predicted.clone().select(0, masked.clone()), patches.select(0, masked));
        let what = format!("{n} pictures of {side} pixels in patches of {patch}, normalised: {normalise}");
        assert_near(&loss.to_data(), &[case.loss], &what);
        assert_gradient(&predicted, &loss.backward(), &case.grad, &what);
    }
}

#[test]
fn random_codes_are_those_of_best_rq() {
    for case in golden::<Golden>("objectives.json").best_rq {
        let n = case.nearest.len();
        let frames = TensorData::new(case.frames, [n, case.d_in]);
        let quantizer = RandomQuantizer::from_parts(case.d_in, case.d_code, case.projection, case.codes);
        assert_eq!(quantizer.codes(Tensor::from_data(frames, &Device::flex())), case.nearest);
    }
}

#[test]
fn ctc_of_consistent_views_and_its_gradients_are_icefalls() {
    for case in golden::<Golden>("objectives.json").cr_ctc {
        let shape = [case.lengths.len(), case.n_frames, case.n_labels];
        let (a, b) = (tracked(case.a, shape), tracked(case.b, shape));
        let losses = consistent_ctc([a.clone(), b.clone()], &case.lengths, &case.texts, 0, case.scale);
        assert_near(&losses.to_data(), &case.losses, "losses");
        let gradients = losses.sum().backward();
        assert_gradient(&a, &gradients, &case.grad_a, "gradient of the first view");
        assert_gradient(&b, &gradients, &case.grad_b, "gradient of the second view");
    }
}

#[test]
fn ctc_and_attention_are_weighed_as_in_espnet() {
    let case = golden::<Golden>("objectives.json").hybrid;
    let device = Device::flex().autodiff();
    let batch = case.lengths.len();
    let logits = tracked(case.logits, [batch, case.n_frames, case.n_labels]);
    let targets = case.texts.iter().flatten().map(|&label| i64::from(label)).collect::<Vec<_>>();
    let n = targets.len();
    let written = tracked(case.written, [n, case.n_labels]);
    let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [n]), &device);
    let ctc = triptych_tasks::objectives::mean_ctc(logits.clone(), &case.lengths, &case.texts);
    let attention = ops::cross_entropy(written.clone(), targets, Tensor::ones([n], &device), 0.1);
    let loss = triptych_tasks::objectives::hybrid(ctc, attention, 0.3);
    assert_near(&loss.to_data(), &[case.loss], "loss");
    let gradients = loss.backward();
    assert_gradient(&logits, &gradients, &case.grad_logits, "gradient of CTC's logits");
    assert_gradient(&written, &gradients, &case.grad_written, "gradient of the attention's logits");
}

#[test]
fn prefix_scores_add_up_every_path() {
    for case in golden::<Golden>("objectives.json").prefix_scores {
        let frames = Frames::new(&case.frames, case.n_labels).expect("log-probabilities");
        let scorer = PrefixScorer::new(&frames, 0).expect("a blank");
        for (prefix, begins, whole) in case.prefixes {
            let mut state = scorer.begin();
            let mut score = 0.0;
            for &label in &prefix {
                score = scorer.extensions(&state)[label as usize];
                state = scorer.extend(&state, label);
            }
            assert!((score - begins).abs() < PREFIX_TOLERANCE, "{prefix:?}: {score}, not {begins}");
            let end = scorer.end(&state);
            match whole {
                Some(whole) => {
                    assert!((end - whole).abs() < PREFIX_TOLERANCE, "{prefix:?}: {end}, not {whole}")
                }
                None => assert_eq!(end, f64::NEG_INFINITY, "{prefix:?} takes more frames than there are"),
            }
        }
    }
}
