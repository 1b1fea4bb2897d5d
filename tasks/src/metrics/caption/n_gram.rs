//! Counted n-grams of a tokenised caption, n from 1 to 4.

use std::collections::HashMap;

use crate::metrics::normalizer::is_space;

/// The longest n-grams counted.
pub(super) const MAX_N: usize = 4;

/// The n-grams of one caption.
pub(super) struct NGrams {
    /// For n = 1 to 4: each n-gram, words joined by a space, with its count; sorted by the n-gram, so that sums run in
    /// the same order every time.
    pub(super) counts: [Vec<(String, u32)>; MAX_N],
    /// How many words there are.
    pub(super) n_words: usize,
}

impl NGrams {
    pub(super) fn of(caption: &str) -> Self {
        let words: Vec<&str> = caption.split(is_space).filter(|word| !word.is_empty()).collect();
        let counts = std::array::from_fn(|order| {
            let mut counts: HashMap<&[&str], u32> = HashMap::with_capacity(words.len());
            for n_gram in words.windows(order + 1) {
                *counts.entry(n_gram).or_default() += 1;
            }
            let mut counts: Vec<(String, u32)> =
                counts.into_iter().map(|(n_gram, count)| (n_gram.join(" "), count)).collect();
            counts.sort_unstable();
            counts
        });
        Self { counts, n_words: words.len() }
    }
}

/// Pairs what two sorted lists have in common.
pub(super) fn shared<'a, A: Copy, B: Copy>(
    left: &'a [(String, A)],
    right: &'a [(String, B)],
) -> impl Iterator<Item = (A, B)> + 'a {
    let mut right = right.iter().peekable();
    left.iter().filter_map(move |(n_gram, own)| {
        while right.next_if(|(other, _)| other < n_gram).is_some() {}
        right.next_if(|(other, _)| other == n_gram).map(|&(_, other)| (*own, other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_grams_are_counted_in_order() {
        let grams = NGrams::of("a b  a b c");
        assert_eq!(grams.n_words, 5);
        assert_eq!(grams.counts[0], [("a".into(), 2), ("b".into(), 2), ("c".into(), 1)]);
        assert_eq!(grams.counts[1], [("a b".into(), 2), ("b a".into(), 1), ("b c".into(), 1)]);
        assert_eq!(grams.counts[3], [("a b a b".into(), 1), ("b a b c".into(), 1)]);
        assert!(NGrams::of("a").counts[1].is_empty());
        assert_eq!(NGrams::of("").n_words, 0);
    }

    #[test]
    fn shared_n_grams_are_found_by_merging() {
        let (left, right) = (NGrams::of("a b d e"), NGrams::of("b c d d"));
        assert_eq!(shared(&left.counts[0], &right.counts[0]).collect::<Vec<_>>(), [(1, 1), (1, 2)]);
    }
}
