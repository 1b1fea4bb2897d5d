use burn::nn::loss::CTCLossConfig;
use burn::tensor::activation::log_softmax;
use proptest::prelude::*;

use super::*;
use crate::layers::ops::testing::{
    assert_agree, assert_differentiates, assert_near, assert_reproducible, inputs, run, to_vec, values,
};

/// The negative log-likelihood by trying every path of labels, in float64; `None` when no path gives the target.
fn by_enumeration(logits: &[f64], n_labels: usize, target: &[u32], blank: u32) -> Option<f64> {
    let n_frames = logits.len() / n_labels;
    let log_p: Vec<f64> = logits
        .chunks_exact(n_labels)
        .flat_map(|row| {
            let total = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            row.iter().map(move |x| x - total)
        })
        .collect();
    let mut likelihood = 0.0;
    for path in 0..n_labels.pow(n_frames as u32) {
        let labels: Vec<u32> =
            (0..n_frames).map(|t| (path / n_labels.pow(t as u32) % n_labels) as u32).collect();
        let mut collapsed = labels.clone();
        collapsed.dedup();
        collapsed.retain(|&label| label != blank);
        if collapsed == target {
            likelihood += (0..n_frames).map(|t| log_p[t * n_labels + labels[t] as usize]).sum::<f64>().exp();
        }
    }
    (likelihood > 0.0).then(|| -likelihood.ln())
}

fn loss_of(
    x: &[Tensor<1>],
    dims: [usize; 3],
    lengths: &[usize],
    targets: &[Vec<u32>],
    blank: u32,
) -> Tensor<1> {
    ctc_loss(x[0].clone().reshape(dims), lengths, targets, blank)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn loss_and_gradient_agree_with_enumeration(
        n_frames in 0_usize..6,
        blank in 0_u32..3,
        raw_target in proptest::collection::vec(0_u32..2, 0..5),
        seed in 0_u64..1000,
    ) {
        const STEP: f64 = 1e-5;
        let n_labels = 3;
        // two labels that are not the blank
        let target: Vec<u32> = raw_target.iter().map(|&label| (blank + 1 + label) % 3).collect();
        let logits: Vec<f32> = values(n_frames * n_labels, seed).iter().map(|x| 2.0 * x).collect();
        // one more frame than the sample has
        let padded = [logits.clone(), vec![9.0; n_labels]].concat();
        let dims = [1, n_frames + 1, n_labels];
        let got = run(&[padded], &|x| loss_of(&x, dims, &[n_frames], std::slice::from_ref(&target), blank));
        let wide: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        let Some(expected) = by_enumeration(&wide, n_labels, &target, blank) else {
            prop_assert_eq!(got.output, vec![0.0]);
            prop_assert!(got.grads[0].iter().all(|&grad| grad == 0.0));
            return Ok(());
        };
        assert_near(&got.output, &[expected as f32], 1e-5, "loss");
        let projection = f64::from(values(1, 99)[0]);
        for i in 0..logits.len() {
            let moved = |step: f64| {
                let mut wide = wide.clone();
                wide[i] += step;
                by_enumeration(&wide, n_labels, &target, blank).expect("moving a logit keeps the paths")
            };
            let slope = projection * (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            prop_assert!((f64::from(got.grads[0][i]) - slope).abs() < 1e-5, "{} and {}", got.grads[0][i], slope);
        }
        prop_assert!(got.grads[0][n_frames * n_labels..].iter().all(|&grad| grad == 0.0));
    }
}

fn batch() -> ([usize; 3], Vec<usize>, Vec<Vec<u32>>) {
    let targets = vec![vec![3, 1, 4, 1, 5], vec![], vec![2, 2, 2], vec![9; 12], vec![6, 5, 3, 5, 8, 9]];
    ([5, 20, 37], vec![20, 11, 5, 20, 17], targets)
}

#[test]
fn agrees_with_burn() {
    let (dims @ [batch_size, n_frames, n_labels], lengths, targets) = batch();
    let width = targets.iter().map(Vec::len).max().expect("a batch");
    let padded: Vec<i64> = targets
        .iter()
        .flat_map(|target| (0..width).map(|i| i64::from(target.get(i).copied().unwrap_or(1))))
        .collect();
    let burns = |x: Vec<Tensor<1>>| {
        let logits = x[0].clone().reshape([batch_size, n_frames, n_labels]);
        let device = logits.device();
        let int = |values: Vec<i64>| Tensor::<1, Int>::from_ints(values.as_slice(), &device);
        CTCLossConfig::new().with_zero_infinity(true).init().forward(
            log_softmax(logits, 2).swap_dims(0, 1),
            int(padded.clone()).reshape([batch_size, width]),
            int(lengths.iter().map(|&n| n as i64).collect()),
            int(targets.iter().map(|target| target.len() as i64).collect()),
        )
    };
    let ours = |x: Vec<Tensor<1>>| loss_of(&x, dims, &lengths, &targets, 0);
    assert_agree(&inputs(&[dims.iter().product()]), &ours, &burns, 2e-5);
}

#[test]
fn kernel_agrees_with_composite() {
    let (dims, lengths, targets) = batch();
    let lattice = Lattice::new(dims, &lengths, &targets, 0);
    assert_agree(
        &inputs(&[dims.iter().product()]),
        &|x| loss_of(&x, dims, &lengths, &targets, 0),
        &|x| composite(x[0].clone().reshape(dims), &lattice),
        1e-6,
    );
}

#[test]
fn gradient_agrees_with_finite_differences() {
    let (dims, lengths, targets) = ([2, 5, 4], [5, 4], [vec![1, 1, 2], vec![3]]);
    assert_differentiates(&inputs(&[40]), &|x| loss_of(&x, dims, &lengths, &targets, 0), 3e-3);
}

#[test]
fn loss_does_not_depend_on_threads() {
    let (dims, lengths, targets) = batch();
    assert_reproducible(&inputs(&[dims.iter().product()]), &|x| loss_of(&x, dims, &lengths, &targets, 0));
}

#[test]
fn frames_behind_the_length_change_nothing() {
    let (dims @ [_, n_frames, n_labels], lengths, targets) = batch();
    let before = inputs(&[dims.iter().product()]);
    let mut after = before.clone();
    for (i, value) in after[0].iter_mut().enumerate() {
        if i / n_labels % n_frames >= lengths[i / (n_labels * n_frames)] {
            *value = f32::NAN;
        }
    }
    let loss = |x: Vec<Tensor<1>>| loss_of(&x, dims, &lengths, &targets, 0);
    assert_eq!(run(&before, &loss), run(&after, &loss));
}

#[test]
fn a_long_unlikely_sequence_stays_finite() {
    let (n_frames, n_labels) = (400, 30);
    let mut logits = vec![0.0; n_frames * n_labels];
    // all but certain of blanks, against a target of 150 labels
    logits.iter_mut().step_by(n_labels).for_each(|blank| *blank = 25.0);
    let target: Vec<u32> = (0..150).map(|i| i % 29 + 1).collect();
    let logits =
        Tensor::<1>::from_floats(logits.as_slice(), &Device::flex()).reshape([1, n_frames, n_labels]);
    let loss = to_vec(ctc_loss(logits, &[n_frames], &[target], 0))[0];
    assert!(loss.is_finite() && loss > 3000.0, "loss {loss}");
}

#[test]
fn loss_and_gradient_agree_with_pytorch() {
    /// Of single-precision numbers up to 20.
    const TOLERANCE: f32 = 2e-6;
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/golden/ctc.json")).expect("it is JSON");
    for case in golden["cases"].as_array().expect("a list") {
        let floats = |name: &str| -> Vec<f32> {
            let values = case[name].as_array().expect("a list").iter();
            values.map(|value| value.as_f64().expect("a number") as f32).collect()
        };
        let integers = |value: &serde_json::Value| -> Vec<usize> {
            let values = value.as_array().expect("a list").iter();
            values.map(|value| value.as_u64().expect("an integer") as usize).collect()
        };
        let dims: [usize; 3] = integers(&case["dims"]).try_into().expect("three axes");
        let targets: Vec<Vec<u32>> = (case["targets"].as_array().expect("a list").iter())
            .map(|target| integers(target).into_iter().map(|label| label as u32).collect())
            .collect();
        let blank = case["blank"].as_u64().expect("an integer") as u32;
        let logits = Tensor::<1>::from_floats(floats("logits").as_slice(), &Device::flex());
        let logits = logits.reshape(dims).autodiff().require_grad();
        let losses = ctc_loss(logits.clone(), &integers(&case["lengths"]), &targets, blank);
        let weights = Tensor::<1>::from_floats(floats("weights").as_slice(), &Device::flex()).autodiff();
        let grads = (losses.clone() * weights).sum().backward();
        let grad = logits.grad(&grads).expect("the logits are tracked");
        assert_near(&to_vec(losses), &floats("losses"), TOLERANCE, "loss");
        assert_near(&to_vec(grad), &floats("grads"), TOLERANCE, "gradient");
    }
}
