//! ROUGE-L: the longest common subsequence with the references.

use rayon::prelude::*;

use super::{Captions, ImageCaptions, ImageWords};
use crate::metrics::normalizer::is_space;
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
    let images = captions.images().par_iter().zip(captions.words());
    let score = |(image, words): (&ImageCaptions, &ImageWords)| match is_of_words(image) {
        true => score(&words.hypothesis, words.references.iter().map(Vec::as_slice)),
        false => {
            let tokens = |caption: &'_ str| caption.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
            let references = image.references.iter().map(|reference| tokens(reference)).collect::<Vec<_>>();
            score(&tokens(&image.hypothesis), references.iter().map(Vec::as_slice))
        }
    };
    images.map(score).collect()
}

/// Whether the tokens are the words that were numbered: words have other spaces between them too.
fn is_of_words(image: &ImageCaptions) -> bool {
    let is_word = |token: &str| !token.is_empty() && !token.contains(is_space);
    let mut captions = std::iter::once(&image.hypothesis).chain(&image.references);
    captions.all(|caption| caption.split(' ').all(is_word))
}

fn score<'a, T: PartialEq + 'a>(hypothesis: &[T], references: impl Iterator<Item = &'a [T]>) -> f64 {
    let (mut precision, mut recall) = (0.0f64, 0.0f64);
    for reference in references {
        let n_common = longest_common_subsequence(hypothesis, reference) as f64;
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
fn longest_common_subsequence<T: PartialEq>(left: &[T], right: &[T]) -> usize {
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

fn table_of_lengths<T: PartialEq>(left: &[T], right: &[T]) -> usize {
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

    fn of(hypothesis: &str, references: Vec<&str>) -> f64 {
        rouge_l(&Captions::from_tokenized(&[hypothesis], &[references]).unwrap())[0]
    }

    #[test]
    fn subsequences_need_not_be_contiguous() {
        assert_eq!(longest_common_subsequence(&["a", "x", "b", "c"], &["a", "b", "y", "c"]), 3);
        assert_eq!(longest_common_subsequence::<&str>(&[], &["a"]), 0);
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
        assert!((of("a b", vec!["a", "a b c d"]) - 1.0).abs() < 1e-15);
        // precision 2/3, recall 1/2
        let expected = 2.44 * (2.0 / 3.0) * 0.5 / (0.5 + 1.44 * 2.0 / 3.0);
        assert!((of("a b z", vec!["a b c d"]) - expected).abs() < 1e-12);
    }

    #[test]
    fn tokens_with_a_space_of_another_kind_are_one() {
        assert_eq!(of("1\u{a0}1/2 cups", vec!["1\u{a0}1/2 spoons"]), 0.5);
    }

    #[test]
    fn empty_captions_are_one_empty_token() {
        assert_eq!(of("", vec!["a"]), 0.0);
        assert_eq!(of("", vec![""]), 1.0);
    }
}
