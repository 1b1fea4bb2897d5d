//! How often each of several words occurs.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::repeats::{SPLITS, split_idx};
use crate::sample::Split;

/// More different values than this are counted in one heap.
const MAX_DISTINCT: usize = 1 << 20;

/// A value and how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueCount {
    /// The value.
    pub value: String,
    /// How often it occurs.
    pub n: u64,
    /// How often in each split.
    pub splits: BTreeMap<Split, u64>,
}

/// A tag over the corpus.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TagFigures {
    /// The tag.
    pub key: String,
    /// Samples that have it.
    pub n_samples: u64,
    /// Different values.
    pub n_values: u64,
    /// Values that occur once.
    pub n_single: u64,
    /// How evenly the samples spread over the values: the entropy over its largest possible value (Pielou, 1966); 1 where
    /// all are equally frequent, near 0 where one has nearly all. Nothing where there is one value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evenness: Option<f64>,
    /// The most frequent values, the most frequent first.
    pub values: Vec<ValueCount>,
}

/// Counts so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: HashMap<String, [u64; 3]>,
    /// Those of values beyond the limit.
    rest: [u64; 3],
}

impl Tally {
    pub(super) fn push(&mut self, value: &str, split: Split) {
        let place = split_idx(split);
        if let Some(counts) = self.counts.get_mut(value) {
            counts[place] += 1;
        } else if self.counts.len() < MAX_DISTINCT {
            let mut counts = [0; 3];
            counts[place] = 1;
            self.counts.insert(value.to_owned(), counts);
        } else {
            self.rest[place] += 1;
        }
    }

    pub(super) fn n(&self) -> u64 {
        self.counts.values().chain([&self.rest]).flatten().sum()
    }

    pub(super) fn n_distinct(&self) -> u64 {
        self.counts.len() as u64
    }

    /// Values that occur once.
    pub(super) fn n_single(&self) -> u64 {
        self.counts.values().filter(|counts| counts.iter().sum::<u64>() == 1).count() as u64
    }

    /// The most frequent values; of equally frequent ones those that come first in the alphabet.
    pub(super) fn most_frequent(&self, n: usize) -> Vec<ValueCount> {
        let mut all: Vec<(&str, u64)> =
            self.counts.iter().map(|(value, counts)| (value.as_str(), counts.iter().sum())).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.into_iter()
            .take(n)
            .map(|(value, n)| {
                let counts = self.counts.get(value).copied().unwrap_or_default();
                let splits = SPLITS.into_iter().zip(counts).filter(|(_, n)| *n > 0).collect();
                ValueCount { value: value.to_owned(), n, splits }
            })
            .collect()
    }

    fn evenness(&self) -> Option<f64> {
        if self.counts.len() < 2 {
            return None;
        }
        let total: u64 = self.counts.values().flatten().sum();
        let entropy: f64 = self
            .counts
            .values()
            .map(|counts| counts.iter().sum::<u64>() as f64 / total as f64)
            .map(|share| -share * share.ln())
            .sum();
        // the sum runs in an order that differs between two runs, and so its last digits
        Some((entropy / (self.counts.len() as f64).ln() * 1e6).round() / 1e6)
    }

    pub(super) fn tag(&self, key: &str, n_shown: usize) -> TagFigures {
        TagFigures {
            key: key.to_owned(),
            n_samples: self.n(),
            n_values: self.n_distinct(),
            n_single: self.n_single(),
            evenness: self.evenness(),
            values: self.most_frequent(n_shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_order_and_evenness_are_those_counted_by_hand() {
        let mut tally = Tally::default();
        for value in ["b", "a", "c", "a", "b", "d"] {
            tally.push(value, Split::Train);
        }
        tally.push("d", Split::Test);
        let figures = tally.tag("letter", 2);
        assert_eq!((figures.n_samples, figures.n_values, figures.n_single), (7, 4, 1));
        let names: Vec<&str> = figures.values.iter().map(|count| count.value.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        // entropy of (2, 2, 2, 1) / 7 is 1.351784 nats, of four equal shares ln 4
        assert!(figures.evenness.is_some_and(|evenness| (evenness - 0.975106).abs() < 1e-5), "{figures:?}");
        assert_eq!(tally.most_frequent(4)[2].splits, BTreeMap::from([(Split::Train, 1), (Split::Test, 1)]));
        let mut one = Tally::default();
        one.push("only", Split::Train);
        assert_eq!(one.tag("k", 1).evenness, None);
    }
}
