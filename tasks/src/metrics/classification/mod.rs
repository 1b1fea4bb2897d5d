//! Scores of classifiers: accuracy, macro F1 and calibration.
//!
//! Classes of equal score are in the order of their places, as a stable sort has them: the first of them is predicted.

mod calibration;

use rayon::prelude::*;

pub use calibration::{ADAPTIVE_ECE, ECE};

use super::error::MetricError;
use super::figure::{self, Figure};
use super::interval::Resampling;
use super::score::{Metric, PERCENT, Score};

/// Top-1 accuracy.
pub const ACCURACY: Metric = Metric {
    name: "accuracy",
    unit: PERCENT,
    higher_is_better: true,
    about: "samples whose predicted class is their label",
};
/// Top-5 accuracy.
pub const TOP_5_ACCURACY: Metric = Metric {
    name: "top-5 accuracy",
    unit: PERCENT,
    higher_is_better: true,
    about: "samples whose label is among the five classes ranked first",
};
/// Mean per-class accuracy.
pub const MEAN_PER_CLASS_ACCURACY: Metric = Metric {
    name: "mean per-class accuracy",
    unit: PERCENT,
    higher_is_better: true,
    about: "accuracy within every class that is a label, averaged over them, as scikit-learn's balanced accuracy",
};
/// Macro F1.
pub const MACRO_F1: Metric = Metric {
    name: "macro F1",
    unit: PERCENT,
    higher_is_better: true,
    about: "mean of the F1 of every class that is a label or a prediction, as scikit-learn",
};

/// What a classifier's scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreKind {
    /// Any numbers; a softmax makes them probabilities.
    Logits,
    /// Numbers from 0 to 1 that add up to 1 a sample.
    Probabilities,
}

/// How far a sample's probabilities may be from adding up to 1: what half precision leaves over many classes.
const SUM_TOLERANCE: f64 = 1e-2;

/// Predicted classes beside labels, sample by sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifications {
    samples: Vec<Sample>,
    has_confidence: bool,
    /// The fewest classes ranked in any sample.
    n_ranked: usize,
    /// How many there are to choose from.
    n_classes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    label: usize,
    predicted: usize,
    /// The label's place from 1 on; infinite when it was not ranked.
    rank: f64,
    /// The probability of the predicted class, when there is one.
    confidence: f64,
}

impl Classifications {
    /// Ranked classes, the most likely first, each once; one a sample is enough for accuracy and F1. `n_classes` is how
    /// many there are to choose from.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when the lists do not pair up, [`MetricError::Empty`] without samples,
    /// [`MetricError::NoClasses`] for a sample without a class, [`MetricError::UnknownClass`].
    pub fn from_ranked<R: AsRef<[usize]>>(
        labels: &[usize],
        ranked: &[R],
        n_classes: usize,
    ) -> Result<Self, MetricError> {
        check_lengths(labels.len(), ranked.len())?;
        let mut samples = Vec::with_capacity(labels.len());
        for (sample_idx, (&label, ranked)) in labels.iter().zip(ranked).enumerate() {
            let ranked = ranked.as_ref();
            let unknown = ranked.iter().chain([&label]).find(|&&class_idx| class_idx >= n_classes);
            if let Some(&class_idx) = unknown {
                return Err(MetricError::UnknownClass { sample_idx, class_idx, n_classes });
            }
            let Some(&predicted) = ranked.first() else {
                return Err(MetricError::NoClasses { sample_idx });
            };
            let place = ranked.iter().position(|&class_idx| class_idx == label);
            let rank = place.map_or(f64::INFINITY, |place| (place + 1) as f64);
            samples.push(Sample { label, predicted, rank, confidence: f64::NAN });
        }
        let n_ranked = ranked.iter().map(|ranked| ranked.as_ref().len()).min().unwrap_or(0);
        Ok(Self { samples, has_confidence: false, n_ranked, n_classes })
    }

    /// A score for each class.
    ///
    /// # Shapes
    /// `scores`: `[n, n_classes]`, row after row.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without samples or classes, [`MetricError::MatrixSize`], [`MetricError::UnknownClass`],
    /// [`MetricError::NanScore`] at the first score that is none, [`MetricError::NoProbability`] for a number outside of 0
    /// to 1 or a sample that does not add up to 1.
    pub fn from_scores(
        labels: &[usize],
        scores: &[f64],
        n_classes: usize,
        kind: ScoreKind,
    ) -> Result<Self, MetricError> {
        check_lengths(labels.len(), labels.len())?;
        if n_classes == 0 {
            return Err(MetricError::Empty { what: "class" });
        }
        if labels.len().checked_mul(n_classes) != Some(scores.len()) {
            return Err(MetricError::MatrixSize {
                n_query: labels.len(),
                n_target: n_classes,
                got: scores.len(),
            });
        }
        let samples: Vec<Result<Sample, MetricError>> = scores
            .par_chunks_exact(n_classes)
            .zip(labels)
            .enumerate()
            .map(|(sample_idx, (row, &label))| classify(sample_idx, row, label, kind))
            .collect();
        // in order, so that it is always the first error that is told
        let samples = samples.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self { samples, has_confidence: true, n_ranked: n_classes, n_classes })
    }

    /// How many samples there are.
    pub fn n_samples(&self) -> usize {
        self.samples.len()
    }

    /// The predicted class of each sample.
    pub fn predicted(&self) -> impl Iterator<Item = usize> + '_ {
        self.samples.iter().map(|sample| sample.predicted)
    }

    /// [`ACCURACY`], [`MEAN_PER_CLASS_ACCURACY`] and [`MACRO_F1`] over samples, [`TOP_5_ACCURACY`] where five of more
    /// classes are ranked, [`ECE`] and [`ADAPTIVE_ECE`] where there are probabilities.
    pub fn figures(&self) -> Vec<Figure> {
        let within = |k: f64| self.samples.iter().map(move |sample| f64::from(u8::from(sample.rank <= k)));
        let mut figures = vec![Figure::mean(ACCURACY, within(1.0))];
        if self.n_ranked >= 5 && self.n_classes > 5 {
            figures.push(Figure::mean(TOP_5_ACCURACY, within(5.0)));
        }
        let pairs = || self.samples.iter().map(|sample| [sample.label as f64, sample.predicted as f64]);
        figures.push(Figure::of_rows(MEAN_PER_CLASS_ACCURACY, pairs(), mean_per_class));
        figures.push(Figure::of_rows(MACRO_F1, pairs(), macro_f1));
        if self.has_confidence {
            let correct = |sample: &Sample| f64::from(u8::from(sample.label == sample.predicted));
            let rows = || self.samples.iter().map(move |sample| [sample.confidence, correct(sample)]);
            figures.push(Figure::of_rows(ECE, rows(), calibration::equal_width));
            figures.push(Figure::of_rows(ADAPTIVE_ECE, rows(), calibration::equal_mass));
        }
        figures
    }

    /// The [`figures`](Self::figures) in percent, with intervals over samples or their groups.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn scores(&self, resampling: &Resampling) -> Result<Vec<Score>, MetricError> {
        figure::scores(&self.figures(), resampling)
    }
}

fn check_lengths(expected: usize, got: usize) -> Result<(), MetricError> {
    match expected {
        0 => Err(MetricError::Empty { what: "sample" }),
        _ if expected != got => Err(MetricError::Lengths { what: "predictions", expected, got }),
        _ => Ok(()),
    }
}

fn classify(sample_idx: usize, row: &[f64], label: usize, kind: ScoreKind) -> Result<Sample, MetricError> {
    let n_classes = row.len();
    if label >= n_classes {
        return Err(MetricError::UnknownClass { sample_idx, class_idx: label, n_classes });
    }
    if let Some(class_idx) = row.iter().position(|score| score.is_nan()) {
        return Err(MetricError::NanScore { sample_idx, class_idx });
    }
    // of equal scores the first
    let predicted =
        (1..n_classes).fold(0, |best, class_idx| if row[class_idx] > row[best] { class_idx } else { best });
    let confidence = match kind {
        ScoreKind::Logits => {
            let sum: f64 = row.iter().map(|score| (score - row[predicted]).exp()).sum();
            if !sum.is_finite() || row[predicted].is_infinite() {
                return Err(MetricError::NoProbability { sample_idx, got: row[predicted].to_string() });
            }
            1.0 / sum
        }
        ScoreKind::Probabilities => {
            let sum: f64 = row.iter().sum();
            let outside = row.iter().find(|share| !(0.0..=1.0 + SUM_TOLERANCE).contains(*share));
            if let Some(share) = outside {
                return Err(MetricError::NoProbability { sample_idx, got: share.to_string() });
            }
            if (sum - 1.0).abs() > SUM_TOLERANCE {
                return Err(MetricError::NoProbability { sample_idx, got: format!("a sum of {sum}") });
            }
            row[predicted].min(1.0)
        }
    };
    let is_before =
        |(class_idx, &score): (usize, &f64)| score > row[label] || score == row[label] && class_idx < label;
    let rank = 1 + row.iter().enumerate().filter(|&entry| is_before(entry)).count();
    Ok(Sample { label, predicted, rank: rank as f64, confidence })
}

/// Of rows of label and prediction.
fn mean_per_class(rows: &mut [f64]) -> f64 {
    let n_classes = rows.iter().fold(0.0f64, |most, &class| most.max(class)) as usize + 1;
    // right ones, labels
    let mut counts = vec![(0u64, 0u64); n_classes];
    for pair in rows.chunks_exact(2) {
        let count = &mut counts[pair[0] as usize];
        count.0 += u64::from(pair[0] == pair[1]);
        count.1 += 1;
    }
    let present: Vec<f64> =
        (counts.iter().filter(|(_, n)| *n > 0)).map(|&(n_right, n)| n_right as f64 / n as f64).collect();
    present.iter().sum::<f64>() / present.len() as f64
}

/// Of rows of label and prediction.
fn macro_f1(rows: &mut [f64]) -> f64 {
    let n_classes = rows.iter().fold(0.0f64, |most, &class| most.max(class)) as usize + 1;
    // true positives, labels plus predictions
    let mut counts = vec![(0u64, 0u64); n_classes];
    for pair in rows.chunks_exact(2) {
        let (label, predicted) = (pair[0] as usize, pair[1] as usize);
        counts[label].1 += 1;
        counts[predicted].1 += 1;
        counts[label].0 += u64::from(label == predicted);
    }
    let present: Vec<f64> =
        (counts.iter().filter(|(_, n)| *n > 0)).map(|&(n_true, n)| 2.0 * n_true as f64 / n as f64).collect();
    present.iter().sum::<f64>() / present.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(classifications: &Classifications) -> Vec<(&'static str, f64)> {
        classifications.figures().iter().map(|figure| (figure.metric().name, figure.value())).collect()
    }

    #[test]
    fn predicted_classes_alone_give_accuracy_and_f1() {
        let classified = Classifications::from_ranked(&[0, 0, 1, 2], &[[0], [1], [1], [1]], 4).unwrap();
        // F1 of 2/3, 1/2 and 0; the fourth class does not occur
        let expected = 100.0 * (2.0 / 3.0 + 0.5) / 3.0;
        let values = values(&classified);
        // of the three classes half, all and none
        assert_eq!(values[..2], [("accuracy", 50.0), ("mean per-class accuracy", 50.0)]);
        assert!((values[2].1 - expected).abs() < 1e-9 && values.len() == 3, "{values:?}");
    }

    #[test]
    fn the_label_may_come_fifth() {
        let scores = [0.1, 0.3, 0.2, 0.15, 0.15, 0.1];
        let scored = |label| {
            let classified =
                Classifications::from_scores(&[label], &scores, 6, ScoreKind::Probabilities).unwrap();
            classified.figures()[1].value()
        };
        // of the equal last two the first is fifth
        assert_eq!((scored(1), scored(4), scored(0), scored(5)), (100.0, 100.0, 100.0, 0.0));
    }

    #[test]
    fn logits_become_probabilities() {
        let logits = [1000.0, 1000.0 + 3.0f64.ln()];
        let classified = Classifications::from_scores(&[1], &logits, 2, ScoreKind::Logits).unwrap();
        assert!((classified.samples[0].confidence - 0.75).abs() < 1e-9);
        assert_eq!(classified.samples[0].predicted, 1);
    }

    #[test]
    fn what_cannot_be_classified_is_refused_with_its_place() {
        let message = |labels: &[usize], scores: &[f64], kind| {
            Classifications::from_scores(labels, scores, 2, kind).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[0, 1], &[0.5, 0.5, f64::NAN, 0.5], ScoreKind::Logits),
            "score of sample 1 and class 0 is NaN: expected a number"
        );
        assert_eq!(
            message(&[2], &[0.5, 0.5], ScoreKind::Probabilities),
            "sample 0 names class 2: expected a class below 2"
        );
        assert_eq!(
            message(&[1], &[3.0, 0.5], ScoreKind::Probabilities),
            "probabilities of sample 0: expected numbers from 0 to 1 that add up to 1, got 3"
        );
        assert_eq!(
            message(&[], &[], ScoreKind::Logits),
            "nothing to score: expected at least one sample, got none"
        );
        let ranked: [&[usize]; 1] = [&[]];
        assert_eq!(
            Classifications::from_ranked(&[0], &ranked, 1),
            Err(MetricError::NoClasses { sample_idx: 0 })
        );
    }
}
