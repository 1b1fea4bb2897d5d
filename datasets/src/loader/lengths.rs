//! Batches of rows of like length, as many as a budget holds, so that little of a batch is padding.

use super::rows::{Place, TooFew, stream_seed};
use super::shares::Shares;
use crate::draw::Permutation;

/// A bucket reaches down to this share of its longest row.
const NARROWEST: f64 = 0.9;
/// A bucket has at least so many batches, where there is as much: its rows meet others every epoch.
const FEWEST_BATCHES: usize = 4;

/// Which groups make up which batch, where a batch holds rows of like length.
///
/// ```text
/// lengths, sorted    ############ ########### ######### ####### ##### #### ### ## # # #
/// buckets            |<---- 2 rows a batch ---->|<--- 4 rows --->|<--- 8 rows --------->|
/// an epoch           rows permuted within each bucket and cut into batches; then all batches permuted
/// ```
///
/// The buckets are cut once, by the lengths alone. So every epoch has the same number of batches, and batch `k` is
/// known without walking through those before it.
///
/// Each batch is of one stream, the streams taking turns by weight.
pub(super) struct LengthSchedule {
    shares: Shares,
    streams: Vec<StreamBuckets>,
    seed: u64,
    n_ranks: u64,
}

/// How much a batch may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Rows times the longest of them, padding included; `u64::MAX` for no limit.
    pub length: u64,
    /// Rows at most.
    pub n_rows: usize,
    /// Batches that are made at once of one bucket, one a rank.
    pub n_ranks: usize,
}

struct StreamBuckets {
    /// The stream's groups, the longest first.
    sorted: Vec<usize>,
    buckets: Vec<Bucket>,
    /// Batches of an epoch, for each rank.
    n_batches: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// Into the sorted groups.
    first: usize,
    n_groups: usize,
    /// Rows of a batch, of one rank.
    n_rows: usize,
    /// Number of its first batch.
    first_batch: u64,
}

impl LengthSchedule {
    /// `lengths` has a list a stream, a length a group. No length may be above the budget's.
    pub(super) fn new(
        lengths: &[Vec<u64>],
        weights: &[f64],
        seed: u64,
        budget: Budget,
    ) -> Result<Self, TooFew> {
        let streams = lengths
            .iter()
            .enumerate()
            .map(|(stream_idx, lengths)| {
                StreamBuckets::cut(lengths, budget).map_err(|expected| TooFew { stream_idx, expected })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { shares: Shares::new(weights), streams, seed, n_ranks: budget.n_ranks as u64 })
    }

    /// Batches, for each rank, in which as many pass as all streams have.
    pub(super) fn batches_per_epoch(&self) -> u64 {
        self.streams.iter().map(|stream| stream.n_batches).sum()
    }

    /// The rows of a batch of one rank.
    pub(super) fn rows(&self, batch_idx: u64, rank: u64) -> Vec<Place> {
        let (stream_idx, turn) = self.shares.at(batch_idx);
        let stream = &self.streams[stream_idx];
        let (epoch, place) = (turn / stream.n_batches, turn % stream.n_batches);
        let seed = stream_seed(self.seed, stream_idx);
        let batch = Permutation::new(stream.n_batches, seed, epoch).at(place);
        let bucket_idx = stream.buckets.partition_point(|bucket| bucket.first_batch <= batch) - 1;
        let bucket = stream.buckets[bucket_idx];
        // another key than the order of the batches has
        let order = Permutation::new(bucket.n_groups as u64, stream_seed(!seed, bucket_idx), epoch);
        let n_rows = bucket.n_rows as u64;
        let first = ((batch - bucket.first_batch) * self.n_ranks + rank) * n_rows;
        let group = |position| stream.sorted[bucket.first + order.at(position) as usize];
        (first..first + n_rows)
            .map(|position| Place { stream_idx, group_idx: group(position), epoch })
            .collect()
    }
}

impl StreamBuckets {
    /// On failure, how many groups it would take.
    fn cut(lengths: &[u64], budget: Budget) -> Result<Self, u64> {
        let mut sorted: Vec<usize> = (0..lengths.len()).collect();
        sorted.sort_by_key(|group| (std::cmp::Reverse(lengths[*group]), *group));
        let mut buckets: Vec<Bucket> = Vec::new();
        let (mut first, mut n_batches) = (0, 0);
        while first < sorted.len() {
            let longest = lengths[sorted[first]];
            let n_rows = (budget.length / longest.max(1)).clamp(1, budget.n_rows as u64) as usize;
            let n_left = sorted.len() - first;
            let n_rows = match buckets.last_mut() {
                Some(last) if n_left < n_rows * budget.n_ranks => {
                    // shorter than those before them: they join the last bucket, and wait their turn there
                    last.n_groups += n_left;
                    break;
                }
                // a budget need not be used up, a number of rows has to be reached
                None if budget.length < u64::MAX => n_rows.min((n_left / budget.n_ranks).max(1)),
                _ => n_rows,
            };
            let unit = n_rows * budget.n_ranks;
            if n_left < unit {
                return Err(unit as u64);
            }
            let narrowest = (longest as f64 * NARROWEST).ceil() as u64;
            let n_alike = sorted[first..].partition_point(|group| lengths[*group] >= narrowest);
            let n_units = (n_alike / unit).max(FEWEST_BATCHES).min(n_left / unit);
            buckets.push(Bucket { first, n_groups: n_units * unit, n_rows, first_batch: n_batches });
            n_batches += n_units as u64;
            first += n_units * unit;
        }
        if buckets.is_empty() {
            return Err(1);
        }
        Ok(Self { sorted, buckets, n_batches })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::draw::Draw;

    fn budget(length: u64, n_rows: usize, n_ranks: usize) -> Budget {
        Budget { length, n_rows, n_ranks }
    }

    /// Lengths as speech has them: a long tail.
    fn speech(n: usize) -> Vec<u64> {
        let mut draw = Draw::new(1, 0, "", "lengths");
        let length = |_| ((draw.normal_pair().0 * 0.6 + 6.2).exp() as u64).clamp(50, 3000);
        (0..n).map(length).collect()
    }

    /// Length of the rows of an epoch, and what they take with their padding.
    #[derive(Default)]
    struct Padding {
        length: u64,
        padded: u64,
    }

    fn padding(schedule: &LengthSchedule, lengths: &[Vec<u64>], n_batches: u64) -> Padding {
        let mut sum = Padding::default();
        for batch_idx in 0..n_batches {
            let rows = schedule.rows(batch_idx, 0);
            let of = |place: &Place| lengths[place.stream_idx][place.group_idx];
            sum.length += rows.iter().map(of).sum::<u64>();
            sum.padded += rows.iter().map(of).max().unwrap_or(0) * rows.len() as u64;
        }
        sum
    }

    proptest! {
        #[test]
        fn batches_keep_to_their_budget_and_ranks_share_an_epoch(
            lengths in proptest::collection::vec(1u64..200, 40..200),
            seed: u64,
            length in 200u64..900,
            n_rows in 1usize..9,
            n_ranks in 1usize..5,
        ) {
            let all = [lengths.clone()];
            let schedule =
                LengthSchedule::new(&all, &[1.0], seed, budget(length, n_rows, n_ranks)).expect("40 suffice");
            let n_batches = schedule.batches_per_epoch();
            for epoch in 0..3 {
                let mut seen = HashSet::new();
                for batch_idx in epoch * n_batches..(epoch + 1) * n_batches {
                    let mut shapes = HashSet::new();
                    for rank in 0..n_ranks as u64 {
                        let rows = schedule.rows(batch_idx, rank);
                        let longest = rows.iter().map(|place| lengths[place.group_idx]).max().unwrap_or(0);
                        prop_assert!(rows.len() <= n_rows && rows.len() as u64 * longest <= length);
                        prop_assert!(rows.iter().all(|place| place.epoch == epoch));
                        shapes.insert(rows.len());
                        for place in rows {
                            prop_assert!(seen.insert(place.group_idx), "twice in an epoch");
                        }
                    }
                    prop_assert_eq!(shapes.len(), 1, "ranks have different numbers of rows");
                }
                // at most a batch a rank waits for the next epoch
                prop_assert!(lengths.len() - seen.len() < n_rows * n_ranks);
            }
        }

        #[test]
        fn streams_take_turns_by_weight(weight in 0.1f64..10.0, seed: u64) {
            let lengths = [speech(60), speech(90)];
            let schedule =
                LengthSchedule::new(&lengths, &[weight, 1.0], seed, budget(6000, 8, 1)).expect("60 suffice");
            let n_of_first =
                (0..500).filter(|batch_idx| schedule.rows(*batch_idx, 0)[0].stream_idx == 0).count();
            prop_assert!((n_of_first as f64 - 500.0 * weight / (weight + 1.0)).abs() < 2.0);
        }
    }

    #[test]
    fn little_of_a_batch_is_padding() {
        let lengths = [speech(5000)];
        let schedule =
            LengthSchedule::new(&lengths, &[1.0], 7, budget(12_000, 256, 1)).expect("5000 suffice");
        let sum = padding(&schedule, &lengths, schedule.batches_per_epoch());
        let share = 1.0 - sum.length as f64 / sum.padded as f64;
        assert!(share < 0.05, "{share:.3} of the batches is padding");
    }

    #[test]
    fn a_budget_need_not_be_used_up_but_a_number_of_rows_has_to_be_reached() {
        let few = [vec![9, 5, 7]];
        let of = |length, n_ranks| LengthSchedule::new(&few, &[1.0], 0, budget(length, 8, n_ranks));
        let schedule = of(1000, 1).expect("a batch may be small");
        assert_eq!((schedule.batches_per_epoch(), schedule.rows(0, 0).len()), (1, 3));
        assert_eq!(of(u64::MAX, 1).map(|_| ()), Err(TooFew { stream_idx: 0, expected: 8 }));
        assert_eq!(of(1000, 4).map(|_| ()), Err(TooFew { stream_idx: 0, expected: 4 }));
    }

    #[test]
    fn rows_meet_others_every_epoch() {
        let lengths = [speech(400)];
        let schedule = LengthSchedule::new(&lengths, &[1.0], 7, budget(9000, 16, 1)).expect("400 suffice");
        let n_batches = schedule.batches_per_epoch();
        let epoch = |epoch: u64| -> HashSet<Vec<usize>> {
            let batch = |batch_idx| {
                let mut groups: Vec<usize> =
                    schedule.rows(batch_idx, 0).iter().map(|place| place.group_idx).collect();
                groups.sort_unstable();
                groups
            };
            (epoch * n_batches..(epoch + 1) * n_batches).map(batch).collect()
        };
        let n_same = epoch(0).intersection(&epoch(1)).count();
        assert!(n_same * 20 < n_batches as usize, "{n_same} of {n_batches} batches came again");
    }
}
