//! BLEU-1 to BLEU-4 over a corpus, from each image's clipped n-gram counts.

use rayon::prelude::*;

use super::n_gram::{Gram, ImageNGrams, MAX_N};
use super::{Captions, ImageWords};
use crate::metrics::figure::Figure;
use crate::metrics::score::{Metric, PERCENT};

const fn bleu(name: &'static str, about: &'static str) -> Metric {
    Metric { name, unit: PERCENT, higher_is_better: true, about }
}

/// BLEU-1 to BLEU-4.
pub const BLEU: [Metric; MAX_N] = [
    bleu("BLEU-1", "brevity penalty times corpus word precision, as pycocoevalcap"),
    bleu(
        "BLEU-2",
        "brevity penalty times the geometric mean of corpus 1- and 2-gram precision, as pycocoevalcap",
    ),
    bleu(
        "BLEU-3",
        "brevity penalty times the geometric mean of corpus 1- to 3-gram precision, as pycocoevalcap",
    ),
    bleu(
        "BLEU-4",
        "brevity penalty times the geometric mean of corpus 1- to 4-gram precision, as pycocoevalcap",
    ),
];

/// Keeps a quotient of zeros defined; added above the line.
const TINY: f64 = 1e-15;
/// Keeps a quotient of zeros defined; added below the line.
const SMALL: f64 = 1e-9;

/// Which length a hypothesis is held against when its image has several references.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferenceLength {
    /// The one nearest to the hypothesis's, the shorter of two that are as near: what the COCO evaluation reports.
    #[default]
    Closest,
    /// The mean over the references: what the reference's bare scorer takes for a corpus of one image.
    Average,
}

/// What every image contributes to BLEU.
///
/// # Formula
/// `BLEU-n = penalty · (Π_{k=1..n} (matches_k + 1e-15) / (guesses_k + 1e-9))^{1/n}`, matches clipped by the most that any
/// one reference has; `ratio = (words + 1e-15) / (reference words + 1e-9)`, `penalty = exp(1 - 1 / ratio)` below 1.
///
/// # Reference
/// Papineni et al. 2002; the small constants and length choices of pycocoevalcap 1.2 `bleu`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bleu {
    images: Vec<Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    matches: [u64; MAX_N],
    guesses: [u64; MAX_N],
    n_words: u64,
    reference_length: f64,
}

impl Bleu {
    /// Counts the images' n-grams.
    pub fn new(captions: &Captions, reference_length: ReferenceLength) -> Self {
        let count = |image: &ImageWords| Counts::of(&ImageNGrams::of(image), reference_length);
        Self { images: captions.words().par_iter().map(count).collect() }
    }

    /// Of images that are counted already.
    pub(super) fn of_counts(images: Vec<Counts>) -> Self {
        Self { images }
    }

    /// BLEU-1 to BLEU-4 of the corpus, 0 to 1.
    pub fn corpus(&self) -> [f64; MAX_N] {
        Counts::total(self.images.iter()).bleu()
    }

    /// BLEU-1 to BLEU-4 of one image alone, 0 to 1.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn image(&self, image_idx: usize) -> [f64; MAX_N] {
        self.images[image_idx].bleu()
    }

    /// The four of [`BLEU`] over images.
    pub fn figures(&self) -> Vec<Figure> {
        let one = self.figure(BLEU[0], |sums| bleu_of(sums)[0]);
        vec![
            one.clone(),
            one.with_sums(BLEU[1], |sums| bleu_of(sums)[1]),
            one.with_sums(BLEU[2], |sums| bleu_of(sums)[2]),
            one.with_sums(BLEU[3], |sums| bleu_of(sums)[3]),
        ]
    }
}

impl Bleu {
    /// Another score of the same counts: a function of four numbers of matches, four of guesses, the words and the
    /// reference length over a corpus.
    pub(crate) fn figure(&self, metric: Metric, statistic: fn(&[f64]) -> f64) -> Figure {
        Figure::of_sums(metric, self.images.iter().map(Counts::row), statistic)
    }
}

fn bleu_of(sums: &[f64]) -> [f64; MAX_N] {
    Counts::of_sums(sums).bleu()
}

impl Counts {
    /// Matches of an image's hypothesis with its references.
    pub(super) fn of(image: &ImageNGrams, reference_length: ReferenceLength) -> Self {
        let ImageNGrams { hypothesis, references } = image;
        let lengths = references.iter().map(|reference| reference.n_words);
        Self {
            matches: std::array::from_fn(|order| {
                let clipped = |(gram, count): &(Gram, u32)| {
                    let most = references.iter().filter_map(|reference| {
                        let counts = &reference.counts[order];
                        let place = counts.binary_search_by(|(other, _)| other.cmp(gram)).ok()?;
                        Some(counts[place].1)
                    });
                    u64::from(most.max().unwrap_or(0).min(*count))
                };
                hypothesis.counts[order].iter().map(clipped).sum()
            }),
            guesses: std::array::from_fn(|order| hypothesis.n_words.saturating_sub(order) as u64),
            n_words: hypothesis.n_words as u64,
            reference_length: match reference_length {
                ReferenceLength::Closest => lengths
                    .min_by_key(|&n_words| (n_words.abs_diff(hypothesis.n_words), n_words))
                    .unwrap_or(0) as f64,
                ReferenceLength::Average => lengths.sum::<usize>() as f64 / references.len() as f64,
            },
        }
    }

    fn total<'a>(images: impl Iterator<Item = &'a Self>) -> Self {
        images.fold(Self::default(), |mut total, image| {
            for order in 0..MAX_N {
                total.matches[order] += image.matches[order];
                total.guesses[order] += image.guesses[order];
            }
            total.n_words += image.n_words;
            total.reference_length += image.reference_length;
            total
        })
    }

    fn row(&self) -> [f64; 2 * MAX_N + 2] {
        let mut row = [0.0; 2 * MAX_N + 2];
        for order in 0..MAX_N {
            row[order] = self.matches[order] as f64;
            row[MAX_N + order] = self.guesses[order] as f64;
        }
        row[2 * MAX_N] = self.n_words as f64;
        row[2 * MAX_N + 1] = self.reference_length;
        row
    }

    /// What rows add up to.
    fn of_sums(sums: &[f64]) -> Self {
        Self {
            matches: std::array::from_fn(|order| sums[order] as u64),
            guesses: std::array::from_fn(|order| sums[MAX_N + order] as u64),
            n_words: sums[2 * MAX_N] as u64,
            reference_length: sums[2 * MAX_N + 1],
        }
    }

    fn bleu(&self) -> [f64; MAX_N] {
        let ratio = (self.n_words as f64 + TINY) / (self.reference_length + SMALL);
        let penalty = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
        let mut product = 1.0;
        std::array::from_fn(|order| {
            product *= (self.matches[order] as f64 + TINY) / (self.guesses[order] as f64 + SMALL);
            penalty * product.powf(1.0 / (order + 1) as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(hypotheses: &[&str], references: &[Vec<&str>], length: ReferenceLength) -> [f64; MAX_N] {
        Bleu::new(&Captions::from_tokenized(hypotheses, references).unwrap(), length).corpus()
    }

    #[test]
    fn repeated_words_are_clipped() {
        let references = vec![vec!["the cat is on the mat", "there is a cat on the mat"]];
        let bleu = corpus(&["the the the the the the the"], &references, ReferenceLength::Closest);
        assert!((bleu[0] - 2.0 / 7.0).abs() < 1e-9);
        // no bigram matches: only the tiny constant is left
        assert!(bleu[1] < 1e-7);
    }

    #[test]
    fn the_nearer_then_the_shorter_reference_sets_the_length() {
        let tie = vec![vec!["a b c d e f", "a b c d"]];
        let bleu = corpus(&["a b c d e"], &tie, ReferenceLength::Closest);
        assert!((bleu[0] - 1.0).abs() < 1e-9);
        let far = vec![vec!["a b c d", "a b c d e f g h"]];
        // mean length 6: exp(1 - 6/5) times the word precision
        let bleu = corpus(&["a b c d e"], &far, ReferenceLength::Average);
        assert!((bleu[0] - (-0.2f64).exp()).abs() < 1e-8);
    }

    #[test]
    fn an_empty_hypothesis_scores_nothing() {
        assert_eq!(corpus(&[""], &[vec!["a b c"]], ReferenceLength::Closest), [0.0; MAX_N]);
    }
}
