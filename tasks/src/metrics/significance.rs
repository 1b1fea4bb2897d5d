//! Whether two systems differ on the same samples: paired bootstrap and paired permutation.

use serde::{Deserialize, Serialize};

use super::error::MetricError;
use super::figure::Figure;
use super::interval::{Interval, Resampling, percentile_interval};

/// Two systems under one metric.
///
/// # Reference
/// Koehn, EMNLP 2004 (paired bootstrap); Riezler and Maxwell 2005 (approximate randomisation); both with the added one of
/// sacrebleu 2.6 `significance`.
///
/// # Differences from the reference
/// A resample that is as far as what was seen counts against significance; sacrebleu counts only those that are farther.
/// Groups of dependent samples (a speaker's, an image's) are drawn and exchanged as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// A name of [`METRICS`](super::METRICS).
    pub name: String,
    /// Of every value here.
    pub unit: String,
    /// Which way is better.
    pub higher_is_better: bool,
    /// How many samples both were scored on.
    pub n: usize,
    /// The system's value.
    pub value: f64,
    /// What it is compared with.
    pub other: f64,
    /// `value - other`.
    pub difference: f64,
    /// Where the difference would lie for other samples of the same kind; none when fewer than two can be drawn.
    pub interval: Option<Interval>,
    /// How often a resampled difference is as far from the resamples' mean as the difference is from 0, two-sided.
    pub p_bootstrap: Option<f64>,
    /// How often exchanging the two at random gives as large a difference, two-sided.
    pub p_permutation: f64,
}

impl Comparison {
    /// Compares two figures of the same metric over the same samples in the same order.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when the numbers of samples differ; as [`Resampling::interval`].
    pub fn new(figure: &Figure, other: &Figure, resampling: &Resampling) -> Result<Self, MetricError> {
        let n = figure.n();
        if other.n() != n {
            return Err(MetricError::Lengths {
                what: "samples of the other system",
                expected: n,
                got: other.n(),
            });
        }
        let metric = figure.metric();
        let (value, other_value) = (figure.value(), other.value());
        let difference = value - other_value;
        let resampled = resampling
            .resampled(n, |sample_idxs| figure.value_of(sample_idxs) - other.value_of(sample_idxs))?;
        let both = figure.joined(other);
        let exchanged = resampling.exchanged(n, |sample_idxs| {
            let opposite: Vec<usize> =
                sample_idxs.iter().map(|&idx| if idx < n { idx + n } else { idx - n }).collect();
            both.value_of(sample_idxs) - both.value_of(&opposite)
        })?;
        let mean = resampled.iter().sum::<f64>() / resampled.len() as f64;
        let is_drawn = !resampled.is_empty();
        Ok(Self {
            name: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            higher_is_better: metric.higher_is_better,
            n,
            value,
            other: other_value,
            difference,
            p_bootstrap: is_drawn.then(|| p_value(resampled.iter().map(|value| value - mean), difference)),
            p_permutation: p_value(exchanged.into_iter(), difference),
            interval: is_drawn.then(|| percentile_interval(resampled)),
        })
    }
}

/// The share of `values` at least as far from 0 as `seen`, counting what was seen itself.
fn p_value(values: impl ExactSizeIterator<Item = f64>, seen: f64) -> f64 {
    // sums in another order differ in their last digits
    let far = seen.abs() * (1.0 - 1e-9);
    let n = values.len();
    (values.filter(|value| value.abs() >= far).count() + 1) as f64 / (n + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::interval::Clusters;
    use super::super::score::{Metric, PERCENT};
    use super::*;

    const SHARE: Metric = Metric { name: "share", unit: PERCENT, higher_is_better: true, about: "" };

    fn figure(right: impl Iterator<Item = bool>) -> Figure {
        Figure::mean(SHARE, right.map(|is_right| f64::from(u8::from(is_right))))
    }

    #[test]
    fn a_system_does_not_differ_from_itself() {
        let one = figure((0..50).map(|idx| idx % 3 == 0));
        let comparison = Comparison::new(&one, &one, &Resampling::default()).unwrap();
        assert_eq!((comparison.difference, comparison.p_permutation), (0.0, 1.0));
        assert_eq!(comparison.p_bootstrap, Some(1.0));
        assert_eq!(comparison.interval.map(|interval| (interval.low, interval.high)), Some((0.0, 0.0)));
    }

    #[test]
    fn the_permutation_test_agrees_with_the_sign_test() {
        // 20 samples differ, 15 of them for the better: two-sided binomial p = 0.0414
        let one = figure((0..40).map(|idx| idx < 15));
        let other = figure((0..40).map(|idx| (15..20).contains(&idx)));
        let mut resampling = Resampling::default();
        resampling.bootstrap.n_resamples = 20_000;
        let comparison = Comparison::new(&one, &other, &resampling).unwrap();
        assert!((comparison.p_permutation - 0.0414).abs() < 0.005, "{comparison:?}");
        assert!(comparison.p_bootstrap.unwrap() < 0.05, "{comparison:?}");
        assert!(comparison.interval.unwrap().low > 0.0, "{comparison:?}");
    }

    #[test]
    fn groups_weaken_what_only_one_of_them_shows() {
        // one speaker of four makes all the difference
        let one = figure((0..40).map(|idx| idx < 10));
        let other = figure((0..40).map(|_| false));
        let alone = Comparison::new(&one, &other, &Resampling::default()).unwrap();
        let speakers: Vec<usize> = (0..40).map(|idx| idx / 10).collect();
        let grouped = Resampling { clusters: Some(Clusters::new(&speakers)), ..Resampling::default() };
        let grouped = Comparison::new(&one, &other, &grouped).unwrap();
        assert!(alone.p_permutation < 0.01 && grouped.p_permutation > 0.9, "{alone:?} {grouped:?}");
    }

    #[test]
    fn systems_on_other_samples_are_refused() {
        let (one, other) = (figure([true, false].into_iter()), figure([true].into_iter()));
        assert_eq!(
            Comparison::new(&one, &other, &Resampling::default()).unwrap_err().to_string(),
            "lists of different length: expected 2 samples of the other system, one for each of the references, got 1"
        );
        let single = Comparison::new(&other, &other, &Resampling::default()).unwrap();
        assert_eq!((single.interval, single.p_bootstrap), (None, None));
    }
}
