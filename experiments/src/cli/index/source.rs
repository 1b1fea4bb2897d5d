//! Embeddings from files, a row at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use triptych_tasks::index::NpyRows;

use super::error::IndexFailure;

/// The longest line of JSON that is read, in bytes: a million numbers of 16 characters.
const MAX_LINE: u64 = 1 << 24;

/// An embedding on a line.
#[derive(Deserialize)]
struct Line {
    id: Value,
    embedding: Vec<f32>,
}

/// Gives every row of a matrix with its id: a line of `ids`, or its number.
pub(super) fn of_array(
    rows: &NpyRows,
    ids: Option<&Path>,
    mut take: impl FnMut(&str, &[f32]) -> Result<(), IndexFailure>,
) -> Result<(), IndexFailure> {
    let mut lines = ids.map(Lines::open).transpose()?;
    let mut row = Vec::new();
    for row_idx in 0..rows.n_rows() {
        rows.read(row_idx, &mut row);
        match &mut lines {
            None => take(&row_idx.to_string(), &row)?,
            Some(lines) => match lines.next()? {
                Some(id) => take(id, &row)?,
                None => {
                    let problem = format!(
                        "expected {} ids, one for each row of {}, got {row_idx}",
                        rows.n_rows(),
                        rows.path().display()
                    );
                    return Err(IndexFailure::of_file(lines.path, problem));
                }
            },
        }
    }
    if let Some(lines) = &mut lines
        && lines.next()?.is_some()
    {
        let problem = format!("expected {} ids, got more", rows.n_rows());
        return Err(IndexFailure::of_file(lines.path, problem));
    }
    Ok(())
}

/// Gives every embedding of a file of JSON lines, each an object with `id` and `embedding`.
pub(super) fn of_lines(
    path: &Path,
    mut take: impl FnMut(&str, &[f32]) -> Result<(), IndexFailure>,
) -> Result<(), IndexFailure> {
    let mut lines = Lines::open(path)?;
    while let Some(line) = lines.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let Line { id, embedding } = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => {
                let problem = format!("expected an object with `id` and `embedding`, got: {error}");
                return Err(IndexFailure::at_line(path, lines.number, problem));
            }
        };
        let id = match id {
            Value::String(id) => id,
            Value::Number(id) => id.to_string(),
            other => {
                let problem = format!("expected an id that is a string or a number, got {other}");
                return Err(IndexFailure::at_line(path, lines.number, problem));
            }
        };
        take(&id, &embedding).map_err(|failure| IndexFailure::at_line(path, lines.number, failure))?;
    }
    Ok(())
}

/// Lines of a file, none of them endless.
struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    line: String,
    number: usize,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, IndexFailure> {
        let file = File::open(path).map_err(|error| IndexFailure::of_file(path, error))?;
        Ok(Self { path, file: BufReader::new(file), line: String::new(), number: 0 })
    }

    /// Without its end.
    fn next(&mut self) -> Result<Option<&str>, IndexFailure> {
        self.line.clear();
        self.number += 1;
        let n = (&mut self.file).take(MAX_LINE).read_line(&mut self.line);
        let n = n.map_err(|error| IndexFailure::at_line(self.path, self.number, error))?;
        if n as u64 == MAX_LINE {
            let problem = format!("expected less than {MAX_LINE} bytes, got a longer line");
            return Err(IndexFailure::at_line(self.path, self.number, problem));
        }
        Ok((n > 0).then(|| self.line.trim_end_matches(['\n', '\r'])))
    }
}
