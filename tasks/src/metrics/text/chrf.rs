//! chrF: agreement in character n-grams, 1 to 6, spaces left out.

use std::collections::HashMap;

use crate::metrics::normalizer::is_space;
use crate::metrics::score::{Metric, PERCENT};

/// chrF.
pub const CHRF: Metric = Metric {
    name: "chrF",
    unit: PERCENT,
    higher_is_better: true,
    about: "F-score, β = 2, of mean precision and recall of character 1- to 6-grams, as sacrebleu's chrF2",
};

const MAX_N: usize = 6;
/// β².
const RECALL_WEIGHT: f64 = 4.0;

/// For n = 1 to 6: n-grams of the hypothesis, of the reference, and of both.
pub(super) type Row = [f64; 3 * MAX_N];

/// The counts against the reference with the best score of its own, the first of several as good.
pub(super) fn count(hypothesis: &str, references: &[impl AsRef<str>]) -> Row {
    let hypothesis = characters(hypothesis);
    let counts: [HashMap<&[char], u32>; MAX_N] = std::array::from_fn(|order| n_grams(&hypothesis, order + 1));
    let mut best = ([0.0; 3 * MAX_N], -1.0);
    for reference in references {
        let reference = characters(reference.as_ref());
        let mut row = [0.0; 3 * MAX_N];
        for (order, counts) in counts.iter().enumerate() {
            let others = n_grams(&reference, order + 1);
            let shared =
                counts.iter().map(|(n_gram, &count)| count.min(others.get(n_gram).copied().unwrap_or(0)));
            let n_shared: u32 = shared.sum();
            let n_total = |length: usize| length.saturating_sub(order) as f64;
            // without n-grams in the reference the hypothesis's do not count
            row[3 * order] = if others.is_empty() { 0.0 } else { n_total(hypothesis.len()) };
            row[3 * order + 1] = n_total(reference.len());
            row[3 * order + 2] = f64::from(n_shared);
        }
        let score = f_score(&row);
        if score > best.1 {
            best = (row, score);
        }
    }
    best.0
}

/// The score of summed counts, 0 to 1: precision and recall are means over the n that both sides have n-grams of.
pub(super) fn f_score(sums: &[f64]) -> f64 {
    let (mut precision, mut recall, mut n_orders) = (0.0, 0.0, 0.0);
    for counts in sums.chunks_exact(3) {
        if counts[0] > 0.0 && counts[1] > 0.0 {
            precision += counts[2] / counts[0];
            recall += counts[2] / counts[1];
            n_orders += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    (precision, recall) = (precision / n_orders, recall / n_orders);
    (1.0 + RECALL_WEIGHT) * precision * recall / (RECALL_WEIGHT * precision + recall)
}

fn characters(text: &str) -> Vec<char> {
    text.chars().filter(|&c| !is_space(c)).collect()
}

fn n_grams(characters: &[char], n: usize) -> HashMap<&[char], u32> {
    let mut counts = HashMap::with_capacity(characters.len());
    for n_gram in characters.windows(n) {
        *counts.entry(n_gram).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_do_not_count_and_the_best_reference_does() {
        assert_eq!(f_score(&count("a b c", &["abc"])), 1.0);
        assert_eq!(count("abcd", &["xyz", "abcd"]), count("abcd", &["abcd"]));
    }

    #[test]
    fn recall_weighs_four_times_as_much() {
        // n = 1 alone: precision 1, recall 1/2
        let row = count("a", &["ab"]);
        let expected = 5.0 * 0.5 / (4.0 + 0.5);
        assert!((f_score(&row) - expected).abs() < 1e-12);
    }
}
