//! `triptych score classification`: accuracy, macro F1 and calibration.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use miette::IntoDiagnostic;
use serde_json::Value;
use triptych_tasks::metrics::Classifications;
use triptych_tasks::metrics::classification::ScoreKind;

use super::entries::{Entries, scalar};
use super::error::{FileError, Place};
use super::matrix::Matrix;
use super::options::Options;
use super::pairs::Inputs;
use super::report::Report;

/// Scores of classifiers: top-1 and top-5 accuracy, macro F1, and calibration where there are scores
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score classification --hypotheses logits.npy --references labels.csv --classes classes.txt
  triptych score classification --hypotheses out.jsonl --references labels.jsonl --by group --json
  triptych score classification --hypotheses new.txt --references labels.txt --compare old.txt

Hypotheses are a `label` an entry, `labels` ranked from the best on, `scores` by class, or a matrix of entries by
classes in the order of the references. References have a `label`. Classes of equal score keep their order.")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    /// Names of the classes, one a line, in the order of the matrix's columns; else labels are column numbers from 0 on
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// What scores are: without it, probabilities if all of them add up to 1 an entry, else logits
    #[arg(long, value_enum)]
    scores: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Logits,
    Probabilities,
}

/// The classes by name.
struct Classes(HashMap<String, usize>);

/// Scores of every class for every sample, row after row.
struct Scored {
    values: Vec<f64>,
    n_classes: usize,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let options = &args.options;
    let (figures, kind, others, mut report) = if Matrix::is_at(&options.hypotheses) {
        let references = Entries::read(&options.references)?;
        let (classified, kind) = of_matrix(args, &options.hypotheses, &references)?;
        let other = options.compare.as_ref().map(|path| of_matrix(args, path, &references)).transpose()?;
        let mut report = Report::new("classification", "samples", Vec::new());
        let idxs = 0..references.entries.len();
        let tags = |tag: &String| idxs.clone().map(|idx| references.tag(idx, tag)).collect::<Result<_, _>>();
        report.groups = options.by.as_ref().map(tags).transpose()?;
        report.clusters = options.cluster.as_ref().map(tags).transpose()?;
        (classified.figures(), kind, other.map(|(classified, _)| classified.figures()), report)
    } else {
        let inputs = Inputs::read(options)?;
        let classes = Classes::of(args, &inputs)?;
        let labels: Result<Vec<usize>, _> =
            inputs.reference_idxs.iter().map(|&idx| classes.label(&inputs.references, idx)).collect();
        let labels = labels?;
        let classify = |entries: &Entries, idxs: &[usize]| of_entries(args, &classes, &labels, entries, idxs);
        let (classified, kind) = classify(&inputs.system.hypotheses, &inputs.system.idxs)?;
        let other =
            inputs.other.as_ref().map(|other| classify(&other.hypotheses, &other.idxs)).transpose()?;
        let mut report = Report::new("classification", "samples", Vec::new());
        inputs.tag(&mut report, options)?;
        (classified.figures(), kind, other.map(|(classified, _)| classified.figures()), report)
    };
    if let Some(others) = &others
        && others.len() != figures.len()
    {
        let path = options.compare.as_deref().unwrap_or(&options.hypotheses);
        let problem = "expected labels or scores as the other system's hypotheses have, got the other";
        return Err(FileError::new(path, Place::Whole, problem).into());
    }
    report.figures = figures;
    report.others = others;
    if let Some(kind) = kind {
        let name = match kind {
            ScoreKind::Logits => "logits",
            ScoreKind::Probabilities => "probabilities",
        };
        report.settings.push(("scores", name.to_owned()));
    }
    report.conclude(options)
}

fn of_matrix(
    args: &Args,
    path: &Path,
    references: &Entries,
) -> miette::Result<(Classifications, Option<ScoreKind>)> {
    let matrix = Matrix::read(path)?;
    matrix.check_numbers()?;
    if matrix.n_rows != references.entries.len() {
        let problem = format!(
            "expected {} rows, one for each entry of {}, got {}",
            references.entries.len(),
            references.path.display(),
            matrix.n_rows
        );
        return Err(matrix.error(problem).into());
    }
    let classes = match &args.classes {
        Some(path) => {
            let classes = Classes::read(path)?;
            if classes.0.len() != matrix.n_columns {
                let problem = format!(
                    "expected {} columns, one for each class of {}, got {}",
                    classes.0.len(),
                    path.display(),
                    matrix.n_columns
                );
                return Err(matrix.error(problem).into());
            }
            classes
        }
        None => Classes((0..matrix.n_columns).map(|idx| (idx.to_string(), idx)).collect()),
    };
    let labels: Result<Vec<usize>, _> =
        (0..references.entries.len()).map(|idx| classes.label(references, idx)).collect();
    let scored = Scored { values: matrix.values, n_classes: matrix.n_columns };
    of_scores(args, path, &labels?, &scored)
}

fn of_scores(
    args: &Args,
    path: &Path,
    labels: &[usize],
    scored: &Scored,
) -> miette::Result<(Classifications, Option<ScoreKind>)> {
    let is_distribution = |row: &[f64]| {
        row.iter().all(|share| (0.0..=1.0).contains(share)) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-3
    };
    let kind = match args.scores {
        Some(Kind::Logits) => ScoreKind::Logits,
        Some(Kind::Probabilities) => ScoreKind::Probabilities,
        None if scored.values.chunks(scored.n_classes.max(1)).all(is_distribution) => {
            ScoreKind::Probabilities
        }
        None => ScoreKind::Logits,
    };
    let classified = Classifications::from_scores(labels, &scored.values, scored.n_classes, kind)
        .map_err(|error| FileError::new(path, Place::Whole, error))?;
    Ok((classified, Some(kind)))
}

fn of_entries(
    args: &Args,
    classes: &Classes,
    labels: &[usize],
    entries: &Entries,
    idxs: &[usize],
) -> miette::Result<(Classifications, Option<ScoreKind>)> {
    if entries.entries[0].fields.contains_key("scores") {
        let n_classes = classes.0.len();
        let mut values = vec![0.0; idxs.len() * n_classes];
        for (row, &idx) in values.chunks_exact_mut(n_classes).zip(idxs) {
            classes.fill(row, entries, idx)?;
        }
        return of_scores(args, &entries.path, labels, &Scored { values, n_classes });
    }
    let ranked: Result<Vec<Vec<usize>>, _> = idxs.iter().map(|&idx| classes.ranked(entries, idx)).collect();
    let classified = Classifications::from_ranked(labels, &ranked?, classes.0.len()).into_diagnostic()?;
    Ok((classified, None))
}

impl Classes {
    /// The names of a file, in order.
    fn read(path: &Path) -> Result<Self, FileError> {
        let entries = Entries::read(path)?;
        let mut classes = HashMap::new();
        for (entry_idx, entry) in entries.entries.iter().enumerate() {
            let name = entry.texts().and_then(|texts| texts.first().map(|name| name.trim().to_owned()));
            let name = name.or_else(|| entry.id.clone()).unwrap_or_default();
            if name.is_empty() {
                return Err(entries.error(entry_idx, "expected the name of a class, got none"));
            }
            if classes.insert(name.clone(), entry_idx).is_some() {
                return Err(entries.error(entry_idx, format!("class {name:?} stands twice")));
            }
        }
        Ok(Self(classes))
    }

    /// Those of `--classes`, else all that occur, by name.
    fn of(args: &Args, inputs: &Inputs) -> Result<Self, FileError> {
        if let Some(path) = &args.classes {
            return Self::read(path);
        }
        let systems = [Some(&inputs.system), inputs.other.as_ref()].into_iter().flatten();
        let files = systems.map(|system| &system.hypotheses).chain([&inputs.references]);
        let mut names = BTreeSet::new();
        for entry in files.flat_map(|file| &file.entries) {
            for field in ["label", "text", "labels", "scores"] {
                match entry.fields.get(field) {
                    Some(Value::Array(labels)) => {
                        names.extend(labels.iter().filter_map(scalar));
                    }
                    Some(Value::Object(scores)) => names.extend(scores.keys().cloned()),
                    Some(label) => names.extend(scalar(label).map(|name| name.trim().to_owned())),
                    None => {}
                }
            }
        }
        Ok(Self(names.into_iter().enumerate().map(|(idx, name)| (name, idx)).collect()))
    }

    fn class(&self, entries: &Entries, entry_idx: usize, label: &Value) -> Result<usize, FileError> {
        let Some(name) = scalar(label) else {
            return Err(entries.error(entry_idx, "expected a label that is a string or a number"));
        };
        self.0.get(name.trim()).copied().ok_or_else(|| {
            entries.error(entry_idx, format!("unknown class {name:?}: expected one of {}", self.0.len()))
        })
    }

    /// The one label of an entry.
    fn label(&self, entries: &Entries, entry_idx: usize) -> Result<usize, FileError> {
        let fields = &entries.entries[entry_idx].fields;
        match fields.get("label").or_else(|| fields.get("text")) {
            Some(Value::String(label)) if label.trim().is_empty() => {
                Err(entries.error(entry_idx, "expected a label, got an empty one"))
            }
            Some(label) => self.class(entries, entry_idx, label),
            None => Err(entries.error(entry_idx, "expected a `label`, got none")),
        }
    }

    /// Labels from the best on.
    fn ranked(&self, entries: &Entries, entry_idx: usize) -> Result<Vec<usize>, FileError> {
        let Some(labels) = entries.entries[entry_idx].fields.get("labels") else {
            return Ok(vec![self.label(entries, entry_idx)?]);
        };
        let labels = labels.as_array().filter(|labels| !labels.is_empty()).ok_or_else(|| {
            entries.error(entry_idx, "expected `labels` to be a list of at least one class")
        })?;
        labels.iter().map(|label| self.class(entries, entry_idx, label)).collect()
    }

    /// A score for every class.
    fn fill(&self, row: &mut [f64], entries: &Entries, entry_idx: usize) -> Result<(), FileError> {
        let Some(Value::Object(scores)) = entries.entries[entry_idx].fields.get("scores") else {
            return Err(entries.error(entry_idx, "expected `scores` to be an object of classes, as before"));
        };
        if scores.len() != self.0.len() {
            let problem =
                format!("expected a score for each of {} classes, got {}", self.0.len(), scores.len());
            return Err(entries.error(entry_idx, problem));
        }
        for (name, score) in scores {
            let class_idx = self.class(entries, entry_idx, &Value::String(name.clone()))?;
            row[class_idx] = score.as_f64().ok_or_else(|| {
                entries.error(entry_idx, format!("expected the score of {name:?} to be a number"))
            })?;
        }
        Ok(())
    }
}
