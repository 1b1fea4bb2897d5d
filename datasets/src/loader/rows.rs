//! Batches of so many rows, drawn from one or several streams by weight.

use super::shares::{Shares, TurnBounds};
use crate::draw::Permutation;

/// Which groups make up which batch, where every batch has the same number of rows.
///
/// A stream's epoch is a permutation of its groups. It ends between two batches, early enough that no batch needs more
/// than is left, so that no group stands twice in a batch; what is left over waits for the next permutation. Streams of
/// unequal size have epochs of their own: a small one with a large weight comes round more often.
pub(super) struct RowSchedule {
    shares: Shares,
    streams: Vec<StreamEpochs>,
    seed: u64,
    n_rows: u64,
}

struct StreamEpochs {
    n_groups: u64,
    /// Positions of an epoch at which a batch may begin.
    length: u64,
}

/// A group of a stream in an epoch of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub stream_idx: usize,
    pub group_idx: usize,
    pub epoch: u64,
}

/// A stream has fewer groups than a batch takes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFew {
    pub stream_idx: usize,
    pub expected: u64,
}

impl RowSchedule {
    /// `n_groups` and `weights` have an entry a stream; a batch has `n_rows` rows, those of all ranks together.
    pub(super) fn new(n_groups: &[usize], weights: &[f64], seed: u64, n_rows: u64) -> Result<Self, TooFew> {
        let shares = Shares::new(weights);
        let mut streams = Vec::with_capacity(n_groups.len());
        for (stream_idx, (n, TurnBounds { least, most })) in
            n_groups.iter().zip(shares.bounds(n_rows)).enumerate()
        {
            let n_groups = *n as u64;
            if n_groups < most {
                return Err(TooFew { stream_idx, expected: most });
            }
            let length = if least == most { n_groups / most * most } else { n_groups - most + 1 };
            streams.push(StreamEpochs { n_groups, length });
        }
        Ok(Self { shares, streams, seed, n_rows })
    }

    /// Batches in which as many rows pass as there are groups.
    pub(super) fn batches_per_epoch(&self) -> u64 {
        let n_groups: u64 = self.streams.iter().map(|stream| stream.n_groups).sum();
        n_groups / self.n_rows
    }

    /// The rows `from..until` of a batch.
    pub(super) fn rows(&self, batch_idx: u64, from: u64, until: u64) -> Vec<Place> {
        let first_turn = batch_idx * self.n_rows;
        let begins: Vec<Begin> = self
            .shares
            .before(first_turn)
            .into_iter()
            .zip(&self.streams)
            .enumerate()
            .map(|(stream_idx, (n_before, stream))| {
                let epoch = n_before / stream.length;
                let seed = stream_seed(self.seed, stream_idx);
                let order = Permutation::new(stream.n_groups, seed, epoch);
                Begin { n_before, epoch, offset: n_before % stream.length, order }
            })
            .collect();
        let place = |row: u64| {
            let (stream_idx, position) = self.shares.at(first_turn + row);
            let begin = &begins[stream_idx];
            let group_idx = begin.order.at(begin.offset + position - begin.n_before) as usize;
            Place { stream_idx, group_idx, epoch: begin.epoch }
        };
        (from..until).map(place).collect()
    }
}

/// Where a stream stands at the beginning of a batch.
struct Begin {
    n_before: u64,
    epoch: u64,
    offset: u64,
    order: Permutation,
}

/// Streams of one size must not run in step; the first keeps the seed itself.
pub(super) fn stream_seed(seed: u64, stream_idx: usize) -> u64 {
    seed.wrapping_add((stream_idx as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_have_their_shares_and_no_group_twice(
            streams in proptest::collection::vec((20usize..60, 0.1f64..3.0), 1..4),
            seed: u64,
            n_rows in 1u64..20,
        ) {
            let (n_groups, weights): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
            let schedule = RowSchedule::new(&n_groups, &weights, seed, n_rows).expect("20 suffice");
            let mut ever: HashMap<(usize, u64, usize), u64> = HashMap::new();
            let mut n_of_stream = vec![0u64; weights.len()];
            let n_batches = 80;
            for batch_idx in 0..n_batches {
                let places = schedule.rows(batch_idx, 0, n_rows);
                let mut in_batch = std::collections::HashSet::new();
                for place in &places {
                    prop_assert!(in_batch.insert((place.stream_idx, place.group_idx)));
                    *ever.entry((place.stream_idx, place.epoch, place.group_idx)).or_default() += 1;
                    n_of_stream[place.stream_idx] += 1;
                }
                // any slice is a slice of the whole
                let half = n_rows / 2;
                prop_assert_eq!(schedule.rows(batch_idx, half, n_rows), places[half as usize..].to_vec());
            }
            prop_assert!(ever.values().all(|n_times| *n_times == 1), "twice in an epoch");
            let whole: f64 = weights.iter().sum();
            for (n, weight) in n_of_stream.iter().zip(&weights) {
                let due = (n_batches * n_rows) as f64 * weight / whole;
                prop_assert!((*n as f64 - due).abs() < 5.0, "{} of {}", n, due);
            }
        }
    }

    #[test]
    fn small_streams_come_round_more_often() {
        let schedule = RowSchedule::new(&[12, 1000], &[1.0, 1.0], 3, 8).expect("there are enough");
        let last = schedule.rows(99, 0, 8);
        let epoch =
            |stream_idx| last.iter().find(|place| place.stream_idx == stream_idx).map(|place| place.epoch);
        assert!(epoch(0) > Some(30), "{:?}", epoch(0));
        assert_eq!(epoch(1), Some(0));
    }

    #[test]
    fn streams_too_small_for_their_weight_are_named() {
        let error = RowSchedule::new(&[3, 1000], &[1.0, 1.0], 0, 8).map(|_| ());
        assert_eq!(error, Err(TooFew { stream_idx: 0, expected: 4 }));
    }
}
