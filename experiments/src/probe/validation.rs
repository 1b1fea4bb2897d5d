//! Samples held out of the fit, to choose the strength of regularisation by.

use std::collections::BTreeMap;

use triptych_datasets::draw::Draw;
use triptych_datasets::shard::Corpus;
use triptych_tasks::heads::linear_probe::{
    self, Division, Features, ProbeError, ProbeOptions, Samples, Selection,
};

use super::Progress;
use super::error::ProbeFailure;
use super::samples::{Amount, Chosen, Request};

/// Folds without a validation split.
const N_FOLDS: usize = 5;

/// The strengths that are tried if none is given: C from 1e-5 to 100, two of each decade. For features of deviation 1 the best
/// has always been well within; CLIP's range of 1e-6 to 1e6 is for features of any scale.
pub(super) fn usual_strengths() -> Vec<f64> {
    (-10..=4).map(|half| 10f64.powf(f64::from(half) / 2.0)).collect()
}

/// How far a probe is followed of which only the predictions count: scikit-learn's tolerance.
const LOOSE: ProbeOptions = ProbeOptions { tolerance: 1e-4, max_steps: 1000 };

/// How samples are held out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Validation {
    /// Those of the validation split.
    Split {
        /// Their classes.
        labels: Vec<usize>,
    },
    /// A fold of each training sample.
    Folds {
        folds: Vec<usize>,
        n_folds: usize,
        /// Whether samples of one group are in one fold.
        keeps_groups: bool,
    },
}

impl Validation {
    /// Decides how; `None` where there is nothing to choose.
    ///
    /// # Errors
    /// A class of fewer samples than folds.
    pub(super) fn plan(
        corpus: &Corpus,
        request: &Request,
        chosen: &Chosen,
    ) -> Result<Option<Self>, ProbeFailure> {
        if request.inverse_strengths.len() == 1 {
            return Ok(None);
        }
        if let Some(validation) = &chosen.validation {
            return Ok(Some(Self::Split { labels: validation.labels.clone() }));
        }
        let n_folds = request.n_folds.unwrap_or(match request.amount {
            Amount::Shots(n) if n >= 2 => n.min(N_FOLDS),
            _ => N_FOLDS,
        });
        let labels = &chosen.training.labels;
        let mut counts = vec![0; chosen.names.len()];
        labels.iter().for_each(|&label| counts[label] += 1);
        let mut few = counts.iter().enumerate().filter(|(_, n)| **n < n_folds).collect::<Vec<_>>();
        few.sort_by_key(|(_, n)| **n);
        if let Some(&(class, &n)) = few.first() {
            let (class, n_others) = (chosen.names[class].clone(), few.len() - 1);
            return Err(ProbeFailure::Folds { class, n, n_folds, n_others });
        }
        let deal = |groups: &[usize]| {
            let mut draw = Draw::new(request.seed, 0, "", "folds of a probe");
            linear_probe::deal(labels, groups, n_folds, &mut draw)
        };
        let groups = groups(corpus, &chosen.training.entries);
        let whole = are_enough(labels, &groups, n_folds).then(|| deal(&groups));
        Ok(Some(match whole.filter(|folds| leave_classes(labels, folds, n_folds)) {
            Some(folds) => Self::Folds { folds, n_folds, keeps_groups: true },
            None => {
                let alone = (0..labels.len()).collect::<Vec<_>>();
                Self::Folds { folds: deal(&alone), n_folds, keeps_groups: false }
            }
        }))
    }

    /// In words.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Split { .. } => "the validation split".to_owned(),
            Self::Folds { n_folds, keeps_groups: true, .. } => format!("{n_folds} folds of whole groups"),
            Self::Folds { n_folds, .. } => format!("{n_folds} folds"),
        }
    }

    /// Samples that are held out, each once.
    pub(super) fn n(&self) -> usize {
        match self {
            Self::Split { labels } => labels.len(),
            Self::Folds { folds, .. } => folds.len(),
        }
    }

    /// Tries the strengths. `held_out` are the features of the validation split.
    pub(super) fn select(
        &self,
        (training, labels): (Features<'_>, &[usize]),
        held_out: Features<'_>,
        n_classes: usize,
        strengths: &[f64],
        progress: &mut Progress<'_>,
    ) -> Result<Selection, ProbeError> {
        let training = Samples { features: training, labels };
        let mut n_done = 0;
        let mut choose = |divisions: &[Division<'_>]| {
            let total = divisions.len() * strengths.len();
            linear_probe::select(divisions, n_classes, strengths, LOOSE, &mut || {
                n_done += 1;
                progress(n_done, total, "fits");
            })
        };
        match self {
            Self::Split { labels } => {
                let held_out = Samples { features: held_out, labels };
                choose(&[Division { training, held_out }])
            }
            Self::Folds { folds, n_folds, .. } => {
                let parts = |fold: usize| {
                    let is_held_out = |place: &usize| folds[*place] == fold;
                    let (held_out, rest) = (0..folds.len()).partition::<Vec<_>, _>(is_held_out);
                    [part(training, &rest), part(training, &held_out)]
                };
                let parts = (0..*n_folds).map(parts).collect::<Vec<_>>();
                let d = training.features.d;
                let divisions = parts.iter().map(|[rest, held_out]| Division {
                    training: borrowed(rest, d),
                    held_out: borrowed(held_out, d),
                });
                choose(&divisions.collect::<Vec<_>>())
            }
        }
    }
}

/// Features and classes of some samples.
type Part = (Vec<f32>, Vec<usize>);

fn part(samples: Samples<'_>, places: &[usize]) -> Part {
    let values = places.iter().flat_map(|&place| samples.features.row(place)).copied().collect();
    (values, places.iter().map(|&place| samples.labels[place]).collect())
}

fn borrowed((values, labels): &Part, d: usize) -> Samples<'_> {
    Samples { features: Features { values, d }, labels }
}

/// The group of each entry, by number.
fn groups(corpus: &Corpus, entries: &[usize]) -> Vec<usize> {
    let mut places = BTreeMap::new();
    let group = |&idx: &usize| {
        let n = places.len();
        *places.entry(corpus.entries()[idx].group.as_str()).or_insert(n)
    };
    entries.iter().map(group).collect()
}

/// Whether most samples are of classes with at least as many groups as folds. Where each class is a group or two, folds of
/// whole groups would ask for classes that were never shown.
fn are_enough(labels: &[usize], groups: &[usize], n_folds: usize) -> bool {
    let mut of_class = BTreeMap::<usize, std::collections::BTreeSet<usize>>::new();
    for (&label, &group) in labels.iter().zip(groups) {
        of_class.entry(label).or_default().insert(group);
    }
    let n_enough = labels.iter().filter(|label| of_class[*label].len() >= n_folds).count();
    2 * n_enough > labels.len()
}

/// Whether samples of two classes or more are left to fit to, whichever fold is held out.
fn leave_classes(labels: &[usize], folds: &[usize], n_folds: usize) -> bool {
    (0..n_folds).all(|fold| {
        let mut rest = labels.iter().zip(folds).filter(|(_, other)| **other != fold).map(|(label, _)| label);
        let first = rest.next();
        rest.any(|label| Some(label) != first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_with_all_of_a_class_leaves_too_little_of_two() {
        assert!(leave_classes(&[0, 1, 0, 1], &[0, 0, 1, 1], 2));
        assert!(!leave_classes(&[0, 0, 0, 1], &[0, 1, 2, 1], 3));
        // of three classes two are left
        assert!(leave_classes(&[0, 0, 2, 1], &[0, 1, 2, 1], 3));
    }

    #[test]
    fn groups_are_kept_together_where_classes_have_enough_of_them() {
        let labels = [0, 0, 0, 1, 1, 1];
        assert!(are_enough(&labels, &[0, 1, 2, 3, 4, 5], 3));
        assert!(!are_enough(&labels, &[0, 0, 0, 1, 1, 1], 3));
        // half of the samples is not most of them
        assert!(!are_enough(&labels, &[0, 1, 2, 3, 3, 3], 3));
    }

    #[test]
    fn usual_strengths_rise_by_half_decades() {
        let strengths = usual_strengths();
        assert_eq!((strengths.len(), strengths[0], strengths[14]), (15, 1e-5, 100.0));
    }
}
