//! Whether a classifier is right as often as it says: expected calibration error of the predicted class.

use crate::metrics::score::{Metric, PERCENT};

/// Expected calibration error.
pub const ECE: Metric = Metric {
    name: "ECE",
    unit: PERCENT,
    higher_is_better: false,
    about: "difference of accuracy and confidence of the predicted class, over 15 bins of equal width weighed by size (Guo et al. 2017)",
};
/// Expected calibration error over bins of equal mass.
pub const ADAPTIVE_ECE: Metric = Metric {
    name: "adaptive ECE",
    unit: PERCENT,
    higher_is_better: false,
    about: "as ECE, over 15 bins of as many samples each",
};

/// As in Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
const N_BINS: usize = 15;

/// Of rows of confidence, 0 to 1, and correctness, 0 or 1. A bin holds its upper end.
pub(super) fn equal_width(rows: &mut [f64]) -> f64 {
    let mut differences = [0.0; N_BINS];
    for row in rows.chunks_exact(2) {
        let bin_idx = ((row[0] * N_BINS as f64).ceil() as usize).clamp(1, N_BINS) - 1;
        differences[bin_idx] += row[1] - row[0];
    }
    let n = rows.len() / 2;
    differences.iter().map(|difference| difference.abs()).sum::<f64>() / n as f64
}

/// The same over bins of as many samples each, in the order of their confidence; the first bins take one more where they do
/// not come out even.
pub(super) fn equal_mass(rows: &mut [f64]) -> f64 {
    let mut pairs: Vec<(f64, f64)> = rows.chunks_exact(2).map(|row| (row[0], row[1])).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let n = pairs.len();
    let mut rest = pairs.as_slice();
    let mut sum = 0.0;
    for bin_idx in 0..N_BINS {
        let (bin, after) = rest.split_at(n / N_BINS + usize::from(bin_idx < n % N_BINS));
        sum += bin.iter().map(|(confidence, correct)| correct - confidence).sum::<f64>().abs();
        rest = after;
    }
    sum / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibrated_classifier_has_no_error() {
        // right three times of four at 0.75
        let mut rows = [0.75, 1.0, 0.75, 1.0, 0.75, 0.0, 0.75, 1.0];
        assert_eq!(equal_width(&mut rows), 0.0);
        // alone in its bin, each sample is right or wrong
        assert!((equal_mass(&mut rows) - (0.25 * 3.0 + 0.75) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn overconfidence_is_the_difference() {
        let mut rows = [1.0, 0.0, 1.0, 1.0, 0.2, 0.0];
        assert!((equal_width(&mut rows) - (1.0 + 0.2) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn ends_belong_to_the_bin_below() {
        // 1/15 is the end of the first bin
        let mut rows = [1.0 / 15.0, 1.0, 0.05, 0.0];
        assert!((equal_width(&mut rows) - (14.0 / 15.0 - 0.05) / 2.0).abs() < 1e-12);
    }
}
