//! CIDEr-D: consensus with the references by tf-idf n-gram vectors, with clipping and a length penalty.

use rayon::prelude::*;

use super::frequency::{self, DocumentFrequencies, ImageFrequencies};
use super::n_gram::{Gram, ImageNGrams, MAX_N, NGrams, shared};
use super::{Captions, ImageWords};
use crate::metrics::error::MetricError;
use crate::metrics::score::Metric;

/// CIDEr-D.
pub const CIDER_D: Metric = Metric {
    name: "CIDEr-D",
    unit: "points",
    higher_is_better: true,
    about: "tf-idf agreement with the references' n-grams from 0 to 10, as pycocoevalcap prints it; papers give 100 times that",
};

/// Width of the length penalty, in bigrams.
const SIGMA: f64 = 6.0;
/// What the mean similarity is multiplied by.
const SCALE: f64 = 10.0;

/// CIDEr-D of each image, 0 to 10; the corpus score is their mean.
///
/// # Formula
/// For n = 1..4, `g_n(c)` is the vector of `count · idf` over the caption's n-grams,
/// `idf = ln(images) - ln(max(1, df))`. With hypothesis `h` and reference `r`, `Δ` the difference of their numbers of
/// bigrams, and σ = 6: `sim_n = Σ min(h, r) · r / (‖h‖ ‖r‖) · exp(-Δ² / 2σ²)`. The score is 10 times the mean of
/// `sim_n` over n and then over the references. With a table of one image every idf, and so the score, is 0.
///
/// # Errors
/// [`MetricError::Empty`] and [`MetricError::DocumentFrequency`] for a table without images or with a frequency above
/// their number.
///
/// # Reference
/// Vedantam, Zitnick and Parikh, CVPR 2015, section 5 (CIDEr-D); pycocoevalcap 1.2 `cider`, which is this variant and
/// takes the length as the number of bigrams.
pub fn cider_d(captions: &Captions, frequencies: &DocumentFrequencies) -> Result<Vec<f64>, MetricError> {
    frequencies.check()?;
    let log_images = (frequencies.n_images as f64).ln();
    let score = |(image, frequencies): (&ImageWords, ImageFrequencies)| {
        of_image(&ImageNGrams::of(image), log_images, &frequencies)
    };
    Ok(captions.words().par_iter().zip(frequency::of_table(frequencies, captions)).map(score).collect())
}

/// CIDEr-D of one image, whose n-grams are all in `frequencies`.
pub(super) fn of_image(image: &ImageNGrams, log_images: f64, frequencies: &ImageFrequencies) -> f64 {
    let inverse = InverseFrequencies::new(log_images, frequencies);
    let hypothesis = Weighted::of(&image.hypothesis, &inverse);
    let similarities =
        (image.references.iter()).map(|reference| hypothesis.similarity(&Weighted::of(reference, &inverse)));
    SCALE * similarities.sum::<f64>() / image.references.len() as f64
}

/// For n = 1 to 4: the n-grams of an image, sorted, with their idf.
struct InverseFrequencies([Vec<(Gram, f64)>; MAX_N]);

impl InverseFrequencies {
    fn new(log_images: f64, frequencies: &ImageFrequencies) -> Self {
        let ImageFrequencies { grams, frequencies } = frequencies;
        let mut start = 0;
        Self(std::array::from_fn(|order| {
            // sorted, n-grams of one n stand together: a word more is 32 bits more
            let is_shorter = |gram: &Gram| gram >> (32 * order) >> 32 == 0;
            let end = if order + 1 == MAX_N { grams.len() } else { grams.partition_point(is_shorter) };
            let idf = |frequency: u64| log_images - (frequency.max(1) as f64).ln();
            let entries = grams[start..end].iter().zip(&frequencies[start..end]);
            start = end;
            entries.map(|(&gram, &frequency)| (gram, idf(frequency))).collect()
        }))
    }
}

/// A caption's tf-idf vectors.
struct Weighted {
    weights: [Vec<(Gram, f64)>; MAX_N],
    norms: [f64; MAX_N],
    n_bigrams: f64,
}

impl Weighted {
    /// The caption is one of the image's.
    fn of(n_grams: &NGrams, inverse: &InverseFrequencies) -> Self {
        let weights = std::array::from_fn(|order| {
            let with_idf = shared(&n_grams.counts[order], &inverse.0[order]);
            let weights = with_idf.map(|(count, idf)| f64::from(count) * idf);
            n_grams.counts[order].iter().map(|&(gram, _)| gram).zip(weights).collect::<Vec<_>>()
        });
        let norms = std::array::from_fn(|order| {
            weights[order].iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt()
        });
        Self { weights, norms, n_bigrams: n_grams.n_words.saturating_sub(1) as f64 }
    }

    /// Mean over n of the clipped cosine, with the length penalty; `self` is the hypothesis.
    fn similarity(&self, reference: &Self) -> f64 {
        let difference = self.n_bigrams - reference.n_bigrams;
        let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
        let cosines = (0..MAX_N).map(|order| {
            let product: f64 = shared(&self.weights[order], &reference.weights[order])
                .map(|(own, other)| own.min(other) * other)
                .sum();
            let norms = self.norms[order] * reference.norms[order];
            if norms == 0.0 { 0.0 } else { product / norms }
        });
        penalty * cosines.sum::<f64>() / MAX_N as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn document_frequencies_count_an_image_once() {
        let captions = Captions::from_tokenized(&["a", "a"], &[vec!["a b", "a b a"], vec!["a c"]]).unwrap();
        let table = DocumentFrequencies::of(&captions);
        assert_eq!(table.n_images, 2);
        assert_eq!(table.counts["a"], 2);
        assert_eq!(table.counts["a b"], 1);
        assert_eq!(table.counts["a b a"], 1);
        let json = serde_json::to_string(&table).expect("plain data");
        assert_eq!(serde_json::from_str::<DocumentFrequencies>(&json).expect("its own output"), table);
    }

    #[test]
    fn one_image_alone_scores_zero_and_a_given_table_mends_it() {
        let captions = Captions::from_tokenized(&["a b c d e"], &[vec!["a b c d e"]]).unwrap();
        assert_eq!(cider_d(&captions, &DocumentFrequencies::of(&captions)), Ok(vec![0.0]));
        let table = DocumentFrequencies { n_images: 10, counts: BTreeMap::new() };
        assert!((cider_d(&captions, &table).unwrap()[0] - 10.0).abs() < 1e-12);
    }

    #[test]
    fn the_length_penalty_is_a_gaussian_of_bigrams() {
        let captions = Captions::from_tokenized(&["a"], &[vec!["a a a a"]]).unwrap();
        let table = DocumentFrequencies { n_images: 10, counts: BTreeMap::new() };
        // cosine clipped to 1/4 for n = 1, nothing above; 3 bigrams apart
        let expected = 10.0 * 0.25 * (1.0 * 4.0 / 4.0) * (-9.0f64 / 72.0).exp();
        assert!((cider_d(&captions, &table).unwrap()[0] - expected).abs() < 1e-12);
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        let captions = Captions::from_tokenized(&["a"], &[vec!["a"]]).unwrap();
        let table = DocumentFrequencies { n_images: 2, counts: BTreeMap::from([("a".to_owned(), 3)]) };
        assert_eq!(
            cider_d(&captions, &table).unwrap_err().to_string(),
            "document frequency of \"a\" is 3: expected at most the 2 images counted"
        );
        let empty = DocumentFrequencies { n_images: 0, counts: BTreeMap::new() };
        assert!(matches!(cider_d(&captions, &empty), Err(MetricError::Empty { .. })));
    }
}
