use super::*;

/// Two classes on a line that overlap a little.
const VALUES: [f32; 8] = [-2.0, -1.0, -0.5, 0.4, -0.3, 0.6, 1.0, 2.0];
const LABELS: [usize; 8] = [0, 0, 0, 0, 1, 1, 1, 1];

fn features(values: &[f32], d: usize) -> Features<'_> {
    Features { values, d }
}

fn fit(inverse_strength: f64) -> Result<LinearProbe, ProbeError> {
    LinearProbe::fit(features(&VALUES, 1), &LABELS, 2, inverse_strength, None, ProbeOptions::default())
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    let values: Vec<f32> = (0..21).map(|idx| ((idx * idx) as f32 * 0.37).sin()).collect();
    let labels = [0, 1, 2, 1, 0, 2, 2];
    let loss = Loss::new(features(&values, 3), &labels, 3, 0.7);
    let at: Vec<f64> = (0..12).map(|idx| (idx as f64 * 1.3).cos()).collect();
    let (mut gradient, mut unused) = (vec![0.0; 12], vec![0.0; 12]);
    loss.evaluate(&at, &mut gradient);
    for idx in 0..12 {
        let mut value = |step: f64| {
            let mut moved = at.clone();
            moved[idx] += step;
            loss.evaluate(&moved, &mut unused)
        };
        let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
        assert!((slope - gradient[idx]).abs() < 1e-8, "{idx}: {slope}, not {}", gradient[idx]);
    }
}

#[test]
fn a_stronger_regularisation_gives_smaller_weights() {
    let slopes = [0.01, 1.0, 100.0].map(|inverse_strength| {
        let probe = fit(inverse_strength).unwrap();
        assert!(probe.convergence().is_reached, "{:?}", probe.convergence());
        probe.class(1).1[0]
    });
    assert!(0.0 < slopes[0] && slopes[0] < slopes[1] && slopes[1] < slopes[2], "{slopes:?}");
}

#[test]
fn where_the_search_begins_does_not_matter() {
    let (cold, other) = (fit(1.0).unwrap(), fit(100.0).unwrap());
    let warm = LinearProbe::fit(features(&VALUES, 1), &LABELS, 2, 1.0, Some(&other), ProbeOptions::default())
        .unwrap();
    assert!((cold.class(0).1[0] - warm.class(0).1[0]).abs() < 1e-5);
}

#[test]
fn the_same_features_give_the_same_weights_on_any_number_of_threads() {
    let values: Vec<f32> = (0..3000).map(|idx| ((idx * idx % 977) as f32 * 0.11).sin()).collect();
    let labels: Vec<usize> = (0..1000).map(|idx| idx * 7 % 5).collect();
    let on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            LinearProbe::fit(features(&values, 3), &labels, 5, 10.0, None, ProbeOptions::default()).unwrap()
        })
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn what_cannot_be_fitted_is_refused_with_its_place() {
    let message = |values: &[f32], d, labels: &[usize], strength| {
        let fit = LinearProbe::fit(features(values, d), labels, 2, strength, None, ProbeOptions::default());
        fit.unwrap_err().to_string()
    };
    assert_eq!(message(&[1.0; 3], 2, &[0, 1], 1.0), "expected 4 features, 2 for each of the labels, got 3");
    assert_eq!(message(&[], 1, &[], 1.0), "expected samples of at least two classes, got 0 in 0 samples");
    assert_eq!(
        message(&[1.0; 2], 1, &[1, 1], 1.0),
        "expected samples of at least two classes, got 1 in 2 samples"
    );
    assert_eq!(message(&[1.0; 2], 1, &[0, 2], 1.0), "sample 1 names class 2: expected a class below 2");
    assert_eq!(
        message(&[1.0, f32::NAN], 1, &[0, 1], 1.0),
        "feature 0 of sample 1 is NaN: expected a finite number"
    );
    assert_eq!(message(&[1.0; 2], 1, &[0, 1], 0.0), "regularisation of 0: expected finite numbers above 0");
}
