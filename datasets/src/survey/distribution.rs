//! One quantity over many samples: its ends, its mean, its quantiles and its histogram.

use serde::Serialize;

use crate::draw::Draw;

/// Beyond so many values the quantiles and the histogram are those of a uniform sample of them: 2 MB a quantity.
const MAX_KEPT: usize = 1 << 18;
const N_BINS: usize = 30;
/// Values are put into bins of equal ratio where the largest is so many times the median.
const LOG_RATIO: f64 = 20.0;

/// What is known of a quantity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// Number of values.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// A twentieth is below it.
    pub p05: f64,
    /// Half are below it.
    pub median: f64,
    /// Their mean.
    pub mean: f64,
    /// A twentieth is above it.
    pub p95: f64,
    /// The largest.
    pub max: f64,
    /// Whether the quantiles and the histogram are those of a uniform sample of the values, which are too many to keep.
    pub is_sampled: bool,
    /// How the values spread.
    pub histogram: Histogram,
}

/// Counts by bin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// `[n_bins + 1]`, rising. A bin holds its lower edge; the last one holds its upper edge too.
    pub edges: Vec<f64>,
    /// `[n_bins]`.
    pub counts: Vec<u64>,
}

/// Values as they come. Quantities that are not finite are left out.
#[derive(Clone, Debug)]
pub(super) struct Values {
    n: u64,
    sum: f64,
    min: f64,
    max: f64,
    is_whole: bool,
    kept: Vec<f64>,
    draw: Draw,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            n: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            is_whole: true,
            kept: Vec::new(),
            draw: Draw::new(0, 0, "", "values that are kept"),
        }
    }
}

impl Values {
    pub(super) fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.n += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.is_whole &= value.fract() == 0.0;
        // reservoir sampling (Vitter's algorithm R): every value is kept with the same probability
        if self.kept.len() < MAX_KEPT {
            self.kept.push(value);
        } else {
            let place = self.draw.below(self.n as usize);
            if let Some(slot) = self.kept.get_mut(place) {
                *slot = value;
            }
        }
    }

    /// Nothing where there was no value.
    pub(super) fn finish(mut self) -> Option<Distribution> {
        if self.kept.is_empty() {
            return None;
        }
        self.kept.sort_by(f64::total_cmp);
        let quantile = |share: f64| quantile(&self.kept, share);
        Some(Distribution {
            n: self.n,
            sum: self.sum,
            min: self.min,
            p05: quantile(0.05),
            median: quantile(0.5),
            mean: self.sum / self.n as f64,
            p95: quantile(0.95),
            max: self.max,
            is_sampled: self.n > MAX_KEPT as u64,
            histogram: histogram(&self.kept, self.is_whole),
        })
    }
}

/// Linear between the two nearest values, as NumPy's `quantile` does by default. `sorted` is not empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

fn histogram(sorted: &[f64], is_whole: bool) -> Histogram {
    let edges = edges(sorted, is_whole);
    let mut counts = vec![0; edges.len() - 1];
    for value in sorted {
        let bin = edges.partition_point(|edge| edge <= value).saturating_sub(1);
        counts[bin.min(edges.len() - 2)] += 1;
    }
    Histogram { edges, counts }
}

/// At least two edges, rising.
fn edges(sorted: &[f64], is_whole: bool) -> Vec<f64> {
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    let median = quantile(sorted, 0.5);
    if min > 0.0 && max > LOG_RATIO * median && (max / min).is_finite() {
        let edge = |i: usize| min * (max / min).powf(i as f64 / N_BINS as f64);
        let mut edges: Vec<f64> = (0..N_BINS).map(edge).chain([max]).collect();
        if is_whole {
            edges.iter_mut().for_each(|edge| *edge = edge.round());
        }
        edges.dedup();
        return edges;
    }
    if is_whole {
        // a bin a number, or a whole number of numbers
        let n_numbers = max - min + 1.0;
        let width = (n_numbers / N_BINS as f64).ceil();
        let n_bins = (n_numbers / width).ceil() as usize;
        return (0..=n_bins).map(|i| min + i as f64 * width).collect();
    }
    if max > min {
        let edge = |i: usize| min + (max - min) * (i as f64 / N_BINS as f64);
        let mut edges: Vec<f64> = (0..N_BINS).map(edge).chain([max]).collect();
        edges.dedup();
        edges
    } else {
        let half = (min.abs() * 0.05).max(0.5);
        vec![min - half, min + half]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Option<Distribution> {
        let mut collected = Values::default();
        values.iter().for_each(|value| collected.push(*value));
        collected.finish()
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let found = of(&[4.0, 1.0, 3.0, 2.0, f64::NAN]).expect("four values");
        assert_eq!((found.n, found.sum, found.min, found.max), (4, 10.0, 1.0, 4.0));
        assert_eq!((found.median, found.mean), (2.5, 2.5));
        // numpy.quantile([1, 2, 3, 4], [0.05, 0.95]) = [1.15, 3.85]
        assert!((found.p05 - 1.15).abs() < 1e-12 && (found.p95 - 3.85).abs() < 1e-12);
        assert_eq!(found.histogram, Histogram { edges: vec![1.0, 2.0, 3.0, 4.0, 5.0], counts: vec![1; 4] });
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn one_value_has_a_bin_around_it() {
        let found = of(&[0.25]).expect("one value");
        assert_eq!(found.histogram, Histogram { edges: vec![-0.25, 0.75], counts: vec![1] });
    }

    #[test]
    fn values_beyond_the_limit_are_sampled_evenly() {
        let mut values = Values::default();
        let n = 2 * MAX_KEPT;
        (0..n).for_each(|i| values.push(i as f64));
        let found = values.finish().expect("many values");
        assert!(found.is_sampled);
        assert_eq!((found.n, found.max), (n as u64, (n - 1) as f64));
        assert!((found.median / n as f64 - 0.5).abs() < 0.005, "{}", found.median);
    }

    proptest! {
        #[test]
        fn every_value_falls_into_a_bin(
            values in prop::collection::vec(prop_oneof![-1e9..1e9, 0.0..1.0, (0u32..5000).prop_map(f64::from)], 1..60),
        ) {
            let found = of(&values).expect("there are values");
            let histogram = &found.histogram;
            prop_assert_eq!(histogram.counts.iter().sum::<u64>(), values.len() as u64);
            prop_assert_eq!(histogram.edges.len(), histogram.counts.len() + 1);
            prop_assert!(histogram.counts.len() <= N_BINS);
            prop_assert!(histogram.edges.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", histogram.edges);
            prop_assert!(found.min <= found.p05 && found.p05 <= found.median);
            prop_assert!(found.median <= found.p95 && found.p95 <= found.max);
        }
    }
}
