//! InfoNCE and its gradients against open_clip's `ClipLoss`, as `contrastive.py` beside this writes it out.

use burn::prelude::*;
use serde::Deserialize;
use triptych_tasks::objectives::info_nce;

use crate::golden;

/// What float32 leaves of values up to the scale of the similarities, 100.
const TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Case {
    n: usize,
    d: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    log_scale: f32,
    loss: f64,
    grad_a: Vec<f64>,
    grad_b: Vec<f64>,
    grad_log_scale: f64,
}

#[track_caller]
fn assert_near(ours: &TensorData, golden: &[f64], what: &str) {
    let ours = ours.iter::<f64>().collect::<Vec<_>>();
    assert_eq!(ours.len(), golden.len(), "{what}");
    for (idx, (ours, golden)) in ours.iter().zip(golden).enumerate() {
        let scale = golden.abs().max(1.0);
        assert!(
            (ours - golden).abs() <= TOLERANCE * scale,
            "{what}, element {idx}: expected {golden}, got {ours}"
        );
    }
}

#[test]
fn info_nce_and_its_gradients_are_open_clips() {
    let device = Device::flex().autodiff();
    let cases: Vec<Case> = golden("contrastive.json");
    assert_eq!(cases.len(), 5);
    for Case { n, d, a, b, log_scale, loss, grad_a, grad_b, grad_log_scale } in cases {
        let what = format!("{n} pairs of width {d}");
        let rows = |values| Tensor::<2>::from_data(TensorData::new(values, [n, d]), &device).require_grad();
        let (a, b) = (rows(a), rows(b));
        let log_scale = Tensor::<1>::from_floats([log_scale], &device).require_grad();
        let ours = info_nce(a.clone(), b.clone(), log_scale.clone());
        assert_near(&ours.to_data(), &[loss], &format!("loss of {what}"));
        let gradients = ours.backward();
        let gradient = |gradient: Option<Tensor<2>>| gradient.expect("inputs are tracked").into_data();
        assert_near(&gradient(a.grad(&gradients)), &grad_a, &format!("gradient of a of {what}"));
        assert_near(&gradient(b.grad(&gradients)), &grad_b, &format!("gradient of b of {what}"));
        let by_scale = log_scale.grad(&gradients).expect("inputs are tracked").into_data();
        assert_near(&by_scale, &[grad_log_scale], &format!("gradient of the scale of {what}"));
    }
}
