//! CIDEr-D: consensus with the references by tf-idf n-gram vectors, with clipping and a length penalty.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::n_gram::{Gram, GramMap, MAX_N, NGrams, shared};
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

/// In how many images' references each n-gram occurs. Figures compare only under the same table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentFrequencies {
    /// How many images were counted.
    pub n_images: u64,
    /// N-grams of 1 to 4 tokens, joined by a space; those in no reference are left out.
    pub counts: BTreeMap<String, u64>,
}

impl DocumentFrequencies {
    /// Counts the references of these images, an n-gram once an image.
    pub fn of(captions: &Captions) -> Self {
        let counted = GramFrequencies::of(captions);
        let grams = counted.shards.iter().flatten();
        let counts = grams.map(|(&gram, &count)| (captions.vocabulary().text(gram), count)).collect();
        Self { n_images: counted.n_images, counts }
    }

    fn check(&self) -> Result<(), MetricError> {
        if self.n_images == 0 {
            return Err(MetricError::Empty { what: "image counted for document frequencies" });
        }
        match self.counts.iter().find(|&(_, &frequency)| frequency > self.n_images) {
            None => Ok(()),
            Some((n_gram, &frequency)) => Err(MetricError::DocumentFrequency {
                n_gram: n_gram.clone(),
                frequency,
                n_images: self.n_images,
            }),
        }
    }
}

/// The same for n-grams whose words are numbered, in parts that can be counted side by side.
struct GramFrequencies {
    n_images: u64,
    shards: Vec<GramMap<u64>>,
}

/// More parts than any machine of today has use for; each reads all n-grams once.
const N_SHARDS: usize = 16;

impl GramFrequencies {
    fn of(captions: &Captions) -> Self {
        let in_image: Vec<Vec<Gram>> = captions
            .words()
            .par_iter()
            .map(|image| {
                let mut grams: Vec<Gram> = (image.references.iter())
                    .flat_map(|reference| NGrams::of(reference).counts)
                    .flatten()
                    .map(|(gram, _)| gram)
                    .collect();
                grams.sort_unstable();
                grams.dedup();
                grams
            })
            .collect();
        let count = |shard_idx: usize| {
            let mut counts = GramMap::default();
            for &gram in in_image.iter().flatten().filter(|&&gram| shard_of(gram) == shard_idx) {
                *counts.entry(gram).or_default() += 1;
            }
            counts
        };
        let shards = (0..N_SHARDS).into_par_iter().map(count).collect();
        Self { n_images: captions.n_images() as u64, shards }
    }

    /// What a table says of the n-grams that occur here.
    fn of_table(table: &DocumentFrequencies, captions: &Captions) -> Self {
        let mut shards = vec![GramMap::default(); N_SHARDS];
        for (text, &count) in &table.counts {
            if let Some(gram) = captions.vocabulary().gram(text) {
                shards[shard_of(gram)].insert(gram, count);
            }
        }
        Self { n_images: table.n_images, shards }
    }

    fn get(&self, gram: Gram) -> u64 {
        self.shards[shard_of(gram)].get(&gram).copied().unwrap_or(0)
    }
}

fn shard_of(gram: Gram) -> usize {
    // other bits than the maps' own
    let folded = gram as u64 ^ (gram >> 64) as u64;
    (folded ^ folded >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> 20 & (N_SHARDS - 1)
}

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
    Ok(score(captions, &GramFrequencies::of_table(frequencies, captions)))
}

/// The same with the references' own document frequencies.
pub(super) fn own_cider_d(captions: &Captions) -> Vec<f64> {
    score(captions, &GramFrequencies::of(captions))
}

fn score(captions: &Captions, frequencies: &GramFrequencies) -> Vec<f64> {
    let score = |image: &ImageWords| {
        let hypothesis = Weighted::of(&image.hypothesis, frequencies);
        let similarities = image
            .references
            .iter()
            .map(|reference| hypothesis.similarity(&Weighted::of(reference, frequencies)));
        SCALE * similarities.sum::<f64>() / image.references.len() as f64
    };
    captions.words().par_iter().map(score).collect()
}

/// A caption's tf-idf vectors.
struct Weighted {
    weights: [Vec<(Gram, f64)>; MAX_N],
    norms: [f64; MAX_N],
    n_bigrams: f64,
}

impl Weighted {
    fn of(caption: &[u32], frequencies: &GramFrequencies) -> Self {
        let n_grams = NGrams::of(caption);
        let log_images = (frequencies.n_images as f64).ln();
        let weights = n_grams.counts.map(|counts| {
            let weigh = |(gram, count): (Gram, u32)| {
                let frequency = frequencies.get(gram).max(1);
                (gram, f64::from(count) * (log_images - (frequency as f64).ln()))
            };
            counts.into_iter().map(weigh).collect::<Vec<_>>()
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
