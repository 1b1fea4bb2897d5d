//! A metric with what each sample contributes to it: it can be computed for any choice of the samples, which is what
//! intervals, slices and paired tests are made of.

use std::fmt;
use std::sync::Arc;

use super::error::MetricError;
use super::interval::Resampling;
use super::score::{Metric, PERCENT, Score};

/// A metric over samples.
#[derive(Clone)]
pub struct Figure {
    metric: Metric,
    /// Numbers a sample.
    width: usize,
    /// `[n, width]`.
    rows: Arc<[f64]>,
    statistic: Statistic,
}

/// How the samples' rows become a value; shares lie between 0 and 1 here and in percent outside.
#[derive(Clone)]
enum Statistic {
    OfSums(fn(&[f64]) -> f64),
    OfRows(fn(&mut [f64]) -> f64),
}

impl Figure {
    /// A function of the sums of each column: corpus counts. `statistic` gives a share when the metric is in percent.
    pub(crate) fn of_sums<const WIDTH: usize>(
        metric: Metric,
        rows: impl IntoIterator<Item = [f64; WIDTH]>,
        statistic: fn(&[f64]) -> f64,
    ) -> Self {
        let rows: Vec<f64> = rows.into_iter().flatten().collect();
        Self { metric, width: WIDTH, rows: rows.into(), statistic: Statistic::OfSums(statistic) }
    }

    /// The mean of one number a sample.
    pub(crate) fn mean(metric: Metric, values: impl IntoIterator<Item = f64>) -> Self {
        Self::of_sums(metric, values.into_iter().map(|value| [value, 1.0]), |sums| sums[0] / sums[1])
    }

    /// A function of the samples' rows, one after the other, which it may reorder: medians and the like.
    pub(crate) fn of_rows<const WIDTH: usize>(
        metric: Metric,
        rows: impl IntoIterator<Item = [f64; WIDTH]>,
        statistic: fn(&mut [f64]) -> f64,
    ) -> Self {
        let rows: Vec<f64> = rows.into_iter().flatten().collect();
        Self { metric, width: WIDTH, rows: rows.into(), statistic: Statistic::OfRows(statistic) }
    }

    /// Another metric of the same sums.
    pub(crate) fn with_sums(&self, metric: Metric, statistic: fn(&[f64]) -> f64) -> Self {
        Self { metric, statistic: Statistic::OfSums(statistic), ..self.clone() }
    }

    /// What is measured.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// How many samples there are.
    pub fn n(&self) -> usize {
        self.rows.len() / self.width
    }

    /// The value over all samples, in the metric's unit.
    pub fn value(&self) -> f64 {
        self.value_of_rows(self.n(), 0..self.n())
    }

    /// The value over these samples, some of them perhaps more than once, in the metric's unit.
    ///
    /// # Panics
    /// When there is no such sample.
    pub fn value_of(&self, sample_idxs: &[usize]) -> f64 {
        self.value_of_rows(sample_idxs.len(), sample_idxs.iter().copied())
    }

    /// The figure of these samples alone.
    ///
    /// # Panics
    /// When there is no such sample.
    pub fn subset(&self, sample_idxs: &[usize]) -> Self {
        let rows: Vec<f64> =
            sample_idxs.iter().flat_map(|&sample_idx| self.row(sample_idx)).copied().collect();
        Self { rows: rows.into(), ..self.clone() }
    }

    /// The value with its interval.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn score(&self, resampling: &Resampling) -> Result<Score, MetricError> {
        let interval = resampling.interval(self.n(), |sample_idxs| self.value_of(sample_idxs))?;
        Ok(self.metric.score(self.value(), self.n(), interval))
    }

    /// The samples of this figure, then those of `other`, which is of the same metric.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        let rows: Vec<f64> = self.rows.iter().chain(other.rows.iter()).copied().collect();
        Self { rows: rows.into(), ..self.clone() }
    }

    fn row(&self, sample_idx: usize) -> &[f64] {
        &self.rows[sample_idx * self.width..][..self.width]
    }

    fn value_of_rows(&self, n: usize, sample_idxs: impl Iterator<Item = usize>) -> f64 {
        let value = match self.statistic {
            Statistic::OfSums(statistic) => {
                let mut sums = vec![0.0; self.width];
                for sample_idx in sample_idxs {
                    for (sum, value) in sums.iter_mut().zip(self.row(sample_idx)) {
                        *sum += value;
                    }
                }
                statistic(&sums)
            }
            Statistic::OfRows(statistic) => {
                let mut rows = Vec::with_capacity(n * self.width);
                sample_idxs.for_each(|sample_idx| rows.extend_from_slice(self.row(sample_idx)));
                statistic(&mut rows)
            }
        };
        if self.metric.unit == PERCENT { 100.0 * value } else { value }
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figure").field("metric", &self.metric.name).field("n", &self.n()).finish()
    }
}

/// The scores of several figures.
///
/// # Errors
/// As [`Resampling::interval`].
pub(crate) fn scores(figures: &[Figure], resampling: &Resampling) -> Result<Vec<Score>, MetricError> {
    figures.iter().map(|figure| figure.score(resampling)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Metric = Metric { name: "share", unit: PERCENT, higher_is_better: true, about: "" };
    const MIDDLE: Metric = Metric { name: "middle", unit: "rank", higher_is_better: false, about: "" };

    #[test]
    fn sums_come_before_the_quotient() {
        let figure = Figure::of_sums(SHARE, [[1.0, 2.0], [3.0, 18.0]], |sums| sums[0] / sums[1]);
        assert_eq!((figure.n(), figure.value()), (2, 20.0));
        assert_eq!(figure.value_of(&[0, 0]), 50.0);
        assert_eq!(figure.subset(&[0]).value(), 50.0);
        assert_eq!(figure.joined(&figure.subset(&[1])).value_of(&[2]), figure.value_of(&[1]));
    }

    #[test]
    fn rows_may_be_sorted_by_the_statistic() {
        let figure = Figure::of_rows(MIDDLE, [[9.0], [1.0], [4.0]], |rows| {
            rows.sort_unstable_by(f64::total_cmp);
            rows[rows.len() / 2]
        });
        assert_eq!(figure.value(), 4.0);
        assert_eq!(figure.value_of(&[0, 0, 1]), 9.0);
    }

    #[test]
    fn a_score_has_the_interval_of_its_figure() {
        let figure = Figure::mean(SHARE, [0.0, 1.0, 1.0, 0.0]);
        let score = figure.score(&Resampling::default()).unwrap();
        assert_eq!((score.value, score.n), (50.0, 4));
        let interval = score.interval.unwrap();
        assert!((0.0..50.0).contains(&interval.low) && (50.0..=100.0).contains(&interval.high));
    }
}
