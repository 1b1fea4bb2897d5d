//! How long exact search takes on arrays, without reading the queries: the counterpart of `compare.py` in
//! `experiments/runs/2026-11-25-2-core-index`.
//!
//!     index_speed build ROWS.npy X.index f32|f16|i8 [none|f32|f16]
//!     index_speed query X.index QUERIES.npy K ROUNDS [CANDIDATES]
//!
//! Prints a JSON object of seconds; `query` writes the rows that were found, little-endian u32, to `X.index.found`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use triptych_tasks::index::{Builder, Element, Index, Metric, NpyRows, Storage, recall};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match arguments[..] {
        ["build", rows, index, element, ref originals @ ..] => {
            build(Path::new(rows), Path::new(index), element, originals.first().copied())?
        }
        ["query", index, queries, k, rounds, ref candidates @ ..] => {
            let candidates = candidates.first().map(|candidates| candidates.parse()).transpose()?;
            query(Path::new(index), Path::new(queries), k.parse()?, rounds.parse()?, candidates)?
        }
        _ => return Err("expected build or query, and files".into()),
    };
    println!("{report}");
    Ok(())
}

fn element(name: &str) -> Option<Element> {
    [Element::F32, Element::F16, Element::I8].into_iter().find(|element| element.to_string() == name)
}

fn build(rows: &Path, index: &Path, stored: &str, originals: Option<&str>) -> Result<Value, Box<dyn Error>> {
    let start = Instant::now();
    let rows = NpyRows::open(rows)?;
    let storage = Storage {
        element: element(stored).ok_or("expected f32, f16 or i8")?,
        originals: originals.and_then(element),
        metric: Metric::Dot,
    };
    let mut builder = Builder::create(index, rows.d(), storage)?;
    let mut row = Vec::new();
    for row_idx in 0..rows.n_rows() {
        rows.read(row_idx, &mut row);
        builder.push(&row_idx.to_string(), &row)?;
    }
    builder.finish()?;
    Ok(json!({"build_s": start.elapsed().as_secs_f64(), "bytes": Index::open(index)?.n_bytes()}))
}

fn query(
    path: &Path,
    queries: &Path,
    k: usize,
    n_rounds: usize,
    n_candidates: Option<usize>,
) -> Result<Value, Box<dyn Error>> {
    let start = Instant::now();
    let index = Index::open(path)?;
    let open_s = start.elapsed().as_secs_f64();
    let queries = NpyRows::open(queries)?.read_all();
    let mut query_s = Vec::with_capacity(n_rounds);
    let mut found = None;
    for _ in 0..n_rounds {
        let start = Instant::now();
        found = Some(match n_candidates {
            None => index.search(&queries, k)?,
            Some(n_candidates) => index.search_rescored(&queries, k, n_candidates)?,
        });
        query_s.push(start.elapsed().as_secs_f64());
    }
    let found = found.ok_or("expected at least one round")?;
    let recall_to_exact = match n_candidates {
        None => Value::Null,
        Some(_) => json!(recall(&found, &index.search_exactly(&queries, k)?)),
    };
    let bytes: Vec<u8> = found.rows.iter().flat_map(|row| row.to_le_bytes()).collect();
    std::fs::write(path.with_extension("index.found"), bytes)?;
    Ok(json!({
        "open_s": open_s,
        "query_s": query_s,
        "recall": recall_to_exact,
        "threads": rayon::current_num_threads(),
    }))
}
