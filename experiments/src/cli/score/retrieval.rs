//! `triptych score retrieval`: recall, ranks and skew from a matrix of similarities.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use miette::IntoDiagnostic;
use serde_json::{Value, json};
use triptych_tasks::metrics::{Figure, Ranks, Resampling, bias};

use super::entries::{Entries, scalar};
use super::matrix::Matrix;
use super::options::Options;
use super::report::{Report, table};
use crate::diagnostic::UsageError;

/// Scores of retrieval: recall at 1, 5 and 10, median and mean rank, mAP, by full exact ranking
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych score retrieval --hypotheses similarity.npy --references relevant.jsonl --targets captions.jsonl --both
  triptych score retrieval --hypotheses similarity.npy --references relevant.txt --json
  triptych score retrieval --hypotheses similarity.npy --references relevant.jsonl --targets faces.jsonl --skew gender

The matrix has a row a query, in the order of the references, and a column a target. A reference lists its relevant
`targets` (or one `target`) by the ids of `--targets`, or by column from 0 on. Equal similarities share their middle
rank. Recall asks for the best relevant target (the Karpathy protocol). Targets with the same text can only be told
apart by chance: list them all as relevant.")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    /// The targets in the order of the columns: ids, one a line, or entries with an id
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// Score the other direction too, targets as queries
    #[arg(long)]
    both: bool,
    /// A tag of the targets: how its values share the first ranks, against their share in all targets
    #[arg(long, value_name = "TAG", requires = "targets")]
    skew: Option<String>,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let options = &args.options;
    if options.subset {
        return Err(UsageError {
            message: "`--subset` does not go with a matrix, whose rows are all of the references".to_owned(),
            hint: None,
        }
        .into());
    }
    let references = Entries::read(&options.references)?;
    let targets = args.targets.as_deref().map(Entries::read).transpose()?;
    let matrix = read(&options.hypotheses, &references, targets.as_ref())?;
    let relevant = relevant(&references, targets.as_ref(), matrix.n_columns)?;
    let ranks = rank(&matrix, &matrix.values, matrix.n_columns, &relevant)?;

    let mut report = Report::new("retrieval", "queries", ranks.figures());
    report.settings.push(("targets", matrix.n_columns.to_string()));
    report.settings.push(("ties", "mid-rank".to_owned()));
    report
        .settings
        .push(("chance R@1", format!("{:.3} %", 100.0 * ranks.chance_recall(1).into_diagnostic()?)));
    report.notes.extend(targets.as_ref().and_then(|targets| duplicates(targets, &relevant)));
    if let Some(path) = &options.compare {
        let other = read(path, &references, targets.as_ref())?;
        report.others = Some(rank(&other, &other.values, other.n_columns, &relevant)?.figures());
    }
    let tags = |tag: &String| {
        (0..references.entries.len()).map(|idx| references.tag(idx, tag)).collect::<Result<Vec<_>, _>>()
    };
    report.groups = options.by.as_ref().map(tags).transpose()?;
    report.clusters = options.cluster.as_ref().map(tags).transpose()?;

    let resampling = Resampling { bootstrap: options.bootstrap(), clusters: None };
    let mut more = |name: &str, title: String, figures: &[Figure]| -> miette::Result<()> {
        let scores: Result<Vec<_>, _> = figures.iter().map(|figure| figure.score(&resampling)).collect();
        let scores = scores.into_diagnostic()?;
        if !report.text.is_empty() {
            report.text.push('\n');
        }
        report.text.push_str(&table(&title, &scores));
        report.details.insert(name.to_owned(), json!({"title": title, "scores": scores}));
        Ok(())
    };
    if args.both {
        let reverse = reverse(&matrix, &relevant, targets.as_ref())?;
        more("reverse", format!("{} targets as queries", matrix.n_columns), &reverse.figures())?;
    }
    if let (Some(tag), Some(targets)) = (&args.skew, &targets) {
        more("skew", format!("skew of {tag} among the targets"), &skew(&matrix, targets, tag)?)?;
    }
    report.conclude(options)
}

fn read(path: &Path, references: &Entries, targets: Option<&Entries>) -> miette::Result<Matrix> {
    let matrix = Matrix::read(path)?;
    matrix.check_numbers()?;
    let columns = targets.map(|targets| (targets.entries.len(), "columns", matrix.n_columns, targets));
    let rows = (references.entries.len(), "rows", matrix.n_rows, references);
    for (expected, what, got, entries) in [Some(rows), columns].into_iter().flatten() {
        if expected != got {
            let of = entries.path.display();
            let problem = format!("expected {expected} {what}, one for each entry of {of}, got {got}");
            return Err(matrix.error(problem).into());
        }
    }
    Ok(matrix)
}

fn rank(matrix: &Matrix, values: &[f64], n_target: usize, relevant: &[Vec<usize>]) -> miette::Result<Ranks> {
    Ok(Ranks::new(values, n_target, relevant).map_err(|error| matrix.error(error))?)
}

/// The columns that each query is answered by.
fn relevant(
    references: &Entries,
    targets: Option<&Entries>,
    n_target: usize,
) -> miette::Result<Vec<Vec<usize>>> {
    let mut columns: HashMap<String, usize> = HashMap::new();
    match targets {
        None => columns.extend((0..n_target).map(|column| (column.to_string(), column))),
        Some(targets) => {
            for column in 0..targets.entries.len() {
                let id = target_id(targets, column);
                if columns.insert(id.clone(), column).is_some() {
                    return Err(targets.error(column, format!("target {id:?} stands twice")).into());
                }
            }
        }
    }
    let query = |query_idx: usize| -> miette::Result<Vec<usize>> {
        let fields = &references.entries[query_idx].fields;
        let named = ["targets", "target", "text"].iter().find_map(|name| fields.get(*name));
        let ids: Vec<String> = match named {
            Some(Value::Array(ids)) => ids.iter().filter_map(scalar).collect(),
            // several in a line of text or a cell
            Some(Value::String(ids)) => ids.split_whitespace().map(str::to_owned).collect(),
            Some(other) => scalar(other).into_iter().collect(),
            None => return Err(references.error(query_idx, "expected `targets`, got none").into()),
        };
        if ids.is_empty() {
            return Err(references
                .error(query_idx, "expected at least one relevant target, got none")
                .into());
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(&column) = columns.get(&id) else {
                let problem = format!("unknown target {id:?}: expected one of {n_target} targets");
                let error = references.error(query_idx, problem);
                let hint = "without `--targets` they are columns from 0 on";
                return Err(if targets.is_none() { error.hint(hint) } else { error }.into());
            };
            if found.contains(&column) {
                return Err(references.error(query_idx, format!("target {id:?} stands twice")).into());
            }
            found.push(column);
        }
        Ok(found)
    };
    (0..references.entries.len()).map(query).collect()
}

/// An id, or the line itself in a list of ids.
fn target_id(targets: &Entries, column: usize) -> String {
    let entry = &targets.entries[column];
    let text = || entry.texts().and_then(|texts| texts.first().map(|text| text.trim().to_owned()));
    entry.id.clone().or_else(text).unwrap_or_default()
}

/// How many targets say the same as another without being relevant to the same queries.
fn duplicates(targets: &Entries, relevant: &[Vec<usize>]) -> Option<String> {
    if !targets.have_ids() {
        return None;
    }
    let mut queries: Vec<Vec<usize>> = vec![Vec::new(); targets.entries.len()];
    for (query_idx, columns) in relevant.iter().enumerate() {
        columns.iter().for_each(|&column| queries[column].push(query_idx));
    }
    let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
    for (column, entry) in targets.entries.iter().enumerate() {
        if let Some([text]) = entry.texts().as_deref() {
            by_text.entry(*text).or_default().push(column);
        }
    }
    let differ = |columns: &&Vec<usize>| columns.iter().any(|&column| queries[column] != queries[columns[0]]);
    let n: usize = by_text.values().filter(differ).map(Vec::len).sum();
    (n > 0).then(|| {
        format!("{n} targets have the text of another and answer other queries: they can be told apart by chance alone")
    })
}

/// Targets as queries, answered by the queries that they are relevant to.
fn reverse(matrix: &Matrix, relevant: &[Vec<usize>], targets: Option<&Entries>) -> miette::Result<Ranks> {
    let mut queries: Vec<Vec<usize>> = vec![Vec::new(); matrix.n_columns];
    for (query_idx, columns) in relevant.iter().enumerate() {
        columns.iter().for_each(|&column| queries[column].push(query_idx));
    }
    if let Some(column) = queries.iter().position(Vec::is_empty) {
        let problem = "no query names this target as relevant: `--both` needs one for each";
        return Err(match targets {
            Some(targets) => targets.error(column, problem).into(),
            None => matrix.error(format!("column {column}: {problem}")).into(),
        });
    }
    let mut values = Vec::with_capacity(matrix.values.len());
    for column in 0..matrix.n_columns {
        values.extend((0..matrix.n_rows).map(|row| matrix.values[row * matrix.n_columns + column]));
    }
    rank(matrix, &values, matrix.n_rows, &queries)
}

fn skew(matrix: &Matrix, targets: &Entries, tag: &str) -> miette::Result<[Figure; 2]> {
    let mut values: HashMap<String, usize> = HashMap::new();
    let mut attributes = Vec::with_capacity(matrix.n_columns);
    for column in 0..matrix.n_columns {
        let n_values = values.len();
        attributes.push(*values.entry(targets.tag(column, tag)?).or_insert(n_values));
    }
    let ranking = |row: &[f64]| {
        let mut columns: Vec<usize> = (0..row.len()).collect();
        columns.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        columns.into_iter().map(|column| attributes[column]).collect()
    };
    let rankings: Vec<Vec<usize>> = matrix.values.chunks_exact(matrix.n_columns).map(ranking).collect();
    bias::skew(&rankings, &attributes).into_diagnostic()
}
