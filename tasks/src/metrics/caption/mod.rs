//! Caption scores as the COCO caption evaluation defines them, over tokenised hypotheses and references.

mod bleu;
mod cider;
mod frequency;
mod lexer;
mod n_gram;
mod rouge;
mod tokenizer;

use rayon::prelude::*;

pub use bleu::{BLEU, Bleu, ReferenceLength};
pub use cider::{CIDER_D, cider_d};
pub use frequency::DocumentFrequencies;
pub use rouge::{ROUGE_L, rouge_l};
pub use tokenizer::{TOKENIZER, tokenize};

use self::frequency::ImageFrequencies;
use self::n_gram::{ImageNGrams, Vocabulary};
use super::error::MetricError;
use super::figure::{self, Figure};
use super::interval::Resampling;
use super::score::{Metric, PERCENT, Score};

/// Exact match.
pub const EXACT: Metric = Metric {
    name: "exact",
    unit: PERCENT,
    higher_is_better: true,
    about: "captions equal to one of their references, both tokenised",
};

/// Tokenised captions, one hypothesis and some references an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captions {
    images: Vec<ImageCaptions>,
    /// The same captions, their words numbered.
    words: Vec<ImageWords>,
    vocabulary: Vocabulary,
}

/// The captions of one image, words by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ImageWords {
    hypothesis: Vec<u32>,
    references: Vec<Vec<u32>>,
}

/// The captions of one image, tokens joined by single spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageCaptions {
    pub(crate) hypothesis: String,
    pub(crate) references: Vec<String>,
}

impl Captions {
    /// Tokenises with [`tokenize`]; `references[i]` are the captions of the image that `hypotheses[i]` describes. An empty
    /// hypothesis is legal and scores nothing.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when the lists do not pair up, [`MetricError::Empty`] without images,
    /// [`MetricError::NoReferences`] for an image without a reference.
    pub fn new<H, R, L>(hypotheses: &[H], references: &[L]) -> Result<Self, MetricError>
    where
        H: AsRef<str> + Sync,
        R: AsRef<str>,
        L: AsRef<[R]> + Sync,
    {
        Self::with_tokens(hypotheses, references, tokenize)
    }

    /// The same for captions that are already tokens joined by single spaces.
    ///
    /// # Errors
    /// As [`Captions::new`].
    pub fn from_tokenized<H, R, L>(hypotheses: &[H], references: &[L]) -> Result<Self, MetricError>
    where
        H: AsRef<str> + Sync,
        R: AsRef<str>,
        L: AsRef<[R]> + Sync,
    {
        Self::with_tokens(hypotheses, references, str::to_owned)
    }

    /// The same with another tokenizer.
    pub(crate) fn with_tokens<H, R, L>(
        hypotheses: &[H],
        references: &[L],
        tokens: impl Fn(&str) -> String + Sync,
    ) -> Result<Self, MetricError>
    where
        H: AsRef<str> + Sync,
        R: AsRef<str>,
        L: AsRef<[R]> + Sync,
    {
        if hypotheses.len() != references.len() {
            return Err(MetricError::Lengths {
                what: "hypotheses",
                expected: references.len(),
                got: hypotheses.len(),
            });
        }
        if references.is_empty() {
            return Err(MetricError::Empty { what: "image" });
        }
        if let Some(image_idx) = references.iter().position(|references| references.as_ref().is_empty()) {
            return Err(MetricError::NoReferences { image_idx });
        }
        let images: Vec<ImageCaptions> = hypotheses
            .par_iter()
            .zip(references)
            .map(|(hypothesis, references)| ImageCaptions {
                hypothesis: tokens(hypothesis.as_ref()),
                references: (references.as_ref().iter())
                    .map(|reference| tokens(reference.as_ref()))
                    .collect(),
            })
            .collect();
        let (vocabulary, words) = Vocabulary::of(&images);
        Ok(Self { images, words, vocabulary })
    }

    /// How many images there are.
    pub fn n_images(&self) -> usize {
        self.images.len()
    }

    /// The tokenised hypothesis of an image.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn hypothesis(&self, image_idx: usize) -> &str {
        &self.images[image_idx].hypothesis
    }

    /// The tokenised references of an image.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn references(&self, image_idx: usize) -> &[String] {
        &self.images[image_idx].references
    }

    fn words(&self) -> &[ImageWords] {
        &self.words
    }

    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(crate) fn images(&self) -> &[ImageCaptions] {
        &self.images
    }

    /// Whether each hypothesis equals one of its references.
    pub fn exact_matches(&self) -> Vec<bool> {
        self.images.iter().map(|image| image.references.contains(&image.hypothesis)).collect()
    }

    /// [`CIDER_D`], [`BLEU`] 1 to 4, [`ROUGE_L`] and [`EXACT`] over images.
    ///
    /// `frequencies` weighs the n-grams for CIDEr-D; without a table the references of these images are counted, so
    /// that the figure depends on which images are scored together. Resampling leaves the table as it is.
    ///
    /// # Errors
    /// As [`cider_d`].
    pub fn figures(&self, frequencies: Option<&DocumentFrequencies>) -> Result<Vec<Figure>, MetricError> {
        let (n_images, frequencies) = match frequencies {
            Some(table) => {
                table.check()?;
                (table.n_images, frequency::of_table(table, self))
            }
            None => (self.n_images() as u64, frequency::of_references(self)),
        };
        let log_images = (n_images as f64).ln();
        // both count the same n-grams
        let count = |(image, frequencies): (&ImageWords, ImageFrequencies)| {
            let n_grams = ImageNGrams::of(image);
            let bleu = bleu::Counts::of(&n_grams, ReferenceLength::Closest);
            (cider::of_image(&n_grams, log_images, &frequencies), bleu)
        };
        let (cider, bleu): (Vec<f64>, Vec<_>) = self.words.par_iter().zip(frequencies).map(count).unzip();
        let mut figures = vec![Figure::mean(CIDER_D, cider)];
        figures.extend(Bleu::of_counts(bleu).figures());
        figures.push(Figure::mean(ROUGE_L, rouge_l(self)));
        let exact = self.exact_matches().into_iter().map(|is_exact| f64::from(u8::from(is_exact)));
        figures.push(Figure::mean(EXACT, exact));
        Ok(figures)
    }

    /// The [`figures`](Self::figures) with intervals over images or their groups.
    ///
    /// # Errors
    /// As [`Resampling::interval`] and [`cider_d`].
    pub fn scores(
        &self,
        frequencies: Option<&DocumentFrequencies>,
        resampling: &Resampling,
    ) -> Result<Vec<Score>, MetricError> {
        figure::scores(&self.figures(frequencies)?, resampling)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn value(scores: &[Score], name: &str) -> f64 {
        scores.iter().find(|score| score.name == name).map(|score| score.value).unwrap_or(f64::NAN)
    }

    #[test]
    fn perfect_captions_reach_the_top_of_every_score() {
        let hypotheses =
            ["A red car on the street.", "two dogs play in the snow", "an empty table, by a window"];
        let references: Vec<Vec<&str>> = hypotheses.iter().map(|&caption| vec![caption]).collect();
        let scores =
            Captions::new(&hypotheses, &references).unwrap().scores(None, &Resampling::default()).unwrap();
        assert!((value(&scores, "CIDEr-D") - 10.0).abs() < 1e-9);
        for name in ["BLEU-1", "BLEU-4", "ROUGE-L", "exact"] {
            assert!((value(&scores, name) - 100.0).abs() < 1e-6, "{name}");
        }
        assert!(scores.iter().all(|score| score.n == 3));
    }

    #[test]
    fn exact_match_is_of_tokens_and_of_any_reference() {
        let captions =
            Captions::new(&["Red heart!", "dog"], &[vec!["heart", "red heart"], vec!["cat"]]).unwrap();
        assert_eq!(captions.exact_matches(), [true, false]);
        assert_eq!(captions.hypothesis(0), "red heart");
    }

    #[test]
    fn captions_that_do_not_pair_up_are_refused() {
        let none: [Vec<&str>; 0] = [];
        let no_hypotheses: [&str; 0] = [];
        let message = |hypotheses: &[&str], references: &[Vec<&str>]| {
            Captions::new(hypotheses, references).unwrap_err().to_string()
        };
        assert_eq!(
            message(&["a"], &[vec!["a"], vec!["b"]]),
            "lists of different length: expected 2 hypotheses, one for each of the references, got 1"
        );
        assert_eq!(message(&no_hypotheses, &none), "nothing to score: expected at least one image, got none");
        assert_eq!(
            message(&["a", "b"], &[vec!["a"], vec![]]),
            "image 1 has no reference caption: expected at least one"
        );
    }

    fn corpus() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
        let caption = "[a-d]( [a-d]){0,7}";
        prop::collection::vec((caption, prop::collection::vec(caption, 1..4)), 2..7)
    }

    fn points(corpus: &[(String, Vec<String>)]) -> Vec<f64> {
        let (hypotheses, references): (Vec<_>, Vec<_>) = corpus.iter().cloned().unzip();
        let captions = Captions::new(&hypotheses, &references).unwrap();
        let mut points = Bleu::new(&captions, ReferenceLength::Closest).corpus().to_vec();
        points.push(mean(&cider_d(&captions, &DocumentFrequencies::of(&captions)).unwrap()));
        points.push(mean(&rouge_l(&captions)));
        points
    }

    proptest! {
        #[test]
        fn scores_lie_in_their_range(corpus in corpus()) {
            for (place, point) in points(&corpus).into_iter().enumerate() {
                let top = if place == 4 { 10.0 } else { 1.0 };
                prop_assert!((0.0..=top + 1e-9).contains(&point), "{place}: {point}");
            }
        }

        #[test]
        fn the_order_of_images_and_references_does_not_matter(corpus in corpus(), shift in 0..7usize) {
            let mut rotated = corpus.clone();
            rotated.rotate_left(shift % corpus.len());
            for (_, references) in &mut rotated {
                references.reverse();
            }
            for (one, other) in points(&corpus).into_iter().zip(points(&rotated)) {
                prop_assert!((one - other).abs() < 1e-9, "{one} {other}");
            }
        }
    }
}
