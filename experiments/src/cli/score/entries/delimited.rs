//! Tables with a header, separated by commas or tabs.

use std::path::Path;

use serde_json::json;

use super::{Entry, ID};
use crate::cli::score::error::{FileError, Place};

/// A row an entry; the column `id` or `image_id` is its id, the others are its fields.
pub(super) fn rows(path: &Path, text: &str, delimiter: u8) -> Result<Vec<Entry>, FileError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        // in tables with tabs a quote is a character like any other
        .quoting(delimiter == b',')
        .from_reader(text.as_bytes());
    let broken = |line: usize, problem: String| FileError::new(path, Place::Line(line), problem);
    let header = reader.headers().map_err(|error| broken(1, error.to_string()))?.clone();
    for (column_idx, name) in header.iter().enumerate() {
        if header.iter().take(column_idx).any(|other| other == name) {
            return Err(broken(1, format!("column `{name}` stands twice in the header")));
        }
    }
    let id_column = ID.iter().find_map(|name| header.iter().position(|column| column == *name));
    let mut entries = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            broken(error.position().map_or(1, |position| position.line() as usize), error.to_string())
        })?;
        let line = row.position().map_or(1, |position| position.line() as usize);
        if row.len() != header.len() {
            let problem = format!("expected {} columns as in the header, got {}", header.len(), row.len());
            return Err(broken(line, problem));
        }
        let cells =
            header.iter().zip(&row).enumerate().filter(|(column_idx, _)| Some(*column_idx) != id_column);
        let fields = cells.map(|(_, (name, cell))| (name.to_owned(), json!(cell))).collect();
        let id = id_column.map(|column_idx| row[column_idx].to_owned());
        entries.push(Entry { place: Place::Line(line), id, fields });
    }
    Ok(entries)
}
