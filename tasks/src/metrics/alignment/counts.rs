//! The counts of an alignment and the rates made of them.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use super::Edit;

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

impl FromIterator<Edit> for EditCounts {
    fn from_iter<I: IntoIterator<Item = Edit>>(edits: I) -> Self {
        edits.into_iter().fold(Self::default(), |mut counts, edit| {
            match edit {
                Edit::Hit => counts.hits += 1,
                Edit::Substitution => counts.substitutions += 1,
                Edit::Deletion => counts.deletions += 1,
                Edit::Insertion => counts.insertions += 1,
            }
            counts
        })
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
