//! Levenshtein alignment of a hypothesis with its reference, counted.
//!
//! Many alignments share the least number of edits but differ in how many of them are substitutions. The choice here is
//! that of jiwer 4 (through rapidfuzz 3): equal ends are taken off first, then the way back through the table prefers
//! a deletion, then an insertion, then the diagonal; above [`SPLIT_CELLS`] the pair is halved as Hirschberg does.

mod bits;
mod counts;

use std::hash::Hash;

use self::bits::trace;
pub use self::counts::EditCounts;

/// What an alignment does with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Equal on both sides.
    Hit,
    /// The hypothesis has another token.
    Substitution,
    /// The hypothesis lacks it.
    Deletion,
    /// The reference lacks it.
    Insertion,
}

/// From this many cells on (reference times hypothesis, after the equal ends are gone) the table is not kept but
/// halved: the reference's one mebibyte of two-bit cells.
const SPLIT_CELLS: usize = 4 << 20;
/// Shorter references than this are never halved.
const SPLIT_MIN_REFERENCE: usize = 65;
/// Shorter hypotheses than this are never halved.
const SPLIT_MIN_HYPOTHESIS: usize = 10;

/// Aligns two token lists with as few edits as possible and counts them. Memory is bounded by the length of the
/// reference, time is the product of the two lengths over 64.
///
/// # Reference
/// jiwer 4.0 `process_words`, rapidfuzz 3 `Levenshtein.opcodes`: equal counts, not only equal distance.
pub fn align<T: Eq + Hash>(reference: &[T], hypothesis: &[T]) -> EditCounts {
    edits(reference, hypothesis).into_iter().collect()
}

/// The same alignment, edit by edit from the beginning.
pub fn edits<T: Eq + Hash>(reference: &[T], hypothesis: &[T]) -> Vec<Edit> {
    let longer = reference.len().max(hypothesis.len());
    let mut edits = Vec::with_capacity(longer);
    align_within(reference, hypothesis, longer, &mut edits);
    edits
}

/// `bound` is known to be no less than the distance; it decides alone from which size on the pair is halved.
fn align_within<T: Eq + Hash>(reference: &[T], hypothesis: &[T], bound: usize, edits: &mut Vec<Edit>) {
    let (n_prefix, n_suffix) = equal_ends(reference, hypothesis);
    let reference = &reference[n_prefix..reference.len() - n_suffix];
    let hypothesis = &hypothesis[n_prefix..hypothesis.len() - n_suffix];
    edits.extend(std::iter::repeat_n(Edit::Hit, n_prefix));
    let bound = bound.min(reference.len().max(hypothesis.len()));
    let band = reference.len().min(2 * bound + 1);
    if reference.is_empty() || hypothesis.is_empty() {
        edits.extend(std::iter::repeat_n(Edit::Deletion, reference.len()));
        edits.extend(std::iter::repeat_n(Edit::Insertion, hypothesis.len()));
    } else if band.saturating_mul(hypothesis.len()) < SPLIT_CELLS
        || reference.len() < SPLIT_MIN_REFERENCE
        || hypothesis.len() < SPLIT_MIN_HYPOTHESIS
    {
        trace(reference, hypothesis, edits);
    } else {
        let split = split_point(reference, hypothesis);
        let (left_reference, right_reference) = reference.split_at(split.reference_idx);
        let (left_hypothesis, right_hypothesis) = hypothesis.split_at(split.hypothesis_idx);
        align_within(left_reference, left_hypothesis, split.left_distance, edits);
        align_within(right_reference, right_hypothesis, split.right_distance, edits);
    }
    edits.extend(std::iter::repeat_n(Edit::Hit, n_suffix));
}

fn equal_ends<T: Eq>(left: &[T], right: &[T]) -> (usize, usize) {
    let n_prefix = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[n_prefix..], &right[n_prefix..]);
    let n_suffix = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    (n_prefix, n_suffix)
}

struct Split {
    reference_idx: usize,
    hypothesis_idx: usize,
    left_distance: usize,
    right_distance: usize,
}

/// Where an optimal alignment crosses the middle of the hypothesis: the first such place after the first token.
fn split_point<T: Eq>(reference: &[T], hypothesis: &[T]) -> Split {
    let hypothesis_idx = hypothesis.len() / 2;
    let left = last_row(reference.iter(), &hypothesis[..hypothesis_idx], false);
    let right = last_row(reference.iter().rev(), &hypothesis[hypothesis_idx..], true);
    let mut split = Split { reference_idx: 0, hypothesis_idx, left_distance: 0, right_distance: 0 };
    let mut least = u32::MAX;
    for reference_idx in 1..=reference.len() {
        let (left_distance, right_distance) = (left[reference_idx], right[reference.len() - reference_idx]);
        if left_distance + right_distance < least {
            least = left_distance + right_distance;
            split.reference_idx = reference_idx;
            split.left_distance = left_distance as usize;
            split.right_distance = right_distance as usize;
        }
    }
    split
}

/// The distances of the whole hypothesis from every beginning of the reference, both read from behind if `reversed`.
fn last_row<'a, T: Eq + 'a>(
    reference: impl Iterator<Item = &'a T>,
    hypothesis: &[T],
    reversed: bool,
) -> Vec<u32> {
    let reference: Vec<&T> = reference.collect();
    let mut row: Vec<u32> = (0..=reference.len() as u32).collect();
    for idx in 0..hypothesis.len() {
        let token = &hypothesis[if reversed { hypothesis.len() - 1 - idx } else { idx }];
        let mut diagonal = row[0];
        row[0] += 1;
        let mut left = row[0];
        for (cell, reference_token) in row[1..].iter_mut().zip(&reference) {
            let matched = diagonal + u32::from(*reference_token != token);
            diagonal = *cell;
            left = matched.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(reference: &str, hypothesis: &str) -> [u64; 4] {
        let tokens = |text: &str| text.chars().collect::<Vec<_>>();
        let counts = align(&tokens(reference), &tokens(hypothesis));
        [counts.hits, counts.substitutions, counts.deletions, counts.insertions]
    }

    #[test]
    fn textbook_pairs_are_counted() {
        assert_eq!(counted("kitten", "sitting"), [4, 2, 0, 1]);
        assert_eq!(counted("", "abc"), [0, 0, 0, 3]);
        assert_eq!(counted("abc", ""), [0, 0, 3, 0]);
        assert_eq!(counted("", ""), [0, 0, 0, 0]);
        assert_eq!(counted("abc", "abc"), [3, 0, 0, 0]);
    }

    #[test]
    fn halving_finds_the_same_distance_as_the_whole_table() {
        let mut state = 1u32;
        let mut token = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 29
        };
        let reference: Vec<u32> = (0..2_300).map(|_| token()).collect();
        let hypothesis: Vec<u32> = (0..2_100).map(|_| token()).collect();
        assert!(reference.len() * hypothesis.len() > SPLIT_CELLS);
        let halved = align(&reference, &hypothesis);
        let distance = last_row(reference.iter(), &hypothesis, false)[reference.len()];
        assert_eq!(halved.n_edits(), u64::from(distance));
        assert_eq!(halved.n_reference(), reference.len() as u64);
        assert_eq!(halved.n_hypothesis(), hypothesis.len() as u64);
    }

    fn tokens() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0..4u8, 0..20)
    }

    #[test]
    fn edits_are_listed_from_the_beginning() {
        let tokens = |text: &str| text.chars().collect::<Vec<_>>();
        use Edit::{Deletion, Hit, Insertion, Substitution};
        assert_eq!(edits(&tokens("abcd"), &tokens("axc")), [Hit, Substitution, Hit, Deletion]);
        assert_eq!(edits(&tokens("ab"), &tokens("zab")), [Insertion, Hit, Hit]);
    }

    /// Equal tokens where the edits say so, different ones elsewhere, both lists used up.
    fn is_consistent(reference: &[u8], hypothesis: &[u8]) -> bool {
        let (mut reference, mut hypothesis) = (reference.iter(), hypothesis.iter());
        let fits = edits(reference.as_slice(), hypothesis.as_slice()).into_iter().all(|edit| match edit {
            Edit::Hit => reference.next() == hypothesis.next(),
            Edit::Substitution => reference.next() != hypothesis.next(),
            Edit::Deletion => reference.next().is_some(),
            Edit::Insertion => hypothesis.next().is_some(),
        });
        fits && reference.next().is_none() && hypothesis.next().is_none()
    }

    proptest! {
        #[test]
        fn edits_turn_one_list_into_the_other(
            reference in prop::collection::vec(0..3u8, 0..150),
            hypothesis in prop::collection::vec(0..3u8, 0..150),
        ) {
            prop_assert!(is_consistent(&reference, &hypothesis));
            let distance = last_row(reference.iter(), &hypothesis, false)[reference.len()];
            prop_assert_eq!(align(&reference, &hypothesis).n_edits(), u64::from(distance));
        }

        #[test]
        fn counts_add_up_to_both_lengths(reference in tokens(), hypothesis in tokens()) {
            let counts = align(&reference, &hypothesis);
            prop_assert_eq!(counts.n_reference(), reference.len() as u64);
            prop_assert_eq!(counts.n_hypothesis(), hypothesis.len() as u64);
            prop_assert_eq!(counts.n_edits(), u64::from(last_row(reference.iter(), &hypothesis, false)[reference.len()]));
        }

        #[test]
        fn a_perfect_hypothesis_has_no_edits(reference in tokens()) {
            prop_assert_eq!(align(&reference, &reference).n_edits(), 0);
        }

        #[test]
        fn edits_are_symmetric_and_obey_the_triangle(a in tokens(), b in tokens(), c in tokens()) {
            let edits = |from: &[u8], to: &[u8]| align(from, to).n_edits();
            prop_assert_eq!(edits(&a, &b), edits(&b, &a));
            prop_assert!(edits(&a, &c) <= edits(&a, &b) + edits(&b, &c));
        }

        #[test]
        fn edits_lie_between_the_difference_and_the_longer_length(a in tokens(), b in tokens()) {
            let edits = align(&a, &b).n_edits() as usize;
            prop_assert!(a.len().abs_diff(b.len()) <= edits && edits <= a.len().max(b.len()));
        }
    }
}
