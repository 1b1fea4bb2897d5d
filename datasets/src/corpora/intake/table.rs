//! Tables in text files: comma, tab or bar between the cells, a row at a time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;

use super::Source;
use super::ledger::{Failure, Place};
use crate::corpora::ImportError;

/// How a table is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub delimiter: u8,
    /// Whether `"a, b"` is one cell.
    pub has_quotes: bool,
}

impl Dialect {
    /// Commas and quotes, RFC 4180.
    pub(crate) const CSV: Self = Self { delimiter: b',', has_quotes: true };
    /// Tabs, and quotes mean themselves.
    pub(crate) const TSV: Self = Self { delimiter: b'\t', has_quotes: false };
    /// Bars, and quotes mean themselves.
    pub(crate) const BARS: Self = Self { delimiter: b'|', has_quotes: false };
}

/// A row by the names of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub place: Place,
    cells: BTreeMap<String, String>,
}

impl Row {
    /// A cell without the spaces around it; `None` where there is no such column or nothing in it.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    }

    /// A cell that must be there.
    pub(crate) fn need(&self, column: &str) -> Result<&str, Failure> {
        self.get(column).ok_or_else(|| {
            Failure::at(self.place.clone(), format!("expected something in column `{column}`"))
        })
    }

    /// The columns with what stands in them.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().map(|(column, cell)| (column.as_str(), cell.trim()))
    }
}

/// The rows of a table, in their order.
pub(crate) struct Table {
    file: String,
    columns: Vec<String>,
    reader: csv::Reader<Guarded<Box<dyn Read>>>,
    budget: Rc<Cell<u64>>,
    max_row_bytes: u64,
    is_over: bool,
}

impl Table {
    /// Opens a file whose first row names the columns.
    ///
    /// # Errors
    /// A file that cannot be opened, or has no first row, or lacks one of the columns in `needed`.
    pub(crate) fn open(
        source: &Source,
        file: &str,
        dialect: Dialect,
        needed: &[&str],
        max_row_bytes: u64,
    ) -> Result<Self, ImportError> {
        let mut table = Self::start(source, file, dialect, max_row_bytes)?;
        let header = match table.record() {
            Some(Ok((_, cells))) => cells,
            Some(Err(failure)) => return Err(unfit(file, failure.reason)),
            None => {
                return Err(unfit(
                    file,
                    "expected a first line with the names of the columns, got an empty file",
                ));
            }
        };
        table.columns =
            header.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_owned()).collect();
        if let Some(absent) = needed.iter().find(|name| !table.columns.iter().any(|column| column == *name)) {
            let problem = format!("expected a column `{absent}`, got {}", table.columns.join(", "));
            return Err(unfit(file, problem));
        }
        Ok(table)
    }

    fn start(source: &Source, file: &str, dialect: Dialect, max_row_bytes: u64) -> Result<Self, ImportError> {
        let opened = source.open_file(file).map_err(|problem| unfit(file, problem))?;
        let budget = Rc::new(Cell::new(0));
        let guarded = Guarded { inner: Box::new(opened) as Box<dyn Read>, budget: budget.clone() };
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(dialect.delimiter)
            .quoting(dialect.has_quotes)
            .from_reader(guarded);
        Ok(Self { file: file.to_owned(), columns: Vec::new(), reader, budget, max_row_bytes, is_over: false })
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column == name)
    }

    /// The next row's place and cells.
    fn record(&mut self) -> Option<Result<(Place, Vec<String>), Failure>> {
        if self.is_over {
            return None;
        }
        // what the reader holds already does not count, so that a row may be a little longer
        self.budget.set(self.max_row_bytes);
        let mut record = csv::ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        let line = record.position().map_or(self.reader.position().line(), csv::Position::line);
        let place = Place::line(&self.file, line.max(1));
        match read {
            Ok(true) => {
                let cells =
                    record.iter().map(|cell| String::from_utf8(cell.to_vec())).collect::<Result<_, _>>();
                Some(
                    cells
                        .map(|cells| (place.clone(), cells))
                        .map_err(|_| Failure::at(place, "expected UTF-8")),
                )
            }
            Ok(false) => None,
            Err(e) => {
                self.is_over = true;
                Some(Err(Failure::at(place, format!("the rest cannot be read: {e}"))))
            }
        }
    }
}

impl Iterator for Table {
    type Item = Result<Row, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let (place, cells) = match self.record()? {
            Ok(record) => record,
            Err(failure) => return Some(Err(failure)),
        };
        if cells.len() != self.columns.len() {
            let names = self.columns.join(", ");
            let (expected, got) = (self.columns.len(), cells.len());
            let reason = format!("expected {expected} cells ({names}), got {got}");
            return Some(Err(Failure::at(place, reason)));
        }
        Some(Ok(Row { place, cells: self.columns.iter().cloned().zip(cells).collect() }))
    }
}

/// Stops a row that never ends, such as one with a quote that is never closed, before it fills the memory.
struct Guarded<R> {
    inner: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let budget = self.budget.get();
        if budget == 0 {
            return Err(io::Error::other("a row is too long: is a quote never closed?"));
        }
        let n_bytes = self.inner.read(buffer)?;
        self.budget.set(budget.saturating_sub(n_bytes as u64));
        Ok(n_bytes)
    }
}

fn unfit(file: &str, problem: impl Into<String>) -> ImportError {
    ImportError::Source { source_name: file.to_owned(), place: "line 1".to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rows(text: &[u8], dialect: Dialect) -> Vec<Result<Vec<String>, (u64, String)>> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("t"), text).expect("the folder is writable");
        let source = Source::open(dir.path()).expect("it is a folder");
        let table = Table::open(&source, "t", dialect, &["a"], 1 << 16).expect("it has a header");
        table
            .map(|row| match row {
                Ok(row) => Ok(row.cells().map(|(_, cell)| cell.to_owned()).collect()),
                Err(failure) => Err((failure.place.line.unwrap_or(0), failure.reason)),
            })
            .collect()
    }

    #[test]
    fn quotes_bind_in_csv_and_mean_themselves_in_tsv() {
        let ok = |cells: [&str; 2]| Ok(cells.map(str::to_owned).to_vec());
        assert_eq!(rows(b"\xef\xbb\xbfa,b\r\n\"1, \"\"2\"\"\",3\r\n", Dialect::CSV), [ok(["1, \"2\"", "3"])]);
        assert_eq!(rows(b"a\tb\n\"1\t2\n", Dialect::TSV), [ok(["\"1", "2"])]);
    }

    #[test]
    fn ragged_and_foreign_rows_are_named_by_line() {
        let got = rows(b"a,b\n1\n2,3\n\xff,4\n5,6\n", Dialect::CSV);
        assert_eq!(got.len(), 4);
        assert!(matches!(&got[0], Err((2, reason)) if reason == "expected 2 cells (a, b), got 1"), "{got:?}");
        assert!(got[1].is_ok() && matches!(got[2], Err((4, _))) && got[3].is_ok(), "{got:?}");
    }

    #[test]
    fn quote_that_is_never_closed_does_not_fill_the_memory() {
        let mut text = b"a,b\n\"".to_vec();
        text.resize(1 << 20, b'x');
        let got = rows(&text, Dialect::CSV);
        assert!(matches!(&got[..], [Err((_, reason))] if reason.contains("never closed")), "{got:?}");
    }

    #[test]
    fn missing_column_is_told_with_those_there_are() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let source = Source::open(dir.path()).expect("it is a folder");
        let open = |text: &str| {
            fs::write(dir.path().join("t"), text).expect("the folder is writable");
            Table::open(&source, "t", Dialect::CSV, &["c"], 100).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(open("a,b\n"), Err("t, line 1: expected a column `c`, got a, b".to_owned()));
        assert!(open("").is_err_and(|e| e.contains("empty file")));
    }
}
