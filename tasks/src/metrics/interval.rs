//! Percentile bootstrap intervals over the per-sample sufficient statistics of a metric.
//!
//! Samples are drawn with replacement and the metric is computed again from what each sample contributes (its counts,
//! its rank, its score), never by scoring texts anew, so that 1,000 resamples cost about as much as 1,000 sums.

use std::collections::HashMap;
use std::hash::Hash;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::MetricError;

/// The share of resampled values inside every reported interval.
pub const LEVEL: f64 = 0.95;

/// An interval around a value, in the value's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The share of resampled values between the two, [`LEVEL`].
    pub level: f64,
}

/// How to resample. The same settings and data give the same interval, whatever the number of threads.
///
/// # Reference
/// Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: the percentile interval; its ends
/// are interpolated linearly between order statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// How many times the samples are drawn anew: 1,000 as is usual for 95 percent intervals.
    pub n_resamples: usize,
    /// Where the draws begin.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { n_resamples: 1_000, seed: 0 }
    }
}

impl Bootstrap {
    /// The interval of `statistic` over `n` samples drawn independently; it gets the indices of a resample, `n` of
    /// them below `n`, some of them more than once. None when fewer than two samples leave nothing to draw from.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without samples, [`MetricError::Resamples`] with fewer than two resamples,
    /// [`MetricError::NotFinite`] when the statistic is undefined on a resample.
    pub fn interval(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Option<Interval>, MetricError> {
        self.percentiles(n, "sample", |rng, sample_idxs| {
            draw(rng, n, None, sample_idxs);
            statistic(sample_idxs)
        })
    }

    /// The interval when samples of one group (an image's captions, a speaker's utterances) are not independent:
    /// whole groups are drawn, as many as there are, so a resample's size varies with the groups'.
    /// None when there are fewer than two groups.
    ///
    /// # Errors
    /// As [`Bootstrap::interval`].
    pub fn clustered_interval(
        &self,
        clusters: &Clusters,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Option<Interval>, MetricError> {
        self.percentiles(clusters.members.len(), "group", |rng, sample_idxs| {
            draw(rng, clusters.n_samples, Some(&clusters.members), sample_idxs);
            statistic(sample_idxs)
        })
    }

    fn percentiles(
        &self,
        n_units: usize,
        what: &'static str,
        resampled: impl Fn(&mut SplitMix64, &mut Vec<usize>) -> f64 + Sync,
    ) -> Result<Option<Interval>, MetricError> {
        if n_units == 0 {
            return Err(MetricError::Empty { what });
        }
        if self.n_resamples < 2 {
            return Err(MetricError::Resamples { n_resamples: self.n_resamples });
        }
        if n_units == 1 {
            return Ok(None);
        }
        Ok(Some(percentile_interval(self.values(resampled)?)))
    }

    /// What `resampled` makes of each resample's generator, in order.
    fn values(
        &self,
        resampled: impl Fn(&mut SplitMix64, &mut Vec<usize>) -> f64 + Sync,
    ) -> Result<Vec<f64>, MetricError> {
        if self.n_resamples < 2 {
            return Err(MetricError::Resamples { n_resamples: self.n_resamples });
        }
        // a generator for each resample and a collection in order: threads change nothing
        let values: Vec<f64> = (0..self.n_resamples)
            .into_par_iter()
            .map_init(Vec::new, |sample_idxs, resample_idx| {
                resampled(&mut SplitMix64::of_resample(self.seed, resample_idx), sample_idxs)
            })
            .collect();
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(resample_idx) => {
                Err(MetricError::NotFinite { resample_idx, value: values[resample_idx].to_string() })
            }
        }
    }
}

/// As many of `n` samples, or of their groups, as there are, with replacement.
fn draw(rng: &mut SplitMix64, n: usize, members: Option<&[Vec<usize>]>, sample_idxs: &mut Vec<usize>) {
    sample_idxs.clear();
    match members {
        None => sample_idxs.extend((0..n).map(|_| rng.below(n))),
        Some(members) => {
            for _ in 0..members.len() {
                sample_idxs.extend_from_slice(&members[rng.below(members.len())]);
            }
        }
    }
}

/// The interval between the percentiles of resampled `values`, of which there is at least one.
pub(crate) fn percentile_interval(mut values: Vec<f64>) -> Interval {
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail), level: LEVEL }
}

/// The interval of `statistic` over `n` independent samples with the usual 1,000 resamples; see
/// [`Bootstrap::interval`].
///
/// # Errors
/// As [`Bootstrap::interval`].
pub fn bootstrap(
    n: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> f64 + Sync,
) -> Result<Option<Interval>, MetricError> {
    Bootstrap { seed, ..Bootstrap::default() }.interval(n, statistic)
}

/// Which samples belong together, by a group id a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    members: Vec<Vec<usize>>,
    n_samples: usize,
}

impl Clusters {
    /// Samples with equal ids form a group; groups keep the order in which they first appear.
    pub fn new<G: Eq + Hash>(group_ids: &[G]) -> Self {
        let mut place: HashMap<&G, usize> = HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (sample_idx, group_id) in group_ids.iter().enumerate() {
            let cluster_idx = *place.entry(group_id).or_insert(members.len());
            if cluster_idx == members.len() {
                members.push(Vec::new());
            }
            members[cluster_idx].push(sample_idx);
        }
        Self { members, n_samples: group_ids.len() }
    }

    /// How many groups there are.
    pub fn n_groups(&self) -> usize {
        self.members.len()
    }

    /// How many samples they hold together.
    pub fn n_samples(&self) -> usize {
        self.n_samples
    }
}

/// How the samples of a metric are drawn: each on its own, or with their group.
#[derive(Clone, Debug, Default)]
pub struct Resampling {
    /// Number of resamples and seed.
    pub bootstrap: Bootstrap,
    /// Groups to draw as a whole, over exactly the samples scored.
    pub clusters: Option<Clusters>,
}

impl Resampling {
    /// The interval of `statistic` over `n` samples.
    ///
    /// # Errors
    /// As [`Bootstrap::interval`]; [`MetricError::Lengths`] when the groups were made for another number of samples.
    pub fn interval(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Option<Interval>, MetricError> {
        match &self.clusters {
            None => self.bootstrap.interval(n, statistic),
            Some(clusters) if clusters.n_samples == n => {
                self.bootstrap.clustered_interval(clusters, statistic)
            }
            Some(clusters) => {
                Err(MetricError::Lengths { what: "group ids", expected: n, got: clusters.n_samples })
            }
        }
    }

    /// The statistic on each resample of `n` samples drawn with replacement, in order: one list for several systems
    /// that are to be resampled alike. Empty when fewer than two samples or groups leave nothing to draw from.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn resampled(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Vec<f64>, MetricError> {
        let members = self.members(n)?;
        if members.map_or(n, <[_]>::len) < 2 {
            return Ok(Vec::new());
        }
        self.bootstrap.values(|rng, sample_idxs| {
            draw(rng, n, members, sample_idxs);
            statistic(sample_idxs)
        })
    }

    /// The statistic on random exchanges of two systems, in order: it gets, for each of `n` samples, `sample_idx` when
    /// the sample keeps its system and `n + sample_idx` when the other's is taken; a group is exchanged as a whole.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn exchanged(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Vec<f64>, MetricError> {
        let members = self.members(n)?;
        self.bootstrap.values(|rng, sample_idxs| {
            sample_idxs.clear();
            sample_idxs.extend(0..n);
            match members {
                None => sample_idxs.iter_mut().for_each(|sample_idx| *sample_idx += n * rng.below(2)),
                Some(members) => {
                    for group in members {
                        let shift = n * rng.below(2);
                        group.iter().for_each(|&sample_idx| sample_idxs[sample_idx] += shift);
                    }
                }
            }
            statistic(sample_idxs)
        })
    }

    /// The same for some of the samples: groups keep those of their members.
    pub(crate) fn of_samples(&self, sample_idxs: &[usize]) -> Self {
        let clusters = self.clusters.as_ref().map(|clusters| {
            let mut group_of = vec![0; clusters.n_samples];
            for (group_idx, members) in clusters.members.iter().enumerate() {
                members.iter().for_each(|&sample_idx| group_of[sample_idx] = group_idx);
            }
            Clusters::new(&sample_idxs.iter().map(|&idx| group_of.get(idx)).collect::<Vec<_>>())
        });
        Self { bootstrap: self.bootstrap, clusters }
    }

    /// The same with other draws.
    pub(crate) fn reseeded(&self, stream: u64) -> Self {
        let seed = SplitMix64(self.bootstrap.seed ^ stream.rotate_left(32)).next();
        Self { bootstrap: Bootstrap { seed, ..self.bootstrap }, clusters: self.clusters.clone() }
    }

    /// The groups, when samples are drawn by group.
    fn members(&self, n: usize) -> Result<Option<&[Vec<usize>]>, MetricError> {
        match &self.clusters {
            _ if n == 0 => Err(MetricError::Empty { what: "sample" }),
            None => Ok(None),
            Some(clusters) if clusters.n_samples == n => Ok(Some(&clusters.members)),
            Some(clusters) => {
                Err(MetricError::Lengths { what: "group ids", expected: n, got: clusters.n_samples })
            }
        }
    }
}

/// Linear interpolation between the order statistics of ascending `values`.
fn quantile(values: &[f64], share: f64) -> f64 {
    let position = share * (values.len() - 1) as f64;
    let below = values[position.floor() as usize];
    let above = values[position.ceil() as usize];
    below + (above - below) * position.fract()
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a stream a resample, cheap to begin.
struct SplitMix64(u64);

impl SplitMix64 {
    fn of_resample(seed: u64, resample_idx: usize) -> Self {
        // one scrambled step from the seed, so that neighbouring seeds do not share resamples
        let start = Self(seed).next();
        Self(Self(start ^ resample_idx as u64).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Below `n`; the bias, n / 2^64, is far under what a percentile of a thousand shows.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[usize]) -> f64 + Sync + '_ {
        |sample_idxs| sample_idxs.iter().map(|&idx| values[idx]).sum::<f64>() / sample_idxs.len() as f64
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_seed_another() {
        let values: Vec<f64> = (0..50).map(|idx| f64::from(idx * idx)).collect();
        let first = bootstrap(values.len(), 7, mean(&values)).unwrap();
        assert_eq!(first, bootstrap(values.len(), 7, mean(&values)).unwrap());
        assert_ne!(first, bootstrap(values.len(), 8, mean(&values)).unwrap());
    }

    #[test]
    fn threads_do_not_change_the_interval() {
        let values: Vec<f64> = (0..64).map(f64::from).collect();
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = one_thread.install(|| bootstrap(values.len(), 3, mean(&values))).unwrap();
        let five_threads = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap();
        assert_eq!(alone, five_threads.install(|| bootstrap(values.len(), 3, mean(&values))).unwrap());
    }

    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_theory_says() {
        // a fair coin 400 times: 1.96 standard errors of 0.025 to either side
        let values: Vec<f64> = (0..400).map(|idx| f64::from(idx % 2)).collect();
        let interval = bootstrap(values.len(), 0, mean(&values)).unwrap().unwrap();
        assert!((interval.low - 0.451).abs() < 0.006, "{interval:?}");
        assert!((interval.high - 0.549).abs() < 0.006, "{interval:?}");
    }

    #[test]
    fn groups_widen_the_interval_of_what_they_share() {
        // 40 speakers of 10 utterances each, all right or all wrong
        let values: Vec<f64> = (0..400).map(|idx| f64::from((idx / 10) % 2)).collect();
        let speakers: Vec<usize> = (0..400).map(|idx| idx / 10).collect();
        let clusters = Clusters::new(&speakers);
        assert_eq!((clusters.n_groups(), clusters.n_samples()), (40, 400));
        let width = |interval: Interval| interval.high - interval.low;
        let single = width(Bootstrap::default().interval(400, mean(&values)).unwrap().unwrap());
        let grouped = Bootstrap::default().clustered_interval(&clusters, mean(&values)).unwrap().unwrap();
        // sqrt(10) = 3.16 times as wide
        assert!((2.6..3.8).contains(&(width(grouped) / single)), "{}", width(grouped) / single);
    }

    #[test]
    fn one_sample_has_no_interval_and_none_is_an_error() {
        assert_eq!(bootstrap(1, 0, |_| 1.0), Ok(None));
        assert_eq!(bootstrap(0, 0, |_| 1.0), Err(MetricError::Empty { what: "sample" }));
        let groups = Resampling { clusters: Some(Clusters::new(&["a", "b"])), ..Resampling::default() };
        assert_eq!(
            groups.interval(3, |_| 1.0),
            Err(MetricError::Lengths { what: "group ids", expected: 3, got: 2 })
        );
        let too_few = Bootstrap { n_resamples: 1, seed: 0 };
        assert_eq!(too_few.interval(5, |_| 1.0), Err(MetricError::Resamples { n_resamples: 1 }));
    }

    #[test]
    fn an_undefined_resample_is_an_error_that_names_it() {
        let error = bootstrap(3, 0, |_| f64::NAN).unwrap_err();
        assert_eq!(error.to_string(), "bootstrap resample 0: expected a finite value, got NaN");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn constant_data_gives_a_point(value in -1e6..1e6f64, n in 2..40usize) {
            let values = vec![value; n];
            let interval = bootstrap(n, 1, |sample_idxs| {
                sample_idxs.iter().map(|&idx| values[idx]).fold(f64::MIN, f64::max)
            }).unwrap().unwrap();
            prop_assert_eq!((interval.low, interval.high), (value, value));
        }

        #[test]
        fn the_interval_lies_within_the_data(values in prop::collection::vec(-1e3..1e3f64, 2..60), seed: u64) {
            let interval = bootstrap(values.len(), seed, mean(&values)).unwrap().unwrap();
            let low = values.iter().copied().fold(f64::MAX, f64::min);
            let high = values.iter().copied().fold(f64::MIN, f64::max);
            prop_assert!(low - 1e-9 <= interval.low);
            prop_assert!(interval.low <= interval.high);
            prop_assert!(interval.high <= high + 1e-9);
        }

        #[test]
        fn the_interval_of_a_mean_holds_the_mean(values in prop::collection::vec(0.0..1.0f64, 20..60), seed: u64) {
            let interval = bootstrap(values.len(), seed, mean(&values)).unwrap().unwrap();
            let whole: f64 = values.iter().sum::<f64>() / values.len() as f64;
            prop_assert!(interval.low <= whole && whole <= interval.high);
        }

        #[test]
        fn drawn_indices_stay_below_n(n in 1..1000usize, seed: u64) {
            let mut rng = SplitMix64::of_resample(seed, 3);
            prop_assert!((0..100).all(|_| rng.below(n) < n));
        }
    }
}
