//! ROUGE-L: the longest common subsequence with the references.

use rayon::prelude::*;

use super::{Captions, ImageCaptions};
use crate::metrics::score::{Metric, PERCENT};

/// ROUGE-L.
pub const ROUGE_L: Metric = Metric {
    name: "ROUGE-L",
    unit: PERCENT,
    higher_is_better: true,
    about: "F-score, β = 1.2, of the longest common subsequence with the references, as pycocoevalcap",
};

/// How much more recall counts than precision.
const BETA: f64 = 1.2;

/// ROUGE-L of each image, 0 to 1; the corpus score is their mean.
///
/// # Formula
/// With the best precision `P` and the best recall `R` over the references, taken apart from one another:
/// `(1 + β²) P R / (R + β² P)`. Tokens are what single spaces part, so an empty caption is one empty token.
///
/// # Reference
/// Lin 2004; pycocoevalcap 1.2 `rouge`.
pub fn rouge_l(captions: &Captions) -> Vec<f64> {
    captions.images().par_iter().map(image_rouge_l).collect()
}

fn image_rouge_l(image: &ImageCaptions) -> f64 {
    let hypothesis: Vec<&str> = image.hypothesis.split(' ').collect();
    let (mut precision, mut recall) = (0.0f64, 0.0f64);
    for reference in &image.references {
        let reference: Vec<&str> = reference.split(' ').collect();
        let n_common = longest_common_subsequence(&hypothesis, &reference) as f64;
        precision = precision.max(n_common / hypothesis.len() as f64);
        recall = recall.max(n_common / reference.len() as f64);
    }
    if precision == 0.0 {
        return 0.0;
    }
    (1.0 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision)
}

/// By bits, up to 64 tokens on the left; by the table of lengths beyond.
///
/// # Reference
/// Hyyrö, Bit-parallel LCS-length computation revisited (2004).
fn longest_common_subsequence(left: &[&str], right: &[&str]) -> usize {
    if left.len() > 64 {
        return table_of_lengths(left, right);
    }
    let mut rest = u64::MAX;
    for token in right {
        let mut equal = 0;
        for (place, other) in left.iter().enumerate() {
            equal |= u64::from(token == other) << place;
        }
        let matched = rest & equal;
        rest = rest.wrapping_add(matched) | (rest - matched);
    }
    let ends = if left.len() == 64 { u64::MAX } else { (1 << left.len()) - 1 };
    (!rest & ends).count_ones() as usize
}

fn table_of_lengths(left: &[&str], right: &[&str]) -> usize {
    let mut row = vec![0usize; right.len() + 1];
    for token in left {
        let mut diagonal = 0;
        for (idx, other) in right.iter().enumerate() {
            let above = row[idx + 1];
            row[idx + 1] = if token == other { diagonal + 1 } else { above.max(row[idx]) };
            diagonal = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(hypothesis: &str, references: Vec<&str>) -> f64 {
        rouge_l(&Captions::from_tokenized(&[hypothesis], &[references]).unwrap())[0]
    }

    #[test]
    fn subsequences_need_not_be_contiguous() {
        assert_eq!(longest_common_subsequence(&["a", "x", "b", "c"], &["a", "b", "y", "c"]), 3);
        assert_eq!(longest_common_subsequence(&[], &["a"]), 0);
    }

    proptest! {
        #[test]
        fn bits_and_table_agree(left in "[a-c ]{0,80}", right in "[a-c ]{0,80}") {
            let (left, right): (Vec<&str>, Vec<&str>) = (left.split(' ').collect(), right.split(' ').collect());
            prop_assert_eq!(longest_common_subsequence(&left, &right), table_of_lengths(&left, &right));
        }
    }

    #[test]
    fn precision_and_recall_may_come_from_different_references() {
        // precision 1 from the long one, recall 1 from the short one
        assert!((score("a b", vec!["a", "a b c d"]) - 1.0).abs() < 1e-15);
        // precision 2/3, recall 1/2
        let expected = 2.44 * (2.0 / 3.0) * 0.5 / (0.5 + 1.44 * 2.0 / 3.0);
        assert!((score("a b z", vec!["a b c d"]) - expected).abs() < 1e-12);
    }

    #[test]
    fn empty_captions_are_one_empty_token() {
        assert_eq!(score("", vec!["a"]), 0.0);
        assert_eq!(score("", vec![""]), 1.0);
    }
}
