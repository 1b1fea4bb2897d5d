//! What occurs more than once: within a split, and on both sides of one.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::sample::Split;

/// As many sets are named.
const N_EXAMPLES: usize = 12;
/// As many samples of a set are named.
const N_NAMED: usize = 6;
/// Every split, in the order of the bits of a mask.
pub(super) const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

/// Samples that share something: a picture, a sound, a text, a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatedSet {
    /// What they share, where it is words: the text, the group's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// Number of samples.
    pub n: u64,
    /// Number of samples by split.
    pub splits: BTreeMap<Split, u64>,
    /// The first few, some of each split.
    pub ids: Vec<String>,
    /// Their places in the corpus.
    #[serde(skip)]
    pub idxs: Vec<usize>,
}

/// How many of a held-out split stand in another one too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The split that should hold what was never seen.
    pub held_out: Split,
    /// Where it was seen.
    pub seen_in: Split,
    /// How many of the held-out split's samples are concerned.
    pub n: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Repeats {
    /// Number of different ones.
    pub n_distinct: u64,
    /// Sets of two samples and more.
    pub n_sets: u64,
    /// Samples beyond the first of each set.
    pub n_surplus: u64,
    /// Sets with samples in several splits.
    pub n_sets_across: u64,
    /// By pair of splits, where there is any.
    pub leaks: Vec<Leak>,
    /// The largest sets.
    pub largest: Vec<RepeatedSet>,
    /// The largest sets with samples in several splits.
    pub across: Vec<RepeatedSet>,
}

/// Everything seen so far, by a hash of 64 bits: a million items collide by chance once in some 40 million surveys.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    first: HashMap<u64, First>,
    /// Only of what came again.
    sets: HashMap<u64, Set>,
}

#[derive(Clone, Copy, Debug)]
struct First {
    idx: u32,
    split: Split,
}

#[derive(Clone, Debug, Default)]
struct Set {
    n: [u64; 3],
    /// The first few of each split.
    named: [Vec<u32>; 3],
}

impl Set {
    fn add(&mut self, idx: u32, split: Split) {
        let place = split_idx(split);
        self.n[place] += 1;
        if self.named[place].len() < N_NAMED {
            self.named[place].push(idx);
        }
    }

    fn n(&self) -> u64 {
        self.n.iter().sum()
    }

    fn is_across(&self) -> bool {
        self.n.iter().filter(|n| **n > 0).count() > 1
    }

    /// Some of each split, in the order of the corpus.
    fn idxs(&self) -> Vec<usize> {
        let mut idxs = Vec::new();
        for place in 0..N_NAMED {
            for named in &self.named {
                if idxs.len() < N_NAMED {
                    idxs.extend(named.get(place).map(|idx| *idx as usize));
                }
            }
        }
        idxs.sort_unstable();
        idxs
    }
}

pub(super) fn split_idx(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Validation => 1,
        Split::Test => 2,
    }
}

/// The first 64 bits of BLAKE3.
pub(super) fn key(bytes: &[u8]) -> u64 {
    let digest = blake3::hash(bytes);
    digest.as_bytes()[..8].iter().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

impl Seen {
    pub(super) fn push(&mut self, key: u64, idx: usize, split: Split) {
        let idx = idx as u32;
        match self.first.get(&key) {
            None => {
                self.first.insert(key, First { idx, split });
            }
            Some(first) => {
                let set = self.sets.entry(key).or_insert_with(|| {
                    let mut set = Set::default();
                    set.add(first.idx, first.split);
                    set
                });
                set.add(idx, split);
            }
        }
    }

    /// Number of different ones with a sample in each split.
    pub(super) fn n_by_split(&self) -> [u64; 3] {
        let mut n = [0; 3];
        for (key, first) in &self.first {
            match self.sets.get(key) {
                None => n[split_idx(first.split)] += 1,
                Some(set) => (0..3).for_each(|place| n[place] += u64::from(set.n[place] > 0)),
            }
        }
        n
    }

    /// `id` names a sample, `shared` says what the samples of a set share, where that is words.
    pub(super) fn finish(
        self,
        id: &dyn Fn(usize) -> String,
        shared: &dyn Fn(u64, usize) -> Option<String>,
    ) -> Repeats {
        let mut sets: Vec<(u64, Set)> = self.sets.into_iter().collect();
        sets.sort_by_key(|(key, set)| (std::cmp::Reverse(set.n()), set.idxs(), *key));
        let shown = |(key, set): &(u64, Set)| {
            let idxs = set.idxs();
            let splits = SPLITS.into_iter().zip(set.n).filter(|(_, n)| *n > 0).collect();
            RepeatedSet {
                shared: idxs.first().and_then(|idx| shared(*key, *idx)),
                n: set.n(),
                splits,
                ids: idxs.iter().map(|idx| id(*idx)).collect(),
                idxs,
            }
        };
        let across = || sets.iter().filter(|(_, set)| set.is_across());
        let pairs = [(1, 0), (2, 0), (2, 1)].into_iter().map(|(held_out, seen_in)| {
            let n = across().filter(|(_, set)| set.n[seen_in] > 0).map(|(_, set)| set.n[held_out]).sum();
            Leak { held_out: SPLITS[held_out], seen_in: SPLITS[seen_in], n }
        });
        Repeats {
            n_distinct: self.first.len() as u64,
            n_sets: sets.len() as u64,
            n_surplus: sets.iter().map(|(_, set)| set.n() - 1).sum(),
            n_sets_across: across().count() as u64,
            leaks: pairs.filter(|leak| leak.n > 0).collect(),
            largest: sets.iter().take(N_EXAMPLES).map(shown).collect(),
            across: across().take(N_EXAMPLES).map(shown).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_surplus_and_leaks_are_those_counted_by_hand() {
        let mut seen = Seen::default();
        // a: train, train, test; b: validation, test; c: once; d: train twice
        let items = [
            ("a", Split::Train),
            ("b", Split::Validation),
            ("a", Split::Train),
            ("c", Split::Test),
            ("a", Split::Test),
            ("b", Split::Test),
            ("d", Split::Train),
            ("d", Split::Train),
        ];
        for (idx, (word, split)) in items.iter().enumerate() {
            seen.push(key(word.as_bytes()), idx, *split);
        }
        assert_eq!(seen.n_by_split(), [2, 1, 3]);
        let found = seen.finish(&|idx| format!("s{idx}"), &|_, idx| Some(items[idx].0.to_owned()));
        assert_eq!((found.n_distinct, found.n_sets, found.n_surplus, found.n_sets_across), (4, 3, 4, 2));
        let leak = |held_out, seen_in, n| Leak { held_out, seen_in, n };
        assert_eq!(
            found.leaks,
            [leak(Split::Test, Split::Train, 1), leak(Split::Test, Split::Validation, 1)]
        );
        assert_eq!(found.largest[0].shared.as_deref(), Some("a"));
        assert_eq!(found.largest[0].ids, ["s0", "s2", "s4"]);
        assert_eq!(found.across.len(), 2);
        assert_eq!(found.across[1].splits, BTreeMap::from([(Split::Validation, 1), (Split::Test, 1)]));
    }

    #[test]
    fn a_large_set_names_some_of_each_split() {
        let mut seen = Seen::default();
        (0..100).for_each(|idx| seen.push(7, idx, Split::Train));
        seen.push(7, 100, Split::Test);
        let found = seen.finish(&|idx| idx.to_string(), &|_, _| None);
        assert_eq!(found.across[0].ids, ["0", "1", "2", "3", "4", "100"]);
        assert_eq!(found.across[0].n, 101);
    }
}
