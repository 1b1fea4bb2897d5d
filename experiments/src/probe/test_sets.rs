//! What a probe is judged by: hold-outs of the run, or samples under a condition.

use std::collections::{BTreeMap, BTreeSet};

use triptych_datasets::loader::Selection;
use triptych_datasets::sample::Split;
use triptych_datasets::shard::Corpus;
use triptych_encoders::Modality;

use super::condition::Condition;
use super::error::ProbeFailure;
use super::samples::{Labelled, Request, TestSet, first_text, has, labelled, selected, things};
use crate::configuration::{EvaluateConfig, Holdout};
use crate::diagnostic::UsageError;

/// Hold-outs that cannot be tested on and are told why.
const MAX_REASONS: usize = 3;

/// What is to be judged by, and what is known of the fit.
pub(super) struct Wanted<'a> {
    pub(super) corpus: &'a Corpus,
    pub(super) evaluate: &'a EvaluateConfig,
    pub(super) request: &'a Request,
    /// The classes that the probe knows.
    pub(super) places: &'a BTreeMap<&'a str, usize>,
    /// Classes that were left out of it.
    pub(super) rare: &'a BTreeSet<&'a str>,
    /// What it may be fitted to.
    pub(super) seen: &'a BTreeSet<usize>,
}

/// The sets that were asked for; without any, every hold-out that can be tested on.
pub(super) fn tests(wanted: &Wanted<'_>, warnings: &mut Vec<String>) -> miette::Result<Vec<TestSet>> {
    if !wanted.request.tests.is_empty() {
        let named = wanted.request.tests.iter().map(|name| {
            let members = wanted.named(name)?;
            Ok(wanted.test(name, members, warnings)?)
        });
        return named.collect();
    }
    let mut names = Vec::new();
    for holdout in &wanted.evaluate.holdouts {
        if wanted.is_of_modality(holdout) && !names.contains(&holdout.name) {
            names.push(holdout.name.clone());
        }
    }
    let (mut tests, mut reasons) = (Vec::new(), Vec::new());
    for name in names {
        let tested = match wanted.of_holdout(&name) {
            members if members.is_empty() => continue,
            members => wanted.test(&name, members, warnings),
        };
        match tested {
            Ok(test) => tests.push(test),
            Err(reason) => reasons.push(reason.to_string()),
        }
    }
    if tests.is_empty() {
        let n = wanted.evaluate.holdouts.len();
        let none = format!("none of {n} has {}s alone", things(wanted.request.modality));
        let reasons = match reasons.len() {
            0 => none,
            n @ 0..=MAX_REASONS => reasons[..n].join("; "),
            n => format!("{}; {} more", reasons[..MAX_REASONS].join("; "), n - MAX_REASONS),
        };
        return Err(ProbeFailure::NoTest { label: wanted.request.label.to_string(), reasons }.into());
    }
    warnings.extend(reasons.into_iter().map(|reason| format!("left out: {reason}")));
    Ok(tests)
}

impl Wanted<'_> {
    /// What a hold-out selects of the modality; texts go with pictures and sounds.
    fn selections<'h>(&self, holdout: &'h Holdout) -> Vec<&'h Selection> {
        let chosen = match self.request.modality {
            Modality::Text => [holdout.images.as_ref(), holdout.sounds.as_ref()],
            Modality::Image => [holdout.images.as_ref(), None],
            Modality::Audio => [holdout.sounds.as_ref(), None],
        };
        chosen.into_iter().flatten().collect()
    }

    /// Whether a hold-out is of this modality alone: crossings select what others do.
    fn is_of_modality(&self, holdout: &Holdout) -> bool {
        let is_crossing = holdout.images.is_some() && holdout.sounds.is_some();
        !is_crossing && !self.selections(holdout).is_empty()
    }

    fn of_holdout(&self, name: &str) -> Vec<usize> {
        let holdouts = self.evaluate.holdouts.iter().filter(|holdout| holdout.name == name);
        let selections = holdouts.flat_map(|holdout| self.selections(holdout)).collect::<Vec<_>>();
        let entries = self.corpus.entries().iter().enumerate();
        let is_wanted = entries.filter(|(_, entry)| {
            has(self.request.modality, entry) && selections.iter().any(|selection| selection.matches(entry))
        });
        is_wanted.map(|(idx, _)| idx).collect()
    }

    /// What `--test` names.
    fn named(&self, name: &str) -> Result<Vec<usize>, UsageError> {
        let usage = |message: String, hint: String| UsageError { message, hint: Some(hint) };
        let thing = things(self.request.modality);
        if self.evaluate.holdouts.iter().any(|holdout| holdout.name == name) {
            let members = self.of_holdout(name);
            if members.is_empty() {
                let message = format!("`--test`: hold-out `{name}` has no {thing}s");
                return Err(usage(
                    message,
                    format!("its {thing}s may be selected by tags: `--test KEY=VALUE`"),
                ));
            }
            return Ok(members);
        }
        if name.contains('=') {
            let condition = Condition::parse(name, Split::Test).map_err(|expected| {
                usage(
                    format!("`--test`: expected {expected}"),
                    "for example `--test style=twemoji`".to_owned(),
                )
            })?;
            return selected(self.corpus, self.request, &condition, "--test");
        }
        let mut names =
            self.evaluate.holdouts.iter().map(|holdout| holdout.name.as_str()).collect::<Vec<_>>();
        names.dedup();
        let message = format!("`--test`: expected a hold-out of the run or KEY=VALUE, got {name:?}");
        Err(usage(message, format!("hold-outs are {}", names.join(", "))))
    }

    /// The set with its classes.
    fn test(
        &self,
        name: &str,
        members: Vec<usize>,
        warnings: &mut Vec<String>,
    ) -> Result<TestSet, ProbeFailure> {
        let entries = self.corpus.entries();
        let test = || name.to_owned();
        let what = format!("samples of test set `{name}`");
        let mut found = labelled(self.corpus, self.request, members, &what, warnings)?;
        if self.request.modality == Modality::Text {
            found = self.unseen_texts(name, found, warnings)?;
        } else {
            let shared = found.iter().filter(|(idx, _)| self.seen.contains(idx)).collect::<Vec<_>>();
            if let Some(&&(idx, _)) = shared.first() {
                let (n_shared, n, id) = (shared.len(), found.len(), entries[idx].id.clone());
                return Err(ProbeFailure::Shared { test: test(), n_shared, n, id });
            }
        }
        let n_all = found.len();
        found.retain(|(_, class)| !self.rare.contains(class));
        let n = found.len();
        if n < n_all {
            let n_rare = n_all - n;
            warnings.push(format!("{n_rare} of {n_all} {what} are of rare classes and are left out"));
        }
        let others = found.iter().filter(|(_, class)| !self.places.contains_key(class)).collect::<Vec<_>>();
        if let Some(&&(idx, class)) = others.first() {
            let classes = others.iter().map(|(_, class)| *class).collect::<BTreeSet<_>>();
            let (n_samples, n_classes) = (others.len(), classes.len());
            let (class, id) = (class.to_owned(), entries[idx].id.clone());
            return Err(ProbeFailure::OtherClasses { test: test(), n_samples, n, n_classes, class, id });
        }
        if found.is_empty() {
            let problem =
                triptych_tasks::metrics::MetricError::Empty { what: "sample of a class that is not rare" };
            return Err(ProbeFailure::Figure { test: test(), problem });
        }
        let labels = found.iter().map(|(_, class)| self.places[class]).collect();
        let entries = found.into_iter().map(|(idx, _)| idx).collect();
        Ok(TestSet { name: test(), samples: Labelled { entries, labels } })
    }

    /// Those that the probe is not fitted to: a picture's text is often another picture's too.
    fn unseen_texts<'a>(
        &self,
        name: &str,
        found: Vec<(usize, &'a str)>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<(usize, &'a str)>, ProbeFailure> {
        let entries = self.corpus.entries();
        let seen = self.seen.iter().map(|&idx| first_text(&entries[idx])).collect::<BTreeSet<_>>();
        let n = found.len();
        let first = found.first().map_or("", |(idx, _)| first_text(&entries[*idx]));
        let unseen = found.into_iter().filter(|(idx, _)| !seen.contains(first_text(&entries[*idx])));
        let unseen = unseen.collect::<Vec<_>>();
        if unseen.is_empty() {
            return Err(ProbeFailure::SharedTexts { test: name.to_owned(), n, text: first.to_owned() });
        }
        if unseen.len() < n {
            let n_seen = n - unseen.len();
            warnings.push(format!(
                "test set `{name}`: {n_seen} of {n} texts are training texts too and are left out"
            ));
        }
        Ok(unseen)
    }
}
