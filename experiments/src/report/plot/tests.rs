use rstest::rstest;

use super::*;

fn series(points: &[(f64, f64)]) -> Series {
    Series { name: "loss".into(), unit: "nats".into(), points: points.to_vec() }
}

fn close(got: &[f64], expected: &[f64]) -> bool {
    got.len() == expected.len()
        && got.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
}

#[rstest]
#[case::percent(0.0, 100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0])]
#[case::from_zero(1.0, 4.0, &[0.0, 1.0, 2.0, 3.0, 4.0])]
#[case::far_from_zero(96.0, 104.0, &[96.0, 98.0, 100.0, 102.0, 104.0])]
#[case::negative(-1.0, 1.0, &[-1.0, -0.5, 0.0, 0.5, 1.0])]
#[case::logarithmic(0.5, 20.0, &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0])]
#[case::wide(0.01, 9.0, &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0])]
#[case::very_wide(1e-8, 1.0, &[1e-8, 1e-6, 1e-4, 1e-2, 1.0])]
fn ticks_are_round_and_inside(#[case] low: f64, #[case] high: f64, #[case] expected: &[f64]) {
    let ticks = Axis::automatic(low, high).ticks(5);
    assert!(close(&ticks, expected), "{ticks:?}");
}

#[test]
fn a_logarithmic_axis_gives_each_decade_the_same_room() {
    let axis = Axis::automatic(0.01, 100.0);
    for (value, place) in
        [(0.01, 0.0), (0.1, 0.25), (1.0, 0.5), (100.0, 1.0), (0.0, 0.0), (-3.0, 0.0), (1e9, 1.0)]
    {
        assert!((axis.place(value) - place).abs() < 1e-12, "{value}");
    }
}

#[test]
fn a_series_without_a_finite_point_is_not_drawn() {
    assert!(line(&series(&[])).is_none());
    assert!(line(&series(&[(0.0, f64::NAN), (1.0, f64::INFINITY), (f64::NAN, 1.0)])).is_none());
}

#[test]
fn a_single_point_is_a_dot_and_a_constant_a_level_line() {
    let plot = line(&series(&[(5.0, 2.0)])).unwrap();
    assert!(plot.svg.contains("<circle") && !plot.svg.contains("<polyline"));
    assert_eq!(plot.last, 2.0);

    let plot = line(&series(&[(0.0, 0.0), (1.0, 0.0)])).unwrap();
    assert!(plot.svg.contains("<polyline") && !plot.svg.contains("NaN"));
}

#[test]
fn values_that_are_not_finite_are_left_out_and_counted() {
    let plot = line(&series(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0), (3.0, f64::NEG_INFINITY)])).unwrap();
    assert_eq!(plot.remarks, "2 values that are not finite left out");
    assert!(!plot.svg.contains("NaN") && !plot.svg.contains("inf"));
    assert_eq!(plot.last, 2.0);
}

#[test]
fn long_series_stay_small_and_keep_their_spikes() {
    let mut points: Vec<(f64, f64)> = (0..100_000).map(|step| (step as f64, 1.0)).collect();
    points[54_321].1 = 50.0;
    assert!(envelope(&points).iter().any(|point| point.1 == 50.0));
    let plot = line(&series(&points)).unwrap();
    assert!(plot.svg.len() < 20_000, "{}", plot.svg.len());
}

#[test]
fn smoothing_keeps_the_mean_of_a_slope() {
    let points: Vec<(f64, f64)> = (0..300).map(|step| (step as f64, 10.0 - 0.01 * step as f64)).collect();
    let smooth = centred_mean(&points, 5);
    assert_eq!(smooth.len(), points.len());
    for (point, mean) in points.iter().zip(&smooth).take(295) {
        assert!((point.1 - mean.1).abs() < 1e-9, "step {}", point.0);
    }
}

#[test]
fn wide_spreads_are_drawn_on_a_logarithmic_axis_and_say_so() {
    let points: Vec<(f64, f64)> = (0..20).map(|step| (f64::from(step), 2f64.powi(-step))).collect();
    assert_eq!(line(&series(&points)).unwrap().remarks, "logarithmic axis");
    assert_eq!(line(&series(&points[..4])).unwrap().remarks, "");
}

#[test]
fn names_and_units_are_escaped() {
    let name = "<b> & \"q\" '";
    let plot = line(&Series { name: name.into(), unit: name.into(), points: vec![(0.0, 1.0)] }).unwrap();
    assert!(!plot.svg.contains("<b>") && plot.svg.contains("&lt;b&gt; &amp; &quot;q&quot; &#39;"));
}
