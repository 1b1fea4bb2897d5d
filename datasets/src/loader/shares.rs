//! An endless sequence of turns shared out by weight, in closed form.

/// The shares are fractions of this.
const WHOLE: u128 = 1 << 32;

/// Whose turn it is: turn `n` is a function of the weights and `n` alone.
///
/// The first party takes its share of all turns, spread as evenly as can be; the second its share of what is left,
/// and so on (Bresenham's line, nested). So after any number of turns every party has had its due to within one turn
/// for each party before it.
///
/// ```text
/// weights 1 : 2     turn  0 1 2 3 4 5
///                   party 1 1 0 1 1 0
/// ```
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// Each party's part of the turns that the parties before it have left.
    parts: Vec<u128>,
}

/// How many turns a party has in any run of turns of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TurnBounds {
    pub least: u64,
    pub most: u64,
}

impl Shares {
    /// # Panics
    /// If there is no weight, or one is not above 0.
    pub(super) fn new(weights: &[f64]) -> Self {
        assert!(!weights.is_empty() && weights.iter().all(|w| w.is_finite() && *w > 0.0), "{weights:?}");
        let part = |party: usize| {
            let left: f64 = weights[party..].iter().sum();
            let is_last = party + 1 == weights.len();
            // never 0, or a party would wait for ever
            if is_last { WHOLE } else { ((weights[party] / left * WHOLE as f64) as u128).clamp(1, WHOLE - 1) }
        };
        Self { parts: (0..weights.len()).map(part).collect() }
    }

    /// The party whose turn number `turn` is, and how many turns it had before.
    pub(super) fn at(&self, turn: u64) -> (usize, u64) {
        let mut turn = u128::from(turn);
        for (party, part) in self.parts.iter().enumerate() {
            let before = turn * part / WHOLE;
            if (turn + 1) * part / WHOLE > before {
                return (party, before as u64);
            }
            turn -= before;
        }
        unreachable!("the last party takes every turn that is left")
    }

    /// How many of the first `n_turns` turns each party has.
    pub(super) fn before(&self, n_turns: u64) -> Vec<u64> {
        let mut left = u128::from(n_turns);
        let mut count = |part: &u128| {
            let n = left * part / WHOLE;
            left -= n;
            n as u64
        };
        self.parts.iter().map(&mut count).collect()
    }

    /// Bounds on each party's turns among any `n_turns` in a row; equal where the number never changes.
    pub(super) fn bounds(&self, n_turns: u64) -> Vec<TurnBounds> {
        let (mut least, mut most) = (u128::from(n_turns), u128::from(n_turns));
        let mut bounds = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let (fewest, largest) = (least * part / WHOLE, (most * part).div_ceil(WHOLE));
            bounds.push(TurnBounds { least: fewest as u64, most: largest as u64 });
            let taken_of_least = (least * part).div_ceil(WHOLE);
            (least, most) = (least - taken_of_least, most - most * part / WHOLE);
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn turns_are_counted_as_they_are_given(
            weights in proptest::collection::vec(0.01f64..10.0, 1..6),
            n_turns in 1u64..400,
        ) {
            let shares = Shares::new(&weights);
            let mut counts = vec![0; weights.len()];
            for turn in 0..n_turns {
                prop_assert_eq!(shares.before(turn), counts.clone());
                let (party, before) = shares.at(turn);
                prop_assert_eq!(before, counts[party]);
                counts[party] += 1;
            }
            let whole: f64 = weights.iter().sum();
            for (party, count) in counts.iter().enumerate() {
                let due = n_turns as f64 * weights[party] / whole;
                prop_assert!((*count as f64 - due).abs() <= 1.0 + party as f64, "{} of {}", count, due);
            }
        }

        #[test]
        fn bounds_hold_for_every_run_of_turns(
            weights in proptest::collection::vec(0.01f64..10.0, 1..5),
            from in 0u64..(1 << 40),
            n_turns in 1u64..200,
        ) {
            let shares = Shares::new(&weights);
            let (start, end) = (shares.before(from), shares.before(from + n_turns));
            for (party, bounds) in shares.bounds(n_turns).iter().enumerate() {
                let n = end[party] - start[party];
                prop_assert!((bounds.least..=bounds.most).contains(&n), "{} outside {:?}", n, bounds);
            }
        }
    }

    #[test]
    fn a_party_alone_has_every_turn() {
        let shares = Shares::new(&[0.3]);
        assert_eq!(shares.at(17), (0, 17));
        assert_eq!(shares.bounds(8), [TurnBounds { least: 8, most: 8 }]);
    }

    #[test]
    fn turns_alternate_as_the_picture_shows() {
        let shares = Shares::new(&[1.0, 2.0]);
        // a third is rounded down to a fraction of two to the power of 32, so the turn comes one later
        assert_eq!((0..7).map(|turn| shares.at(turn).0).collect::<Vec<_>>(), [1, 1, 1, 0, 1, 1, 0]);
    }
}
