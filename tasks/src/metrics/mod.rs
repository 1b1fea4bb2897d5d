//! What a prediction is worth: scores over hypotheses and references (strings, ids, similarity rows), never tensors.
//!
//! | task | scores | from |
//! |---|---|---|
//! | speech recognition | WER, CER, MER, WIL | [`WordErrors`] |
//! | captions | CIDEr-D, BLEU-1 to 4, ROUGE-L, exact | [`Captions`] |
//! | answers to questions | VQA accuracy, exact answer | [`Answers`] |
//! | retrieval | R@1, R@5, R@10, median and mean rank, mAP | [`Ranks`] |
//! | text generation | BLEU, chrF | [`Texts`] |
//! | classification | top-1 and top-5 accuracy, that of the mean class, macro F1, calibration | [`Classifications`] |
//! | audits of bias | any figure by group, skew of rankings, captions that change with an attribute | [`bias`] |
//!
//! Each gives [`Figure`]s, and they [`Score`]s with bootstrap intervals and [`Comparison`]s of two systems. Shares are
//! in percent; CIDEr-D is in points as its reference prints it. What the texts went through ([`Normalizer`],
//! [`TOKENIZER`](caption::TOKENIZER)) is part of a figure: print both.

mod alignment;
pub mod answers;
pub mod bias;
pub mod caption;
pub mod classification;
mod error;
mod figure;
mod interval;
mod matched_pairs;
mod normalizer;
mod pairing;
mod proportion;
pub mod retrieval;
mod score;
mod significance;
pub mod text;
pub mod word_errors;

pub use alignment::{Edit, EditCounts, align, edits};
pub use answers::{Answers, normalise_answer};
pub use caption::Captions;
pub use classification::Classifications;
pub use error::MetricError;
pub use figure::Figure;
pub use interval::{Bootstrap, Clusters, Interval, LEVEL, Resampling, bootstrap};
pub use matched_pairs::MatchedPairs;
pub use normalizer::Normalizer;
pub use pairing::pair_by_id;
pub use proportion::proportion_interval;
pub use retrieval::{Ranks, chance_recall};
pub use score::{Metric, Score};
pub use significance::Comparison;
pub use text::Texts;
pub use word_errors::{AlignedWord, WordAlignment, WordErrors};

/// Every metric there is; a [`Score`]'s name is always one of these.
pub const METRICS: &[Metric] = &[
    word_errors::WER,
    word_errors::CER,
    word_errors::MER,
    word_errors::WIL,
    caption::CIDER_D,
    caption::BLEU[0],
    caption::BLEU[1],
    caption::BLEU[2],
    caption::BLEU[3],
    caption::ROUGE_L,
    caption::EXACT,
    answers::VQA,
    answers::EXACT_ANSWER,
    retrieval::RECALL_AT_1,
    retrieval::RECALL_AT_5,
    retrieval::RECALL_AT_10,
    retrieval::MEDIAN_RANK,
    retrieval::MEAN_RANK,
    retrieval::MEAN_AVERAGE_PRECISION,
    text::BLEU,
    text::CHRF,
    classification::ACCURACY,
    classification::TOP_5_ACCURACY,
    classification::MEAN_PER_CLASS_ACCURACY,
    classification::MACRO_F1,
    classification::ECE,
    classification::ADAPTIVE_ECE,
    bias::MAX_SKEW,
    bias::NDKL,
    bias::SWAP_CHANGED,
    bias::SWAP_EDITS,
];

/// The metric of this name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Scores of a small task of each kind, imperfect in every metric.
    fn scores_of_every_kind() -> Vec<Score> {
        let resampling = Resampling::default();
        let hypotheses = ["a red car", "two dogs in snow", "a table", "the sea at night"];
        let references = ["a red car", "two black dogs in the snow", "a chair", "the sea by night"];
        let listed: Vec<Vec<&str>> = references.iter().map(|&reference| vec![reference]).collect();
        let similarity: Vec<f32> = (0..16).map(|idx| [0.9, 0.1, 0.4, 0.9, 0.3][idx % 5]).collect();
        let relevant = [[0], [1], [2], [3]];
        let mut scores = WordErrors::new(Normalizer::Basic, &references, &hypotheses)
            .unwrap()
            .scores(&resampling)
            .unwrap();
        scores.extend(Captions::new(&hypotheses, &listed).unwrap().scores(None, &resampling).unwrap());
        let given: Vec<Vec<&str>> = references.iter().map(|&reference| vec![reference; 4]).collect();
        scores.extend(Answers::new(&hypotheses, &given).unwrap().scores(&resampling).unwrap());
        scores.extend(Ranks::new(&similarity, 4, &relevant).unwrap().scores(&resampling).unwrap());
        scores.extend(Texts::new(&hypotheses, &listed).unwrap().scores(&resampling).unwrap());
        let logits: Vec<f64> = (0..24).map(|idx| f64::from(idx * 7 % 5)).collect();
        let classified =
            Classifications::from_scores(&[1, 3, 2, 4], &logits, 6, classification::ScoreKind::Logits);
        scores.extend(classified.unwrap().scores(&resampling).unwrap());
        let rankings = [[0, 1], [1, 1], [1, 0], [0, 0]];
        let audits = bias::skew(&rankings, &[0, 1, 1])
            .unwrap()
            .into_iter()
            .chain(bias::swap_changes(&hypotheses, &references, &[("chair", "table")]).unwrap());
        scores.extend(audits.map(|figure| figure.score(&resampling).unwrap()));
        scores
    }

    #[test]
    fn every_metric_is_scored_as_its_entry_says() {
        let scores = scores_of_every_kind();
        assert_eq!(scores.len(), METRICS.len());
        for (metric, score) in METRICS.iter().zip(&scores) {
            assert_eq!(score.name, metric.name);
            assert_eq!(score.unit, metric.unit, "{}", metric.name);
            assert_eq!(score.higher_is_better, metric.higher_is_better, "{}", metric.name);
            assert_eq!(score.n, 4, "{}", metric.name);
            assert!(score.value.is_finite() && score.value >= 0.0, "{score:?}");
            let interval = score.interval.expect("four samples can be resampled");
            assert!(interval.low <= score.value && score.value <= interval.high, "{score:?}");
            assert_eq!(interval.level, LEVEL);
        }
    }

    #[test]
    fn names_are_unique_and_described() {
        let names: HashSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for entry in METRICS {
            assert_eq!(metric(entry.name), Some(entry));
            assert!(!entry.unit.is_empty(), "{}", entry.name);
            assert!(entry.about.len() > 20 && !entry.about.ends_with('.'), "{}", entry.name);
        }
        assert_eq!(metric("METEOR"), None);
    }
}
