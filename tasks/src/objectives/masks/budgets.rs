//! How many tokens of each modality are seen, and how many predicted.

use triptych_datasets::draw::Draw;

/// Shares that sum up to 1, drawn from a symmetric Dirichlet distribution: a small `alpha` favours one of them, a large one
/// gives all the same.
///
/// # Reference
/// Mizrahi et al. 2023 (4M), section 3.1; each share is a gamma variate over their sum, drawn as by Marsaglia and Tsang,
/// "A simple method for generating gamma variables", 2000.
pub fn dirichlet(n: usize, alpha: f32, draw: &mut Draw) -> Vec<f32> {
    // in logarithms: with a small alpha the variates themselves are below what a number can hold
    let logs = (0..n).map(|_| log_gamma_variate(f64::from(alpha), draw)).collect::<Vec<_>>();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares = logs.iter().map(|log| (log - largest).exp()).collect::<Vec<_>>();
    let total = shares.iter().sum::<f64>();
    shares.into_iter().map(|share| (share / total) as f32).collect()
}

/// The logarithm of a gamma variate of this shape and scale 1.
fn log_gamma_variate(shape: f64, draw: &mut Draw) -> f64 {
    let mut open = || 1.0 - f64::from(draw.uniform());
    if shape < 1.0 {
        let boost = open().ln() / shape;
        return log_gamma_variate(shape + 1.0, draw) + boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = f64::from(draw.normal_pair().0);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 {
            let u = 1.0 - f64::from(draw.uniform());
            if u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return (d * v).ln();
            }
        }
    }
}

/// Divides `total` tokens by the shares of a [`dirichlet`] draw among modalities that have `counts` of them: all of `total`,
/// as far as there are so many. What a modality cannot take goes to the others.
pub fn budgets(counts: &[usize], total: usize, alpha: f32, draw: &mut Draw) -> Vec<usize> {
    let shares = dirichlet(counts.len(), alpha, draw);
    let total = total.min(counts.iter().sum());
    let wanted = shares.iter().map(|share| share * total as f32).collect::<Vec<_>>();
    let mut budgets =
        wanted.iter().zip(counts).map(|(wanted, count)| (*wanted as usize).min(*count)).collect::<Vec<_>>();
    let lacks = |budgets: &[usize], idx: usize| wanted[idx] - budgets[idx] as f32;
    // rounding may have given too many by as many as there are modalities
    for _ in budgets.iter().sum::<usize>()..total {
        let open = (0..counts.len()).filter(|&idx| budgets[idx] < counts[idx]);
        let most = open.max_by(|&a, &b| lacks(&budgets, a).total_cmp(&lacks(&budgets, b)));
        let Some(most) = most else { break };
        budgets[most] += 1;
    }
    budgets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn budgets_sum_up_to_the_total_and_fit(
            counts in prop::collection::vec(0usize..60, 1..4), total in 0usize..200, alpha in 0.01f32..10.0, seed: u64
        ) {
            let found = budgets(&counts, total, alpha, &mut Draw::new(seed, 0, "", ""));
            prop_assert!(found.iter().zip(&counts).all(|(found, count)| found <= count), "{:?}", found);
            prop_assert_eq!(found.iter().sum::<usize>(), total.min(counts.iter().sum()));
        }
    }

    #[test]
    fn shares_have_the_mean_and_variance_of_a_dirichlet_distribution() {
        for alpha in [0.1f32, 1.0, 4.0] {
            let mut draw = Draw::new(1, 0, "", "");
            let n = 20_000;
            let shares = (0..n).map(|_| dirichlet(3, alpha, &mut draw)).collect::<Vec<_>>();
            assert!(shares.iter().all(|shares| (shares.iter().sum::<f32>() - 1.0).abs() < 1e-5));
            for idx in 0..3 {
                let of_one = || shares.iter().map(|shares| f64::from(shares[idx]));
                let mean = of_one().sum::<f64>() / f64::from(n);
                let variance = of_one().map(|share| (share - mean).powi(2)).sum::<f64>() / f64::from(n);
                // mean 1 / k, variance (1 / k) (1 - 1 / k) / (k alpha + 1)
                let expected = (2.0 / 9.0) / (3.0 * f64::from(alpha) + 1.0);
                assert!((mean - 1.0 / 3.0).abs() < 0.01, "alpha {alpha}: mean {mean}");
                assert!(
                    (variance / expected - 1.0).abs() < 0.05,
                    "alpha {alpha}: variance {variance}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn tiny_concentrations_give_all_to_one() {
        let mut draw = Draw::new(1, 0, "", "");
        for _ in 0..100 {
            let shares = dirichlet(3, 1e-4, &mut draw);
            assert!(shares.iter().any(|share| *share > 0.99), "{shares:?}");
        }
    }
}
