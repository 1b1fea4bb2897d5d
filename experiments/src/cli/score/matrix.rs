//! Matrices of numbers from NumPy's `.npy` files.

use std::path::{Path, PathBuf};

use triptych_datasets::npy;

use super::entries::{ending, read_bytes};
use super::error::{FileError, Place};

/// A matrix.
#[derive(Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) path: PathBuf,
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    /// `[n_rows, n_columns]`.
    pub(super) values: Vec<f64>,
}

impl Matrix {
    /// Whether a file is to be read as a matrix.
    pub(super) fn is_at(path: &Path) -> bool {
        ending(path) == "npy"
    }

    /// Reads two-dimensional f16, f32, f64 or bytes in C order.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = read_bytes(path)?;
        Self::parse(path, &bytes).map_err(|problem| FileError::new(path, Place::Whole, problem))
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let (header, values) = npy::read_f64(bytes).map_err(|error| error.to_string())?;
        let [n_rows, n_columns] = header.shape[..] else {
            return Err(format!("expected a matrix of two dimensions, got the shape {:?}", header.shape));
        };
        Ok(Self { path: path.to_owned(), n_rows, n_columns, values })
    }

    pub(super) fn error(&self, problem: impl std::fmt::Display) -> FileError {
        FileError::new(&self.path, Place::Whole, problem)
    }

    /// Refuses what cannot be ranked.
    pub(super) fn check_numbers(&self) -> Result<(), FileError> {
        match self.values.iter().position(|value| value.is_nan()) {
            None => Ok(()),
            Some(place) => Err(self.error(format!(
                "row {} column {} is NaN: expected a number (rows and columns are counted from 0)",
                place / self.n_columns,
                place % self.n_columns
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(shape: &[usize], values: &[f32]) -> Result<Matrix, String> {
        let mut bytes = Vec::new();
        npy::write_f32(&mut bytes, shape, values).expect("memory takes it");
        Matrix::parse(Path::new("a.npy"), &bytes)
    }

    #[test]
    fn a_matrix_is_read_and_nothing_of_other_dimensions() {
        let matrix = parse(&[1, 2], &[1.5, -2.0]).expect("it was just written");
        assert_eq!((matrix.n_rows, matrix.n_columns, matrix.values), (1, 2, vec![1.5, -2.0]));
        let error = parse(&[2], &[1.5, -2.0]).expect_err("a vector is no matrix");
        assert_eq!(error, "expected a matrix of two dimensions, got the shape [2]");
        let error = Matrix::parse(Path::new("a.npy"), b"{}").expect_err("no array");
        assert!(error.starts_with("expected a .npy file"), "{error}");
    }

    #[test]
    fn what_is_no_number_is_named_by_its_place() {
        let matrix = parse(&[2, 2], &[0.0, 1.0, f32::NAN, 2.0]).expect("it was just written");
        let error = matrix.check_numbers().expect_err("one is NaN").to_string();
        assert!(error.contains("row 1 column 0 is NaN"), "{error}");
    }
}
