//! Whether two speech recognisers differ: the matched-pairs test of sentence segments that NIST's evaluations report.

use serde::{Deserialize, Serialize};

use super::word_errors::{AlignedWord, WordAlignment};

/// Words that both systems have right, one behind the other, after which errors are taken to be independent.
const N_GOOD: usize = 2;

/// The test of two systems over the same references.
///
/// A segment is a stretch of an utterance with errors of either system; it ends where both have two reference words right, one
/// behind the other, or where the utterance ends. The errors of the two in a segment are a matched pair; segments, unlike
/// words, are nearly independent of one another.
///
/// # Formula
/// With `d` the errors of the system less those of the other, over `n` segments: `z = mean(d) / (sd(d) / √n)`, `sd` with
/// `n - 1`; `p = erfc(|z| / √2)`, two-sided. The normal distribution is good from some fifty segments on.
///
/// # Reference
/// Gillick and Cox, ICASSP 1989; `sc_stats` of NIST's sctk, whose segments end after two words too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchedPairs {
    /// Segments with errors.
    pub n_segments: usize,
    /// Errors of the system less those of the other, a segment.
    pub mean_difference: f64,
    /// Standard deviation of the differences; none with fewer than two segments.
    pub standard_deviation: Option<f64>,
    /// How many standard errors the mean is from 0; none where all differences are equal or there are fewer than two.
    pub z: Option<f64>,
    /// Probability of a difference as large between systems that are equally good, two-sided; none where `z` is, but 1 when
    /// no segment tells the systems apart.
    pub p: Option<f64>,
}

impl MatchedPairs {
    /// Compares the alignments of two systems, utterance by utterance.
    ///
    /// # Panics
    /// When the two have different numbers of utterances or reference words.
    pub fn new(system: &[WordAlignment], other: &[WordAlignment]) -> Self {
        assert_eq!(system.len(), other.len(), "numbers of utterances differ");
        let segments = system.iter().zip(other).flat_map(|(system, other)| segments(system, other));
        Self::of_differences(&segments.map(|[own, other]| own as f64 - other as f64).collect::<Vec<_>>())
    }

    fn of_differences(differences: &[f64]) -> Self {
        let n = differences.len() as f64;
        let mean = if differences.is_empty() { 0.0 } else { differences.iter().sum::<f64>() / n };
        let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
        let deviation = (differences.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        let z = deviation.filter(|&deviation| deviation > 0.0).map(|deviation| mean / (deviation / n.sqrt()));
        let is_all_zero = differences.iter().all(|&difference| difference == 0.0);
        Self {
            n_segments: differences.len(),
            mean_difference: mean,
            standard_deviation: deviation,
            z,
            p: z.map(|z| erfc(z.abs() / std::f64::consts::SQRT_2)).or(is_all_zero.then_some(1.0)),
        }
    }
}

/// Errors of one system at each reference word, and before each and behind the last.
struct Errors {
    is_wrong: Vec<bool>,
    n_inserted: Vec<u64>,
}

impl Errors {
    fn of(alignment: &WordAlignment) -> Self {
        let mut errors = Self { is_wrong: Vec::new(), n_inserted: vec![0] };
        for word in alignment.words() {
            if let AlignedWord::Insertion(_) = word {
                *errors.n_inserted.last_mut().unwrap_or(&mut 0) += 1;
            } else {
                errors.is_wrong.push(!matches!(word, AlignedWord::Hit(_)));
                errors.n_inserted.push(0);
            }
        }
        errors
    }
}

/// Errors of the two systems in each segment of an utterance.
fn segments(system: &WordAlignment, other: &WordAlignment) -> Vec<[u64; 2]> {
    let systems = [Errors::of(system), Errors::of(other)];
    let n_words = systems[0].is_wrong.len();
    assert_eq!(systems[1].is_wrong.len(), n_words, "numbers of reference words differ");
    let mut segments = Vec::new();
    let (mut errors, mut n_good) = ([0; 2], 0);
    for place in 0..=n_words {
        let inserted = systems.each_ref().map(|system| system.n_inserted[place]);
        let wrong = systems.each_ref().map(|system| u64::from(system.is_wrong.get(place) == Some(&true)));
        if inserted != [0; 2] {
            n_good = 0;
        }
        n_good = if wrong == [0; 2] { n_good + 1 } else { 0 };
        for (errors, (inserted, wrong)) in errors.iter_mut().zip(inserted.iter().zip(wrong)) {
            *errors += inserted + wrong;
        }
        let is_end = place == n_words || n_good >= N_GOOD;
        if is_end && errors != [0; 2] {
            segments.push(errors);
            errors = [0; 2];
        }
    }
    segments
}

/// The complementary error function of `x` from 0 on, to 1e-11 of its value.
///
/// # Reference
/// Abramowitz and Stegun 1964, 7.1.6 (series) and 7.1.14 (continued fraction).
fn erfc(x: f64) -> f64 {
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum;
    }
    // from the inside out
    let fraction = (1..=100).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Normalizer;

    fn pairs(reference: &str, system: &str, other: &str) -> Vec<[u64; 2]> {
        let align = |hypothesis: &str| WordAlignment::of_all(Normalizer::None, &[reference], &[hypothesis]);
        segments(&align(system)[0], &align(other)[0])
    }

    #[test]
    fn two_words_that_both_have_right_end_a_segment() {
        assert_eq!(pairs("a b c d e f", "x b c d e y", "a b c d e f"), [[1, 0], [1, 0]]);
        // one word between errors is too few
        assert_eq!(pairs("a b c d e f", "x b y d e f", "a b c d e f"), [[2, 0]]);
        // the words between are not right for both
        assert_eq!(pairs("a b c d e f", "x b c d e y", "a b z d e f"), [[1, 1], [1, 0]]);
        assert_eq!(pairs("a b c d", "x b c d", "a b z d"), [[1, 1]]);
        assert_eq!(pairs("a b c d", "a b c d", "a b c d"), Vec::<[u64; 2]>::new());
    }

    #[test]
    fn insertions_belong_to_the_place_where_they_stand() {
        assert_eq!(pairs("a b c d e", "a b x c d e", "a b c d e"), [[1, 0]]);
        // an insertion parts two right words
        assert_eq!(pairs("a b c d", "x b y c d", "a b c d"), [[2, 0]]);
        assert_eq!(pairs("a b c", "a b c x", "y a b c"), [[0, 1], [1, 0]]);
        assert_eq!(pairs("", "x y", "x"), [[2, 1]]);
    }

    #[test]
    fn the_statistic_is_that_of_paired_differences() {
        // mean 0.5, squares 9.5 of 10 differences: sd 0.8498, z 1.8605, two-sided 0.0628
        let differences = [1.0, 0.0, 1.0, 2.0, -1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let test = MatchedPairs::of_differences(&differences);
        assert_eq!((test.n_segments, test.mean_difference), (10, 0.5));
        assert!((test.standard_deviation.expect("ten") - 0.849_836_585_6).abs() < 1e-9);
        assert!((test.z.expect("they differ") - 1.860_521_018_8).abs() < 1e-9);
        assert!((test.p.expect("they differ") - 0.062_812_).abs() < 1e-4);
    }

    #[test]
    fn systems_that_cannot_be_told_apart_are_not_told_apart() {
        let p = |differences: &[f64]| MatchedPairs::of_differences(differences).p;
        assert_eq!((p(&[]), p(&[0.0, 0.0]), p(&[2.0]), p(&[1.0, 1.0])), (Some(1.0), Some(1.0), None, None));
        assert_eq!(p(&[1.0, -1.0]), Some(1.0));
    }

    #[test]
    fn erfc_agrees_with_tables() {
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.959_963_984_540_054 / std::f64::consts::SQRT_2, 0.05),
            (2.4, 6.885_138_966_450_79e-4),
            (2.6, 2.360_344_165_293_492e-4),
            (5.0, 1.537_459_794_428_035e-12),
        ] {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-11, "erfc({x}) = {:e}", erfc(x));
        }
    }
}
