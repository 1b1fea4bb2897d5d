//! Linear probes against scikit-learn's logistic regression.

use serde::Deserialize;
use triptych_tasks::heads::linear_probe::{
    Division, Features, LinearProbe, ProbeOptions, Samples, Scale, select,
};
use triptych_tasks::heads::zero_shot::probabilities;
use triptych_tasks::metrics::Classifications;
use triptych_tasks::metrics::classification::ScoreKind;

use crate::golden;

/// Ours stops at a gradient of 1e-10, short of the optimum where the loss is flat; scikit-learn's is at it.
const TOLERANCE: f64 = 2e-6;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    selection: Chosen,
}

/// Strengths by folds of the first case, its features at other scales.
#[derive(Deserialize)]
struct Chosen {
    factors: Vec<f32>,
    offsets: Vec<f32>,
    folds: Vec<usize>,
    strengths: Vec<f64>,
    n_right: Vec<usize>,
    losses: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    inverse_strength: f64,
    d: usize,
    n_classes: usize,
    features: Vec<f32>,
    labels: Vec<usize>,
    test: Vec<f32>,
    test_labels: Vec<usize>,
    predicted: Vec<usize>,
    probabilities: Vec<f64>,
    accuracy: f64,
}

#[test]
fn probes_predict_what_scikit_learn_predicts() {
    let golden: Golden = golden("linear_probe.json");
    for (case_idx, case) in golden.cases.iter().enumerate() {
        let Case { d, n_classes, .. } = *case;
        let training = Features { values: &case.features, d };
        let options = ProbeOptions { tolerance: 1e-10, ..ProbeOptions::default() };
        let strength = case.inverse_strength;
        let probe =
            LinearProbe::fit(training, &case.labels, n_classes, strength, None, options).expect("good data");
        assert!(probe.convergence().is_reached, "case {case_idx}: {:?}", probe.convergence());

        let logits = probe.logits(Features { values: &case.test, d });
        let ours = logits.chunks_exact(n_classes).flat_map(probabilities);
        for (ours, theirs) in ours.zip(&case.probabilities) {
            assert!((ours - theirs).abs() < TOLERANCE, "case {case_idx}: expected {theirs}, got {ours}");
        }
        let classified =
            Classifications::from_scores(&case.test_labels, &logits, n_classes, ScoreKind::Logits)
                .expect("finite scores");
        assert_eq!(classified.predicted().collect::<Vec<_>>(), case.predicted, "case {case_idx}");
        let accuracy = classified.figures()[0].value();
        assert!((accuracy - 100.0 * case.accuracy).abs() < 1e-9, "case {case_idx}: {accuracy}");

        // the default tolerance is enough for the same predictions
        let loose =
            LinearProbe::fit(training, &case.labels, n_classes, strength, None, ProbeOptions::default());
        let logits = loose.expect("good data").logits(Features { values: &case.test, d });
        let classified =
            Classifications::from_scores(&case.test_labels, &logits, n_classes, ScoreKind::Logits);
        assert!(classified.expect("finite scores").predicted().eq(case.predicted.iter().copied()));
    }
}

#[test]
fn strengths_are_judged_by_folds_as_scikit_learn_judges_them() {
    let Golden { cases, selection } = golden("linear_probe.json");
    let Case { d, n_classes, features, labels, .. } = &cases[0];
    let (d, folds) = (*d, &selection.folds);
    let scaled =
        |(idx, value): (usize, &f32)| value * selection.factors[idx % d] + selection.offsets[idx % d];
    let values = features.iter().enumerate().map(scaled).collect::<Vec<_>>();
    let features = Features { values: &values, d };
    let values = Scale::of(features).apply(features);
    let part = |is_in: &dyn Fn(usize) -> bool| {
        let places = (0..folds.len()).filter(|&idx| is_in(folds[idx])).collect::<Vec<_>>();
        let rows = places.iter().flat_map(|&idx| &values[idx * d..][..d]).copied().collect::<Vec<_>>();
        (rows, places.iter().map(|&idx| labels[idx]).collect::<Vec<_>>())
    };
    let n_folds = folds.iter().max().map_or(0, |most| most + 1);
    let parts = (0..n_folds)
        .map(|fold| [part(&|other| other != fold), part(&|other| other == fold)])
        .collect::<Vec<_>>();
    let divisions = parts.iter().map(|parts| {
        let [training, held_out] =
            parts.each_ref().map(|(values, labels)| Samples { features: Features { values, d }, labels });
        Division { training, held_out }
    });
    let options = ProbeOptions { tolerance: 1e-10, ..ProbeOptions::default() };
    let found = select(&divisions.collect::<Vec<_>>(), *n_classes, &selection.strengths, options, &mut || {})
        .expect("good data");
    for (idx, trial) in found.tried.iter().enumerate() {
        let (c, loss) = (trial.inverse_strength, trial.loss);
        assert_eq!((c, trial.n_right), (selection.strengths[idx], selection.n_right[idx]));
        assert!(
            (loss - selection.losses[idx]).abs() < TOLERANCE,
            "C {c}: expected {}, got {loss}",
            selection.losses[idx]
        );
    }
    let most = selection.n_right.iter().max().expect("strengths were tried");
    let best =
        found.tried.iter().filter(|trial| trial.n_right == *most).min_by(|a, b| a.loss.total_cmp(&b.loss));
    assert_eq!(Some(found.inverse_strength), best.map(|trial| trial.inverse_strength));
}
