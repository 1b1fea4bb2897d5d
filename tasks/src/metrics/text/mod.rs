//! Scores of generated text as sacrebleu defines them: BLEU over 13a tokens and chrF over characters.

mod chrf;
mod tokenizer;

use rayon::prelude::*;

pub use chrf::CHRF;
pub use tokenizer::tokenize_13a;

use super::caption::{Bleu, Captions, ReferenceLength};
use super::error::MetricError;
use super::figure::{self, Figure};
use super::interval::Resampling;
use super::score::{Metric, PERCENT, Score};

/// Corpus BLEU.
pub const BLEU: Metric = Metric {
    name: "BLEU",
    unit: PERCENT,
    higher_is_better: true,
    about: "corpus BLEU over 1- to 4-grams of 13a tokens, zeros smoothed exponentially, as sacrebleu",
};

/// The release of sacrebleu whose figures these are.
const SACREBLEU: &str = "2.6.0";

/// Generated texts beside their references.
#[derive(Clone, Debug)]
pub struct Texts {
    bleu: Bleu,
    chrf: Vec<chrf::Row>,
    /// References a text, where all have as many.
    n_references: Option<usize>,
}

impl Texts {
    /// Counts the n-grams; `references[i]` are the texts that `hypotheses[i]` is held against. Empty texts are legal on
    /// both sides.
    ///
    /// # Errors
    /// As [`Captions::new`], with texts for images.
    ///
    /// # Reference
    /// sacrebleu 2.6 `BLEU()` and `CHRF()` with their defaults.
    pub fn new<H, R, L>(hypotheses: &[H], references: &[L]) -> Result<Self, MetricError>
    where
        H: AsRef<str> + Sync,
        R: AsRef<str>,
        L: AsRef<[R]> + Sync,
    {
        let tokens = Captions::with_tokens(hypotheses, references, tokenize_13a)?;
        let chrf = hypotheses
            .par_iter()
            .zip(references)
            .map(|(hypothesis, references)| chrf::count(hypothesis.as_ref(), references.as_ref()))
            .collect();
        let n_first = references[0].as_ref().len();
        let is_constant = references.iter().all(|references| references.as_ref().len() == n_first);
        Ok(Self {
            bleu: Bleu::new(&tokens, ReferenceLength::Closest),
            chrf,
            n_references: is_constant.then_some(n_first),
        })
    }

    /// [`BLEU`] and [`CHRF`] over texts.
    pub fn figures(&self) -> Vec<Figure> {
        let chrf = self.chrf.iter().copied();
        vec![self.bleu.figure(BLEU, smoothed_bleu), Figure::of_sums(CHRF, chrf, chrf::f_score)]
    }

    /// The [`figures`](Self::figures) in percent, with intervals over texts or their groups.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn scores(&self, resampling: &Resampling) -> Result<Vec<Score>, MetricError> {
        figure::scores(&self.figures(), resampling)
    }

    /// sacrebleu's signature of each score: print it beside the figure.
    pub fn signatures(&self, is_lowercase: bool) -> [(&'static str, String); 2] {
        let n_references =
            self.n_references.map_or("var".to_owned(), |n_references| n_references.to_string());
        let case = if is_lowercase { "lc" } else { "mixed" };
        [
            (
                BLEU.name,
                format!("nrefs:{n_references}|case:{case}|eff:no|tok:13a|smooth:exp|version:{SACREBLEU}"),
            ),
            (
                CHRF.name,
                format!("nrefs:{n_references}|case:{case}|eff:yes|nc:6|nw:0|space:no|version:{SACREBLEU}"),
            ),
        ]
    }
}

/// BLEU of summed counts, 0 to 1: the geometric mean of the precisions, each without a match counted as half, a quarter, ...
/// of a match; times `exp(1 - reference length / length)` when the text is shorter.
fn smoothed_bleu(sums: &[f64]) -> f64 {
    let (matches, guesses) = (&sums[..4], &sums[4..8]);
    let (n_words, reference_length) = (sums[8], sums[9]);
    if matches.iter().all(|&n_matches| n_matches == 0.0) || guesses.contains(&0.0) {
        return 0.0;
    }
    let mut halved = 1.0;
    let mut log_sum = 0.0;
    for (&n_matches, &n_guesses) in matches.iter().zip(guesses) {
        let n_matches = if n_matches == 0.0 {
            halved /= 2.0;
            halved
        } else {
            n_matches
        };
        log_sum += (n_matches / n_guesses).ln();
    }
    let penalty = if n_words < reference_length { (1.0 - reference_length / n_words).exp() } else { 1.0 };
    penalty * (log_sum / 4.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(hypothesis: &str, references: Vec<&str>) -> [f64; 2] {
        let figures = Texts::new(&[hypothesis], &[references]).unwrap().figures();
        [figures[0].value(), figures[1].value()]
    }

    #[test]
    fn perfect_texts_reach_the_top() {
        for value in value("The cat sat, it seems.", vec!["A dog.", "The cat sat, it seems."]) {
            assert!((value - 100.0).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn nothing_in_common_scores_zero() {
        assert_eq!(value("aaa bbb ccc ddd", vec!["xyz"]), [0.0, 0.0]);
        assert_eq!(value("", vec!["xyz"]), [0.0, 0.0]);
        assert_eq!(value("a", vec![""]), [0.0, 0.0]);
    }

    #[test]
    fn orders_without_a_match_are_smoothed() {
        // precisions 3/4, 1/3, 1/2 of 1/2, 1/4 of 1/1
        let expected = 100.0 * (0.75f64 * (1.0 / 3.0) * 0.25 * 0.25).powf(0.25);
        assert!((value("a b x c", vec!["a b y c"])[0] - expected).abs() < 1e-9);
    }

    #[test]
    fn signatures_say_what_was_done() {
        let texts = Texts::new(&["a", "b"], &[vec!["a"], vec!["b", "c"]]).unwrap();
        assert_eq!(texts.signatures(true)[0].1, "nrefs:var|case:lc|eff:no|tok:13a|smooth:exp|version:2.6.0");
    }
}
