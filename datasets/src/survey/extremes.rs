//! The samples at either end of a quantity.

use serde::Serialize;

/// As many are shown at either end.
const N_SHOWN: usize = 6;

/// A sample that stands out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlier {
    /// Its identifier.
    pub id: String,
    /// Its place in the corpus.
    pub idx: usize,
    /// Its value.
    pub value: f64,
}

/// The samples with the lowest and the highest values, the most extreme first, the earlier of equal ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outliers {
    /// Lowest first.
    pub lowest: Vec<Outlier>,
    /// Highest first.
    pub highest: Vec<Outlier>,
}

/// The ends so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    lowest: Vec<(f64, usize)>,
    highest: Vec<(f64, usize)>,
}

impl Ends {
    pub(super) fn push(&mut self, idx: usize, value: f64) {
        if value.is_finite() {
            insert(&mut self.lowest, (value, idx), |new, old| new < old);
            insert(&mut self.highest, (value, idx), |new, old| new > old);
        }
    }

    pub(super) fn finish(self, id: &dyn Fn(usize) -> String) -> Outliers {
        let named = |ends: Vec<(f64, usize)>| {
            ends.into_iter().map(|(value, idx)| Outlier { id: id(idx), idx, value }).collect()
        };
        Outliers { lowest: named(self.lowest), highest: named(self.highest) }
    }
}

fn insert(ends: &mut Vec<(f64, usize)>, new: (f64, usize), is_before: fn(f64, f64) -> bool) {
    let place = ends.iter().position(|old| is_before(new.0, old.0)).unwrap_or(ends.len());
    if place < N_SHOWN {
        ends.insert(place, new);
        ends.truncate(N_SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_extreme_come_first_and_the_earlier_of_equals() {
        let mut ends = Ends::default();
        for (idx, value) in [5.0, 1.0, 9.0, 1.0, f64::NAN, 7.0, 3.0, 2.0, 8.0].into_iter().enumerate() {
            ends.push(idx, value);
        }
        let found = ends.finish(&|idx| format!("s{idx}"));
        let ids = |list: &[Outlier]| list.iter().map(|outlier| outlier.idx).collect::<Vec<_>>();
        assert_eq!(ids(&found.lowest), [1, 3, 7, 6, 0, 5]);
        assert_eq!(ids(&found.highest), [2, 8, 5, 0, 6, 7]);
        assert_eq!(found.lowest[0].id, "s1");
    }
}
