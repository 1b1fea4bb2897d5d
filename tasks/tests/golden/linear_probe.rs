//! Linear probes against scikit-learn's logistic regression.

use serde::Deserialize;
use triptych_tasks::heads::linear_probe::{Features, LinearProbe, ProbeOptions};
use triptych_tasks::heads::zero_shot::probabilities;
use triptych_tasks::metrics::Classifications;
use triptych_tasks::metrics::classification::ScoreKind;

use crate::golden;

/// Ours stops at a gradient of 1e-10, short of the optimum where the loss is flat; scikit-learn's is at it.
const TOLERANCE: f64 = 2e-6;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
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
