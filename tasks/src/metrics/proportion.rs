//! Intervals of shares that are counted.

use super::interval::{Interval, LEVEL};

/// The quantile of the standard normal distribution that leaves half of what [`LEVEL`] leaves out above it.
const Z: f64 = 1.959_963_984_540_054;

/// The interval of a share of which `n_right` of `n` samples are, in percent; from 0 to 100 where there is no sample. Unlike a
/// bootstrap it has a width where all samples are right or none is, as in classes of a few samples.
///
/// # Reference
/// Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927; without correction for continuity.
///
/// # Panics
/// When more are right than there are.
pub fn proportion_interval(n_right: usize, n: usize) -> Interval {
    assert!(n_right <= n, "{n_right} of {n}");
    if n == 0 {
        return Interval { low: 0.0, high: 100.0, level: LEVEL };
    }
    let (share, n) = (n_right as f64 / n as f64, n as f64);
    let widened = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / widened;
    let half = Z / widened * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // rounding must not take an end beyond the share itself
    let low = (centre - half).clamp(0.0, share);
    let high = (centre + half).clamp(share, 1.0);
    Interval { low: 100.0 * low, high: 100.0 * high, level: LEVEL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_wilson() {
        // SciPy 1.17.1: binomtest(n_right, n).proportion_ci(method="wilson")
        for (n_right, n, low, high) in [
            (0, 5, 0.0, 43.448_246_5),
            (5, 5, 56.551_753_5, 100.0),
            (1, 3, 6.149_194_5, 79.234_039_9),
            (37, 120, 23.272_737_0, 39.582_997_7),
        ] {
            let interval = proportion_interval(n_right, n);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            assert!(near(interval.low, low) && near(interval.high, high), "{n_right} of {n}: {interval:?}");
        }
    }

    #[test]
    fn nothing_is_known_of_no_sample() {
        let interval = proportion_interval(0, 0);
        assert_eq!((interval.low, interval.high), (0.0, 100.0));
    }
}
