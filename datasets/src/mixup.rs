//! Mixup: rows of a batch blended with other rows, and their targets with them.

use crate::draw::Draw;

/// The largest alpha of a config: nearly all shares are then one half.
pub const MAX_ALPHA: f64 = 100.0;

/// How the rows of one batch are blended: `row * share + other * (1 - share)`.
///
/// # Reference
/// Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018: one share a batch, drawn from Beta(alpha, alpha), and
/// the batch against a permutation of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixup {
    /// How much each row keeps of itself, 0 to 1; its target keeps as much.
    pub share: f32,
    /// For each row the one that it is blended with; a permutation.
    pub others: Vec<usize>,
}

impl Mixup {
    /// Draws the share and the permutation. An `alpha` of 0 blends nothing.
    ///
    /// # Panics
    /// If `alpha` is negative or not a number.
    pub fn new(n_rows: usize, alpha: f64, draw: &mut Draw) -> Self {
        assert!(alpha >= 0.0, "a Beta distribution of {alpha} does not exist");
        let share = if alpha == 0.0 { 1.0 } else { beta(alpha, draw) as f32 };
        Self { share, others: draw.choose(n_rows, n_rows) }
    }

    /// Blends the values, or the targets, of a batch.
    ///
    /// # Shapes
    /// `values` is `[n_rows, row]`, and so is the result.
    ///
    /// # Panics
    /// If the values do not divide into as many rows.
    pub fn apply(&self, values: &[f32]) -> Vec<f32> {
        let n_rows = self.others.len();
        if n_rows == 0 || self.share == 1.0 {
            return values.to_vec();
        }
        assert_eq!(values.len() % n_rows, 0, "{} values do not make {n_rows} rows", values.len());
        let row = values.len() / n_rows;
        let mut blended = Vec::with_capacity(values.len());
        for (row_idx, other_idx) in self.others.iter().enumerate() {
            let own = &values[row_idx * row..(row_idx + 1) * row];
            let other = &values[other_idx * row..(other_idx + 1) * row];
            blended.extend(own.iter().zip(other).map(|(a, b)| b + (a - b) * self.share));
        }
        blended
    }
}

/// A draw from Beta(alpha, alpha), by two of the Gamma distribution.
fn beta(alpha: f64, draw: &mut Draw) -> f64 {
    let (a, b) = (log_gamma_draw(alpha, draw), log_gamma_draw(alpha, draw));
    // small alphas give draws below the smallest number, so that only logarithms can be compared
    1.0 / (1.0 + (b - a).exp())
}

/// The logarithm of a draw from Gamma(alpha, 1).
///
/// # Reference
/// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; below 1 with the power of their section 6.
fn log_gamma_draw(alpha: f64, draw: &mut Draw) -> f64 {
    if alpha < 1.0 {
        let uniform = 1.0 - f64::from(draw.uniform());
        return log_gamma_draw(alpha + 1.0, draw) + uniform.ln() / alpha;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = f64::from(draw.normal_pair().0);
        let v = (1.0 + c * x).powi(3);
        let uniform = 1.0 - f64::from(draw.uniform());
        if v > 0.0 && uniform.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d.ln() + v.ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blended_values_lie_between_their_rows(seed: u64, n_rows in 1usize..9, alpha in 0.01f64..5.0) {
            let values: Vec<f32> = (0..n_rows * 6).map(|i| ((i * 37) % 23) as f32 - 9.0).collect();
            let mixup = Mixup::new(n_rows, alpha, &mut Draw::new(seed, 0, "", "mixup"));
            prop_assert!((0.0..=1.0).contains(&mixup.share));
            let mut sorted = mixup.others.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..n_rows).collect::<Vec<_>>());
            let blended = mixup.apply(&values);
            for (at, value) in blended.iter().enumerate() {
                let (own, other) = (values[at], values[mixup.others[at / 6] * 6 + at % 6]);
                prop_assert!(own.min(other) - 1e-4 <= *value && *value <= own.max(other) + 1e-4);
            }
            // what each row gives away another one takes
            let (before, behind) = (values.iter().sum::<f32>(), blended.iter().sum::<f32>());
            prop_assert!((before - behind).abs() < 1e-2, "{before} became {behind}");
        }
    }

    #[test]
    fn alpha_of_zero_changes_nothing() {
        let mixup = Mixup::new(3, 0.0, &mut Draw::new(1, 0, "", "mixup"));
        assert_eq!(mixup.apply(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn equal_keys_give_equal_blends() {
        let of_epoch = |epoch| Mixup::new(8, 0.4, &mut Draw::new(1, epoch, "", "mixup"));
        assert_eq!(of_epoch(3), of_epoch(3));
        assert_ne!(of_epoch(3), of_epoch(4));
    }

    #[test]
    fn shares_have_the_mean_and_the_variance_of_beta() {
        for alpha in [0.1, 0.4, 1.0, 3.0] {
            let mut draw = Draw::new(5, 0, "", "beta");
            let shares: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut draw)).collect();
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            let variance = shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / shares.len() as f64;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01, "mean {mean} of {alpha}");
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "variance {variance}, not {expected}, of {alpha}"
            );
        }
    }
}
