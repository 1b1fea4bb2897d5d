//! `probes.json`: every probe of a run, with its figures and what each sample was taken for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::evaluate::{ClassificationPrediction, ScoreRow};
use crate::report::numbers::{count, significant};

/// A probe and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeRecord {
    /// What a class is: `tag:category`.
    pub(crate) label: String,
    /// `image`, `audio` or `text`.
    pub(crate) modality: String,
    /// `encoder` or `embedding`.
    pub(crate) features: String,
    /// How many numbers a sample has.
    pub(crate) d: usize,
    /// Steps that the model was trained for.
    pub(crate) step: u64,
    /// What it was fitted to.
    pub(crate) train: String,
    /// Samples that it was fitted to.
    pub(crate) n_train: usize,
    /// Classes.
    pub(crate) n_classes: usize,
    /// Samples of every class, where these were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shots: Option<usize>,
    /// The share of every class, where that was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fraction: Option<f64>,
    /// What decided the draw.
    pub(crate) seed: u64,
    /// The inverse strength of regularisation.
    pub(crate) c: f64,
    /// Steps of the fit.
    pub(crate) n_steps: usize,
    /// Whether the fit came to its end.
    pub(crate) is_converged: bool,
    /// How C was chosen, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validation: Option<ValidationRecord>,
    /// Its figures.
    pub(crate) scores: Vec<ScoreRow>,
    /// What each sample was taken for.
    pub(crate) tests: Vec<ClassificationPrediction>,
}

/// How C was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidationRecord {
    /// By what: `5 folds of whole groups`.
    pub(crate) by: String,
    /// Samples that were held out, each once.
    pub(crate) n: usize,
    /// By rising C.
    pub(crate) tried: Vec<TriedRecord>,
}

/// A C that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriedRecord {
    /// The inverse strength.
    pub(crate) c: f64,
    /// Right ones of those held out, in percent.
    pub(crate) accuracy: f64,
    /// Their mean loss, in nats.
    pub(crate) loss: f64,
}

impl ProbeRecord {
    /// What was asked with: `image encoder, 4 shots`.
    pub(crate) fn query(&self) -> String {
        let mut query = format!("{} {}", self.modality, self.features);
        if let Some(shots) = self.shots {
            query.push_str(&format!(", {shots} shot{}", if shots == 1 { "" } else { "s" }));
        }
        if let Some(share) = self.fraction {
            query.push_str(&format!(", {}% of the samples", significant(100.0 * share, 3)));
        }
        query
    }

    /// How it was fitted, in a line.
    pub(crate) fn remark(&self) -> String {
        let (d, n, n_classes) = (self.d, count(self.n_train), count(self.n_classes));
        let mut remark = format!(
            "{d} features after step {}, fitted to {n} samples of {n_classes} classes ({}) at C {}",
            self.step,
            self.train,
            significant(self.c, 3)
        );
        if let Some(validation) = &self.validation {
            remark.push_str(&format!(", chosen by {}", validation.by));
        }
        remark
    }

    /// Whether it is the same question, so that the later answer stands.
    fn asks_as(&self, other: &Self) -> bool {
        let question = |record: &Self| {
            let tests = record.tests.iter().map(|test| test.holdout.clone()).collect::<Vec<_>>();
            let is_drawn = record.shots.is_some() || record.fraction.is_some();
            let seed = is_drawn.then_some(record.seed);
            (record.label.clone(), record.query(), record.train.clone(), seed, tests)
        };
        question(self) == question(other)
    }
}

/// The probes of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Probes(pub(crate) Vec<ProbeRecord>);

impl Probes {
    /// File name in a run's folder.
    pub(crate) const FILE: &'static str = "probes.json";

    /// Those in a folder; none where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or is something else.
    pub(crate) fn read(folder: &Path) -> Result<Self, ProbesError> {
        let path = folder.join(Self::FILE);
        let fault = |message: String| ProbesError { path: path.clone(), message };
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| fault(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(fault(error.to_string())),
        }
    }

    /// Adds a probe, in the place of one that asked the same.
    pub(crate) fn put(&mut self, record: ProbeRecord) {
        match self.0.iter_mut().find(|other| other.asks_as(&record)) {
            Some(other) => *other = record,
            None => self.0.push(record),
        }
    }

    /// The file's content, a probe a line.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let lines = self.0.iter().map(|record| serde_json::to_string(record).expect("plain data serialise"));
        format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n")).into_bytes()
    }
}

/// Why probes could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{}: {message}", path.display())]
#[diagnostic(help("remove the file, and make its probes again with `triptych probe RUN`"))]
pub struct ProbesError {
    path: PathBuf,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: &str, c: f64) -> ProbeRecord {
        ProbeRecord {
            label: label.to_owned(),
            modality: "image".to_owned(),
            features: "encoder".to_owned(),
            d: 128,
            step: 1000,
            train: "split=train".to_owned(),
            n_train: 40,
            n_classes: 8,
            shots: Some(5),
            fraction: None,
            seed: 1,
            c,
            n_steps: 20,
            is_converged: true,
            validation: None,
            scores: Vec::new(),
            tests: Vec::new(),
        }
    }

    #[test]
    fn a_later_answer_to_the_same_question_stands() {
        let mut probes = Probes::default();
        probes.put(record("tag:category", 1.0));
        probes.put(record("tag:style", 1.0));
        probes.put(record("tag:category", 0.1));
        let told = probes.0.iter().map(|probe| (probe.label.as_str(), probe.c)).collect::<Vec<_>>();
        assert_eq!(told, [("tag:category", 0.1), ("tag:style", 1.0)]);
        assert_eq!(probes.0[0].query(), "image encoder, 5 shots");
    }

    #[test]
    fn probes_survive_a_round_trip_and_a_damaged_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Probes::read(folder.path()).unwrap(), Probes::default());
        let probes = Probes(vec![record("text", 1.0), record("group", 1.0)]);
        fs::write(folder.path().join(Probes::FILE), probes.to_json()).unwrap();
        assert_eq!(Probes::read(folder.path()).unwrap(), probes);
        fs::write(folder.path().join(Probes::FILE), "[{\"label\": 3}]").unwrap();
        let message = Probes::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("probes.json: ") && message.contains("line 1"), "{message}");
    }
}
