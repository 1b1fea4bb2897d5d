//! Levenshtein alignment of a hypothesis with its reference, counted.
//!
//! Many alignments share the least number of edits but differ in how many of them are substitutions. The choice here is
//! that of jiwer 4 (through rapidfuzz 3): equal ends are taken off first, then the way back through the table prefers
//! a deletion, then an insertion, then the diagonal; above [`SPLIT_CELLS`] the pair is halved as Hirschberg does.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// What an alignment consists of; also the sums over a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditCounts {
    /// Tokens that are equal on both sides.
    pub hits: u64,
    /// Reference tokens that another token stands for.
    pub substitutions: u64,
    /// Reference tokens that are missing from the hypothesis.
    pub deletions: u64,
    /// Hypothesis tokens that the reference does not have.
    pub insertions: u64,
}

impl EditCounts {
    /// Tokens of the reference, `H + S + D`.
    pub fn n_reference(&self) -> u64 {
        self.hits + self.substitutions + self.deletions
    }

    /// Tokens of the hypothesis, `H + S + I`.
    pub fn n_hypothesis(&self) -> u64 {
        self.hits + self.substitutions + self.insertions
    }

    /// The Levenshtein distance, `S + D + I`.
    pub fn n_edits(&self) -> u64 {
        self.substitutions + self.deletions + self.insertions
    }

    /// WER or CER: `(S + D + I) / (H + S + D)`. Without any reference token it is the number of insertions, as in
    /// jiwer 4.
    pub fn error_rate(&self) -> f64 {
        if self.n_reference() == 0 {
            return self.insertions as f64;
        }
        self.n_edits() as f64 / self.n_reference() as f64
    }

    /// MER: `(S + D + I) / (H + S + D + I)`, 0 when both sides are empty.
    pub fn match_error_rate(&self) -> f64 {
        if self.n_edits() == 0 {
            return 0.0;
        }
        self.n_edits() as f64 / (self.n_reference() + self.insertions) as f64
    }

    /// WIL: `1 - (H / n_reference) (H / n_hypothesis)`; 0 when both sides are empty, 1 when one of them is.
    pub fn information_lost(&self) -> f64 {
        match (self.n_reference(), self.n_hypothesis()) {
            (0, 0) => 0.0,
            (0, _) | (_, 0) => 1.0,
            (n_reference, n_hypothesis) => {
                1.0 - (self.hits as f64 / n_reference as f64) * (self.hits as f64 / n_hypothesis as f64)
            }
        }
    }
}

impl AddAssign for EditCounts {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
    }
}

impl Add for EditCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sum for EditCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// From this many cells on (reference times hypothesis, after the equal ends are gone) the table is not kept but
/// halved: the reference's one mebibyte of two-bit cells.
const SPLIT_CELLS: usize = 4 << 20;
/// Shorter references than this are never halved.
const SPLIT_MIN_REFERENCE: usize = 65;
/// Shorter hypotheses than this are never halved.
const SPLIT_MIN_HYPOTHESIS: usize = 10;

/// Aligns two token lists with as few edits as possible and counts them. Memory is bounded by the length of the
/// reference, time is the product of the two lengths.
///
/// # Reference
/// jiwer 4.0 `process_words`, rapidfuzz 3 `Levenshtein.opcodes`: equal counts, not only equal distance.
pub fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> EditCounts {
    align_within(reference, hypothesis, reference.len().max(hypothesis.len()))
}

/// `bound` is known to be no less than the distance; it decides alone from which size on the pair is halved.
fn align_within<T: PartialEq>(reference: &[T], hypothesis: &[T], bound: usize) -> EditCounts {
    let (reference, hypothesis, n_equal) = without_equal_ends(reference, hypothesis);
    let mut counts = EditCounts { hits: n_equal as u64, ..EditCounts::default() };
    if reference.is_empty() || hypothesis.is_empty() {
        counts.deletions += reference.len() as u64;
        counts.insertions += hypothesis.len() as u64;
        return counts;
    }
    let bound = bound.min(reference.len().max(hypothesis.len()));
    let band = reference.len().min(2 * bound + 1);
    if band.saturating_mul(hypothesis.len()) < SPLIT_CELLS
        || reference.len() < SPLIT_MIN_REFERENCE
        || hypothesis.len() < SPLIT_MIN_HYPOTHESIS
    {
        return counts + trace(reference, hypothesis);
    }
    let split = split_point(reference, hypothesis);
    let (left_reference, right_reference) = reference.split_at(split.reference_idx);
    let (left_hypothesis, right_hypothesis) = hypothesis.split_at(split.hypothesis_idx);
    counts
        + align_within(left_reference, left_hypothesis, split.left_distance)
        + align_within(right_reference, right_hypothesis, split.right_distance)
}

fn without_equal_ends<'a, T: PartialEq>(left: &'a [T], right: &'a [T]) -> (&'a [T], &'a [T], usize) {
    let n_prefix = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[n_prefix..], &right[n_prefix..]);
    let n_suffix = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    (&left[..left.len() - n_suffix], &right[..right.len() - n_suffix], n_prefix + n_suffix)
}

#[derive(Clone, Copy, PartialEq)]
enum Move {
    Delete,
    Insert,
    Diagonal,
}

/// Fills the whole table and walks back from its end. Neither list is empty.
fn trace<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> EditCounts {
    let n_reference = reference.len();
    let mut moves = vec![Move::Diagonal; n_reference * hypothesis.len()];
    let mut row: Vec<u32> = (0..=n_reference as u32).collect();
    for (hypothesis_idx, token) in hypothesis.iter().enumerate() {
        let moves = &mut moves[hypothesis_idx * n_reference..][..n_reference];
        let mut diagonal = row[0];
        row[0] += 1;
        for (reference_idx, move_back) in moves.iter_mut().enumerate() {
            let (left, above) = (row[reference_idx], row[reference_idx + 1]);
            let matched = diagonal + u32::from(reference[reference_idx] != *token);
            let distance = matched.min(left + 1).min(above + 1);
            if distance == left + 1 {
                *move_back = Move::Delete;
            } else if above + 1 == diagonal {
                *move_back = Move::Insert;
            }
            diagonal = above;
            row[reference_idx + 1] = distance;
        }
    }

    let mut counts = EditCounts::default();
    let (mut n_left, mut n_above) = (n_reference, hypothesis.len());
    while n_left > 0 && n_above > 0 {
        match moves[(n_above - 1) * n_reference + n_left - 1] {
            Move::Delete => {
                counts.deletions += 1;
                n_left -= 1;
            }
            Move::Insert => {
                counts.insertions += 1;
                n_above -= 1;
            }
            Move::Diagonal => {
                n_left -= 1;
                n_above -= 1;
                if reference[n_left] == hypothesis[n_above] {
                    counts.hits += 1;
                } else {
                    counts.substitutions += 1;
                }
            }
        }
    }
    counts.deletions += n_left as u64;
    counts.insertions += n_above as u64;
    counts
}

struct Split {
    reference_idx: usize,
    hypothesis_idx: usize,
    left_distance: usize,
    right_distance: usize,
}

/// Where an optimal alignment crosses the middle of the hypothesis: the first such place after the first token.
fn split_point<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Split {
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
fn last_row<'a, T: PartialEq + 'a>(
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
    fn empty_references_score_as_in_jiwer() {
        let inserted = EditCounts { insertions: 3, ..EditCounts::default() };
        assert_eq!(
            (inserted.error_rate(), inserted.match_error_rate(), inserted.information_lost()),
            (3.0, 1.0, 1.0)
        );
        let silence = EditCounts::default();
        assert_eq!(
            (silence.error_rate(), silence.match_error_rate(), silence.information_lost()),
            (0.0, 0.0, 0.0)
        );
        let deleted = EditCounts { deletions: 2, ..EditCounts::default() };
        assert_eq!(
            (deleted.error_rate(), deleted.match_error_rate(), deleted.information_lost()),
            (1.0, 1.0, 1.0)
        );
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

    proptest! {
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
