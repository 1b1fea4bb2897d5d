//! A probe from the samples to the figures.

use std::collections::BTreeMap;

use triptych_datasets::shard::Corpus;
use triptych_tasks::heads::linear_probe::{Features, LinearProbe, ProbeOptions, Scale};
use triptych_tasks::metrics::{Bootstrap, Resampling};

use super::Progress;
use super::error::ProbeFailure;
use super::features::Table;
use super::record::{ProbeRecord, TriedRecord, ValidationRecord};
use super::samples::{self, Amount, Labelled, Request, TestSet};
use super::validation::{Validation, usual_strengths};
use crate::evaluate::{ClassificationPrediction, Recognition, ScoreRow};
use crate::run::data::Data;
use crate::run::trained::TrainedRun;

/// A fitted probe and what was left out on the way.
pub(crate) struct Fitting {
    pub(crate) record: ProbeRecord,
    pub(crate) warnings: Vec<String>,
}

/// Fits a probe to a run's features of its corpus, and judges it.
///
/// # Errors
/// What [`ProbeFailure`] lists, conditions that make no sense, and samples that cannot be read.
pub(crate) fn probe(
    run: &TrainedRun,
    data: &Data,
    request: &Request,
    progress: &mut Progress<'_>,
) -> miette::Result<Fitting> {
    let chosen = samples::choose(&data.corpus, &run.config.evaluate, request)?;
    let validation = Validation::plan(&data.corpus, request, &chosen)?;
    // without a choice to make, samples of the validation split are as good as any for the fit
    let split = chosen.validation.as_ref();
    let all = chosen.training.entries.iter().chain(split.into_iter().flat_map(|split| &split.entries));
    let all = all.chain(chosen.tests.iter().flat_map(|test| &test.samples.entries)).copied().collect();
    let table = Table::read(run, data, request, all, progress)?;
    let (d, n_classes) = (table.d, chosen.names.len());
    let strengths = match request.inverse_strengths.as_slice() {
        [] => usual_strengths(),
        given => given.to_vec(),
    };
    let (mut c, mut tried) = (strengths[0], None);
    if let Some(validation) = &validation {
        let training = table.of(&chosen.training.entries);
        let training = Features { values: &training, d };
        let scale = Scale::of(training);
        let held_out = split.map(|split| table.of(&split.entries)).unwrap_or_default();
        let held_out = scale.apply(Features { values: &held_out, d });
        let training = scale.apply(training);
        let samples = (Features { values: &training, d }, chosen.training.labels.as_slice());
        let held_out = Features { values: &held_out, d };
        let selection = validation
            .select(samples, held_out, n_classes, &strengths, progress)
            .map_err(ProbeFailure::from)?;
        c = selection.inverse_strength;
        let n = validation.n();
        let record = |trial: &triptych_tasks::heads::linear_probe::Trial| TriedRecord {
            c: trial.inverse_strength,
            accuracy: 100.0 * trial.n_right as f64 / n as f64,
            loss: trial.loss,
        };
        let tried_ones = selection.tried.iter().map(record).collect();
        tried = Some(ValidationRecord { by: validation.name(), n, tried: tried_ones });
    }
    let fitted = fitted_to(&chosen.training, split, request.amount);
    let values = table.of(&fitted.entries);
    let scale = Scale::of(Features { values: &values, d });
    let values = scale.apply(Features { values: &values, d });
    let features = Features { values: &values, d };
    let probe = LinearProbe::fit(features, &fitted.labels, n_classes, c, None, ProbeOptions::default())
        .map_err(ProbeFailure::from)?;
    let convergence = probe.convergence();
    let mut warnings = chosen.warnings;
    if !convergence.is_reached {
        let (n_steps, gradient) = (convergence.n_steps, convergence.gradient);
        warnings.push(format!(
            "the fit ended after {n_steps} steps at a gradient of {gradient:.1e}, short of its end"
        ));
    }
    if let Some(record) = &tried
        && let [first, .., last] = record.tried.as_slice()
        && (c == first.c || c == last.c)
    {
        warnings.push(format!("C {c} is at the end of what was tried: `--c` takes others, joined by commas"));
    }
    let mut record = ProbeRecord {
        label: request.label.to_string(),
        modality: request.modality.name().to_owned(),
        features: request.readout.name().to_owned(),
        d,
        step: run.step,
        train: chosen.train,
        n_train: fitted.entries.len(),
        n_classes,
        shots: if let Amount::Shots(n) = request.amount { Some(n) } else { None },
        fraction: if let Amount::Share(share) = request.amount { Some(share) } else { None },
        seed: request.seed,
        c,
        n_steps: convergence.n_steps,
        is_converged: convergence.is_reached,
        validation: tried,
        scores: Vec::new(),
        tests: Vec::new(),
    };
    let judged = Judged {
        corpus: &data.corpus,
        names: &chosen.names,
        counts: counts(&fitted.labels, n_classes),
        query: record.query(),
        request,
        resampling: Resampling {
            bootstrap: Bootstrap { n_resamples: run.config.evaluate.resamples, seed: 0 },
            clusters: None,
        },
    };
    for test in &chosen.tests {
        let values = scale.apply(Features { values: &table.of(&test.samples.entries), d });
        let logits = probe.logits(Features { values: &values, d });
        let (rows, prediction) = judged.test(test, &logits)?;
        record.scores.extend(rows);
        record.tests.push(prediction);
    }
    Ok(Fitting { record, warnings })
}

/// The training samples, and those of the validation split where all there are may be used (as CLIP's probes are fitted).
fn fitted_to(training: &Labelled, split: Option<&Labelled>, amount: Amount) -> Labelled {
    let mut fitted = training.clone();
    if let (Some(split), Amount::All) = (split, amount) {
        fitted.entries.extend(&split.entries);
        fitted.labels.extend(&split.labels);
    }
    fitted
}

/// Samples of each class.
fn counts(labels: &[usize], n_classes: usize) -> Vec<usize> {
    let mut counts = vec![0usize; n_classes];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts
}

/// What figures are made with.
struct Judged<'a> {
    corpus: &'a Corpus,
    names: &'a [String],
    /// Samples of each class that the probe was fitted to.
    counts: Vec<usize>,
    query: String,
    request: &'a Request,
    resampling: Resampling,
}

impl Judged<'_> {
    fn test(
        &self,
        test: &TestSet,
        logits: &[f64],
    ) -> Result<(Vec<ScoreRow>, ClassificationPrediction), ProbeFailure> {
        let TestSet { name, samples } = test;
        let figure = |problem| ProbeFailure::Figure { test: name.clone(), problem };
        let ids =
            samples.entries.iter().map(|&idx| self.corpus.entries()[idx].id.as_str()).collect::<Vec<_>>();
        let recognition = Recognition::new(&ids, &samples.labels, self.names, logits).map_err(figure)?;
        let chances = self.chances(&samples.labels);
        let direction = (Some(self.query.as_str()), Some(self.request.label.name()));
        let scores = recognition.figures.scores(&self.resampling).map_err(figure)?;
        let row = |score: triptych_tasks::metrics::Score| {
            let chance = chances.get(score.name.as_str()).copied();
            ScoreRow::new("probe", name, direction, score, chance)
        };
        let prediction = ClassificationPrediction {
            holdout: name.clone(),
            query: self.query.clone(),
            label: self.request.label.to_string(),
            templates: Vec::new(),
            classes: recognition.outcomes(self.names),
            samples: recognition.samples,
        };
        Ok((scores.into_iter().map(row).collect(), prediction))
    }

    /// What is right by always naming the classes that the fit had most samples of, in percent.
    fn chances(&self, labels: &[usize]) -> BTreeMap<&'static str, f64> {
        let of_class = counts(labels, self.counts.len());
        let n_present = of_class.iter().filter(|n| **n > 0).count().max(1);
        let among = |k: usize| {
            let named = most_frequent(&self.counts, k);
            let right = named.iter().zip(&of_class).map(|(share, &n)| share * n as f64).sum::<f64>();
            100.0 * right / labels.len().max(1) as f64
        };
        let named = most_frequent(&self.counts, 1);
        let per_class = named.iter().zip(&of_class).filter(|(_, n)| **n > 0).map(|(share, _)| share);
        BTreeMap::from([
            ("accuracy", among(1)),
            ("top-5 accuracy", among(5)),
            ("mean per-class accuracy", 100.0 * per_class.sum::<f64>() / n_present as f64),
        ])
    }
}

/// How often each class is among the `k` most frequent, those that are as frequent as the last of them in turn.
fn most_frequent(counts: &[usize], k: usize) -> Vec<f64> {
    let mut falling = counts.to_vec();
    falling.sort_unstable_by(|a, b| b.cmp(a));
    let Some(&last) = falling.get(k.min(falling.len()).saturating_sub(1)) else { return Vec::new() };
    let n_above = counts.iter().filter(|n| **n > last).count();
    let n_as_last = counts.iter().filter(|n| **n == last).count();
    let share = (k.min(counts.len()) - n_above) as f64 / n_as_last as f64;
    let share = |&n: &usize| if n > last { 1.0 } else { f64::from(u8::from(n == last)) * share };
    counts.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_as_frequent_take_turns() {
        assert_eq!(most_frequent(&[3, 9, 3, 1], 1), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(most_frequent(&[3, 9, 3, 1], 2), [0.5, 1.0, 0.5, 0.0]);
        assert_eq!(most_frequent(&[2, 2], 5), [1.0, 1.0]);
        assert_eq!(most_frequent(&[4; 8], 1), [0.125; 8]);
    }
}
