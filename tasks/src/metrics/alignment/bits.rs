//! The table of an alignment as bits: where a row of distances rises and where it falls, 64 columns a word.
//!
//! # Reference
//! Hyyrö, Explaining and extending the bit-parallel approximate string matching algorithm of Myers (2001).

use std::collections::HashMap;
use std::hash::Hash;

use super::Edit;

/// Up to this many columns a token is looked for in the reference itself.
const WORD_BITS: usize = 64;

/// Appends the edits between two lists, neither of them empty: on the way back from the end a deletion comes first, then
/// an insertion, then the diagonal.
pub(super) fn trace<T: Eq + Hash>(reference: &[T], hypothesis: &[T], edits: &mut Vec<Edit>) {
    let table = Table::new(reference, hypothesis);
    let n_before = edits.len();
    let (mut n_left, mut n_above) = (reference.len(), hypothesis.len());
    while n_left > 0 && n_above > 0 {
        if is_set(&table.rises, table.n_words, n_above - 1, n_left - 1) {
            edits.push(Edit::Deletion);
            n_left -= 1;
            continue;
        }
        n_above -= 1;
        if n_above > 0 && is_set(&table.falls, table.n_words, n_above - 1, n_left - 1) {
            edits.push(Edit::Insertion);
            continue;
        }
        n_left -= 1;
        let is_equal = reference[n_left] == hypothesis[n_above];
        edits.push(if is_equal { Edit::Hit } else { Edit::Substitution });
    }
    edits.extend(std::iter::repeat_n(Edit::Deletion, n_left));
    edits.extend(std::iter::repeat_n(Edit::Insertion, n_above));
    edits[n_before..].reverse();
}

fn is_set(bits: &[u64], n_words: usize, row: usize, column: usize) -> bool {
    bits[row * n_words + column / WORD_BITS] >> (column % WORD_BITS) & 1 == 1
}

/// `[hypothesis, n_words]`, a bit a token of the reference.
struct Table {
    n_words: usize,
    /// Where the distance is one more than that to its left.
    rises: Vec<u64>,
    /// Where it is one less.
    falls: Vec<u64>,
}

impl Table {
    fn new<T: Eq + Hash>(reference: &[T], hypothesis: &[T]) -> Self {
        let n_words = reference.len().div_ceil(WORD_BITS);
        let mut table = Self {
            n_words,
            rises: Vec::with_capacity(n_words * hypothesis.len()),
            falls: Vec::with_capacity(n_words * hypothesis.len()),
        };
        let mut rise = vec![u64::MAX; n_words];
        let mut fall = vec![0; n_words];
        if n_words == 1 {
            for token in hypothesis {
                let mut equal = 0;
                for (column, other) in reference.iter().enumerate() {
                    equal |= u64::from(token == other) << column;
                }
                table.push_row(&[equal], &mut rise, &mut fall);
            }
            return table;
        }
        let mut columns: HashMap<&T, Vec<usize>> = HashMap::new();
        for (column, token) in reference.iter().enumerate() {
            columns.entry(token).or_default().push(column);
        }
        let mut equal = vec![0; n_words];
        for token in hypothesis {
            let columns = columns.get(token).map_or(&[][..], Vec::as_slice);
            columns.iter().for_each(|column| equal[column / WORD_BITS] |= 1 << (column % WORD_BITS));
            table.push_row(&equal, &mut rise, &mut fall);
            columns.iter().for_each(|column| equal[column / WORD_BITS] = 0);
        }
        table
    }

    /// From the row above, given as `rise` and `fall`, to the next, whose token stands in the columns of `equal`.
    fn push_row(&mut self, equal: &[u64], rise: &mut [u64], fall: &mut [u64]) {
        let (mut carried_rise, mut carried_fall) = (1, 0);
        for ((&equal, rise), fall) in equal.iter().zip(rise).zip(fall) {
            let same = equal | carried_fall;
            let diagonal = ((same & *rise).wrapping_add(*rise) ^ *rise) | same | *fall;
            let down_rise = *fall | !(diagonal | *rise);
            let down_fall = diagonal & *rise;
            let shifted_rise = down_rise << 1 | carried_rise;
            let shifted_fall = down_fall << 1 | carried_fall;
            (carried_rise, carried_fall) = (down_rise >> (WORD_BITS - 1), down_fall >> (WORD_BITS - 1));
            *rise = shifted_fall | !(diagonal | shifted_rise);
            *fall = shifted_rise & diagonal;
            self.rises.push(*rise);
            self.falls.push(*fall);
        }
    }
}
