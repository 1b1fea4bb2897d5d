//! `triptych index query`: the nearest rows of an index.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use miette::IntoDiagnostic;
use serde_json::{Value, json};
use triptych_tasks::index::{Found, Index, IndexError, NpyRows, recall};

use super::error::IndexFailure;
use crate::cli::options::Compute;
use crate::cli::search::embed_query;
use crate::diagnostic::{UsageError, print};
use crate::run::trained::TrainedRun;

/// Find the nearest rows of an index: by vectors of a `.npy`, or by words, a picture or a recording
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych index query x.index queries.npy --top 10 --json
  triptych index query pictures.index 'red heart' cat.png --run runs/quickstart
  triptych index query x.index queries.npy --candidates 100 --recall

Every row is compared: the nearest are exact. Of rows stored as i8, the best `--candidates` are scored again by the
originals, and `--recall` says how many of the exact nearest are found. Equal scores keep the order of the rows.")]
pub(super) struct Args {
    /// The index
    index: PathBuf,
    /// A `.npy` matrix of queries; with `--run`, words or the paths of pictures or recordings too
    #[arg(required = true)]
    queries: Vec<String>,
    /// The run whose model embeds the queries
    #[arg(long, value_name = "RUN")]
    pub(super) run: Option<PathBuf>,
    /// How many rows to find for each query, at most as many as there are
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// How many rows of i8 are scored again for each query; without it, four times `--top`
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Search exactly too, and say how many of the exact nearest were found
    #[arg(long)]
    recall: bool,
    /// Search a graph of neighbours, not every row
    #[cfg(feature = "approximate")]
    #[arg(long, conflicts_with = "candidates")]
    approximate: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) compute: Compute,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let index = Index::open(&args.index).map_err(IndexFailure::new)?;
    let (names, queries) = queries(args, &index)?;
    // of a small index, all rows are the nearest
    let k = (args.top as usize).min(index.n_rows());
    if args.candidates.is_some() && index.originals().is_none() {
        let error = IndexError::NoOriginals { element: index.element() };
        return Err(IndexFailure::of_file(&args.index, error).into());
    }
    let found = search(args, &index, &queries, k).map_err(IndexFailure::new)?;
    let recall = match args.recall {
        true => Some(recall(&found, &index.search_exactly(&queries, k).map_err(IndexFailure::new)?)),
        false => None,
    };
    print(&if args.json {
        json_of(&index, &names, &found, recall)?
    } else {
        text_of(&index, &names, &found, recall)
    })
}

fn search(args: &Args, index: &Index, queries: &[f32], k: usize) -> Result<Found, IndexError> {
    #[cfg(feature = "approximate")]
    if args.approximate {
        use triptych_tasks::index::approximate::{Effort, Graph};
        return Graph::build(index, Effort::default(), &mut |_| ())?.search(queries, k);
    }
    if index.originals().is_none() {
        return index.search(queries, k);
    }
    index.search_rescored(queries, k, args.candidates.unwrap_or(4 * k))
}

/// Names of the queries, and their vectors one behind the other.
fn queries(args: &Args, index: &Index) -> miette::Result<(Vec<String>, Vec<f32>)> {
    let (mut names, mut vectors) = (Vec::new(), Vec::new());
    let mut run = None;
    for query in &args.queries {
        let path = Path::new(query);
        let is_array = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        let width = if is_array {
            let rows = NpyRows::open(path).map_err(IndexFailure::new)?;
            names.extend((0..rows.n_rows()).map(|row| match args.queries.len() {
                1 => row.to_string(),
                _ => format!("{query} {row}"),
            }));
            // of another width, it need not be read
            if rows.d() == index.d() {
                vectors.extend(rows.read_all());
            }
            rows.d()
        } else {
            let folder = args.run.as_ref().ok_or_else(|| UsageError {
                message: format!(
                    "expected a .npy file, or `--run` to search by words or media, got {query:?}"
                ),
                hint: Some("`--run` names the run whose model embedded the rows".to_owned()),
            })?;
            let run: &TrainedRun = match &mut run {
                Some(run) => run,
                none => none.insert(TrainedRun::open(folder, args.compute.device)?),
            };
            let vector = embed_query(run, &run.inference(), query)?;
            names.push(query.clone());
            vectors.extend(&vector);
            vector.len()
        };
        if width != index.d() {
            let problem = format!(
                "{query} gives {width} columns: the index {} has {}",
                args.index.display(),
                index.d()
            );
            return Err(IndexFailure::new(problem).into());
        }
    }
    Ok((names, vectors))
}

fn json_of(index: &Index, names: &[String], found: &Found, recall: Option<f64>) -> miette::Result<String> {
    let row = |(place, (row, score)): (usize, (usize, f32))| json!({"rank": place + 1, "id": index.id(row), "row": row, "score": score});
    let of_query = |(query_idx, name): (usize, &String)| {
        let rows: Vec<Value> = found.of_query(query_idx).enumerate().map(row).collect();
        json!({"query": name, "found": rows})
    };
    let queries: Vec<Value> = names.iter().enumerate().map(of_query).collect();
    let mut record = json!({"metric": index.metric().to_string(), "queries": queries});
    if let Some(recall) = recall {
        record["recall"] = json!(recall);
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&record).into_diagnostic()?))
}

/// One line a row: rank, score, id, under the query where there are several.
fn text_of(index: &Index, names: &[String], found: &Found, recall: Option<f64>) -> String {
    let mut text = String::new();
    for (query_idx, name) in names.iter().enumerate() {
        // writing to a string cannot fail
        if names.len() > 1 {
            let _ = writeln!(text, "{name}");
        }
        for (place, (row, score)) in found.of_query(query_idx).enumerate() {
            let _ = writeln!(text, "{:>5}  {score:>9.5}  {}", place + 1, index.id(row));
        }
    }
    if let Some(recall) = recall {
        let _ = writeln!(text, "recall@{} {:.4}", found.k, recall);
    }
    text
}
