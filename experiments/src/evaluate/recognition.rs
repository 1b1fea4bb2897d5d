//! Samples told apart: what each was taken for, how each class was recognised, and what was confused with what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use triptych_tasks::heads::zero_shot::probabilities;
use triptych_tasks::metrics::classification::ScoreKind;
use triptych_tasks::metrics::{Classifications, MetricError};

use super::predictions::{ClassOutcome, ClassifiedSample};

/// What samples were taken for.
pub(crate) struct Recognition {
    pub(crate) figures: Classifications,
    pub(crate) samples: Vec<ClassifiedSample>,
}

impl Recognition {
    /// # Shapes
    /// `logits`: `[n, n_classes]`, row after row
    ///
    /// # Errors
    /// No sample, and a score that is NaN.
    pub(crate) fn new(
        ids: &[&str],
        labels: &[usize],
        names: &[String],
        logits: &[f64],
    ) -> Result<Self, MetricError> {
        let n_classes = names.len();
        let figures = Classifications::from_scores(labels, logits, n_classes, ScoreKind::Logits)?;
        let rows = logits.chunks_exact(n_classes).zip(figures.predicted());
        let samples = ids.iter().zip(labels).zip(rows).map(|((id, &label), (row, predicted))| {
            let confidence = probabilities(row)[predicted];
            let (label, predicted) = (names[label].clone(), names[predicted].clone());
            ClassifiedSample { id: (*id).to_owned(), label, predicted, confidence }
        });
        Ok(Self { samples: samples.collect(), figures })
    }

    /// How each class was recognised.
    pub(crate) fn outcomes(&self, names: &[String]) -> Vec<ClassOutcome> {
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for sample in &self.samples {
            counts.entry(&sample.label).or_default()[0] += 1;
            counts.entry(&sample.predicted).or_default()[1] += 1;
            counts.entry(&sample.label).or_default()[2] += usize::from(sample.label == sample.predicted);
        }
        let outcome = |name: &String| {
            let [n, n_predicted, n_right] = counts.get(name.as_str()).copied().unwrap_or_default();
            ClassOutcome { name: name.clone(), n, n_right, n_predicted }
        };
        names.iter().map(outcome).collect()
    }
}

/// A class whose samples were taken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// The class.
    pub label: String,
    /// What its samples were taken for.
    pub predicted: String,
    /// How many of them.
    pub n: usize,
    /// Samples of the class.
    pub n_label: usize,
}

/// Every confusion, the most frequent first; of those as frequent, the one that takes the larger share of its class, then by
/// name.
pub(crate) fn confusions(samples: &[ClassifiedSample]) -> Vec<Confusion> {
    let (mut of_class, mut of_pair) =
        (BTreeMap::<&str, usize>::new(), BTreeMap::<(&str, &str), usize>::new());
    for sample in samples {
        *of_class.entry(&sample.label).or_default() += 1;
        if sample.label != sample.predicted {
            *of_pair.entry((&sample.label, &sample.predicted)).or_default() += 1;
        }
    }
    let confusion = |((label, predicted), n): ((&str, &str), usize)| Confusion {
        label: label.to_owned(),
        predicted: predicted.to_owned(),
        n,
        n_label: of_class[label],
    };
    let mut confusions = of_pair.into_iter().map(confusion).collect::<Vec<_>>();
    confusions.sort_by(|a, b| b.n.cmp(&a.n).then(a.n_label.cmp(&b.n_label)));
    confusions
}

/// The classes that there are samples of, those that are recognised least first, of equal ones the larger.
pub(crate) fn worst_first(classes: &[ClassOutcome]) -> Vec<&ClassOutcome> {
    let mut classes = classes.iter().filter(|class| class.n > 0).collect::<Vec<_>>();
    let share = |class: &ClassOutcome| class.n_right as f64 / class.n as f64;
    classes.sort_by(|a, b| share(a).total_cmp(&share(b)).then(b.n.cmp(&a.n)).then(a.name.cmp(&b.name)));
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(label: &str, predicted: &str) -> ClassifiedSample {
        let id = format!("{label} {predicted}");
        ClassifiedSample { id, label: label.to_owned(), predicted: predicted.to_owned(), confidence: 0.5 }
    }

    #[test]
    fn the_most_frequent_confusion_comes_first() {
        let pairs = [("a", "b"), ("b", "a"), ("a", "b"), ("a", "a"), ("c", "a"), ("b", "b"), ("b", "c")];
        let confused = confusions(&pairs.map(|(label, predicted)| sample(label, predicted)));
        let told = confused.iter().map(|c| (c.label.as_str(), c.predicted.as_str(), c.n, c.n_label));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("a", "b", 2, 3), ("c", "a", 1, 1), ("b", "a", 1, 3), ("b", "c", 1, 3)]
        );
    }

    #[test]
    fn the_worst_class_comes_first_and_absent_ones_not_at_all() {
        let class =
            |name: &str, n, n_right| ClassOutcome { name: name.to_owned(), n, n_right, n_predicted: 0 };
        let classes =
            [class("a", 4, 4), class("b", 4, 1), class("c", 0, 0), class("d", 8, 2), class("e", 2, 0)];
        let told = worst_first(&classes).into_iter().map(|class| class.name.as_str());
        assert_eq!(told.collect::<Vec<_>>(), ["e", "d", "b", "a"]);
    }

    #[test]
    fn outcomes_count_every_sample_once() {
        let names = ["sun", "moon", "star"].map(String::from);
        let logits = [2.0, 1.0, 0.0, 0.0, 1.0, 0.5, 3.0, 1.0, 1.0];
        let recognition = Recognition::new(&["x", "y", "z"], &[0, 1, 1], &names, &logits).unwrap();
        let outcomes = recognition.outcomes(&names);
        let told = outcomes.iter().map(|class| (class.n, class.n_right, class.n_predicted));
        assert_eq!(told.collect::<Vec<_>>(), [(1, 1, 2), (2, 1, 1), (0, 0, 0)]);
        assert!((recognition.samples[0].confidence - 0.665).abs() < 1e-3);
    }
}
