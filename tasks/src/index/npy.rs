//! Rows of NumPy's array files, mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::f16;
use memmap2::Mmap;
use triptych_datasets::npy::{Header, Kind};

use super::error::IndexError;

/// A matrix of a `.npy` file, or a vector as its only row.
#[derive(Debug)]
pub struct NpyRows {
    path: PathBuf,
    map: Mmap,
    kind: Kind,
    data: Range<usize>,
    n_rows: usize,
    d: usize,
}

impl NpyRows {
    /// Opens a file of f16, f32 or f64, of one or two dimensions, in C order.
    ///
    /// # Errors
    /// [`IndexError::File`] when it cannot be read, [`IndexError::Format`] when it is something else or cut off.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let file = File::open(path).map_err(IndexError::file(path))?;
        if !file.metadata().map_err(IndexError::file(path))?.is_file() {
            return Err(IndexError::format(path, "expected a .npy file, got something that is not a file"));
        }
        // SAFETY: the map is only read; a file that is shortened meanwhile ends the program, and nothing worse
        let map = unsafe { Mmap::map(&file) }.map_err(IndexError::file(path))?;
        let header = Header::of_file(&map).map_err(|error| IndexError::format(path, error.to_string()))?;
        let [n_rows, d] = match header.shape[..] {
            [d] => [1, d],
            [n_rows, d] => [n_rows, d],
            _ => {
                let problem = format!("expected a matrix or a vector, got the shape {:?}", header.shape);
                return Err(IndexError::format(path, problem));
            }
        };
        if header.kind == Kind::U8 {
            return Err(IndexError::format(path, "expected f16, f32 or f64, got bytes"));
        }
        if n_rows == 0 || d == 0 {
            let problem =
                format!("expected at least one row and one column, got the shape {:?}", header.shape);
            return Err(IndexError::format(path, problem));
        }
        Ok(Self { path: path.to_owned(), map, kind: header.kind, data: header.data, n_rows, d })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Numbers of a row.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Puts a row, rounded to f32, in place of what `into` holds.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn read(&self, row: usize, into: &mut Vec<f32>) {
        let width = self.kind.width() * self.d;
        let bytes = &self.map[self.data.clone()][row * width..][..width];
        into.clear();
        match self.kind {
            Kind::F16 => {
                into.extend(bytes.as_chunks::<2>().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()));
            }
            Kind::F64 => into.extend(bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
            _ => into.extend(bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b))),
        }
    }

    /// Every row, rounded to f32, `[n_rows, d]`.
    pub fn read_all(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.n_rows * self.d);
        let mut row = Vec::new();
        for row_idx in 0..self.n_rows {
            self.read(row_idx, &mut row);
            values.extend_from_slice(&row);
        }
        values
    }
}
