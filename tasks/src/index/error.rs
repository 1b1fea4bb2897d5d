//! What is wrong with an index, or with what is asked of it.

use std::io;
use std::path::PathBuf;

use super::header::Element;

/// An index that cannot be built, opened or searched. Rows and columns are counted from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The system does not hand a file over or does not take it.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A vector has another number of columns.
    #[error("{what} {row_idx} has {got} columns: expected {expected}")]
    Width {
        /// Row or query.
        what: &'static str,
        /// Which one.
        row_idx: usize,
        /// Columns of the index.
        expected: usize,
        /// Columns of the vector.
        got: usize,
    },
    /// NaN or infinity.
    #[error("{what} {row_idx} column {column_idx} is {value}: expected a finite number")]
    NotFinite {
        /// Row or query.
        what: &'static str,
        /// Which one.
        row_idx: usize,
        /// Which of its numbers.
        column_idx: usize,
        /// The number.
        value: f32,
    },
    /// Products would overflow.
    #[error("{what} {row_idx} has length {length:.1e}: expected at most 1.8e19, for products to stay finite")]
    TooLong {
        /// Row or query.
        what: &'static str,
        /// Which one.
        row_idx: usize,
        /// Its length.
        length: f64,
    },
    /// A stored type cannot hold a number.
    #[error(
        "row {row_idx} column {column_idx} is {value}: more than f16 holds (65504)\nhint: store f32, or scale the rows"
    )]
    Half {
        /// The row.
        row_idx: usize,
        /// Which of its numbers.
        column_idx: usize,
        /// The number.
        value: f32,
    },
    /// A vector without direction has no cosine.
    #[error(
        "{what} {row_idx} is all zeros: it has no cosine with anything\nhint: leave it out, or use the inner product"
    )]
    Zero {
        /// Row or query.
        what: &'static str,
        /// Which one.
        row_idx: usize,
    },
    /// Two rows of one name could not be told apart.
    #[error("id {id:?} stands twice, in rows {first} and {second}: expected every id once")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it stands first.
        first: usize,
        /// Where it stands again.
        second: usize,
    },
    /// There is nothing to find.
    #[error("expected at least one {what}, got none")]
    Empty {
        /// Rows, columns or queries.
        what: &'static str,
    },
    /// More rows than numbers for them.
    #[error("expected at most {} rows, got more", super::MAX_ROWS)]
    TooManyRows,
    /// More results than rows, or none.
    #[error("asked for the nearest {k}: expected from 1 to {n_rows}, the rows of the index")]
    Count {
        /// What was asked for.
        k: usize,
        /// Rows of the index.
        n_rows: usize,
    },
    /// Rescoring without what to score by.
    #[error(
        "the index holds {element} and no originals to score its best rows by\nhint: build it with the originals kept"
    )]
    NoOriginals {
        /// What it holds.
        element: Element,
    },
}

impl IndexError {
    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    pub(super) fn format(path: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into() }
    }
}
