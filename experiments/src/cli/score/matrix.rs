//! Matrices of numbers from NumPy's `.npy` files.

use std::path::{Path, PathBuf};

use super::entries::{ending, read_bytes};
use super::error::{FileError, Place};

/// What a `.npy` file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

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

    /// Reads two-dimensional f16, f32 or f64 in C order.
    ///
    /// # Reference
    /// NumPy's `numpy/lib/format.py`, versions 1.0 to 3.0.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = read_bytes(path)?;
        Self::parse(path, &bytes).map_err(|problem| FileError::new(path, Place::Whole, problem))
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err("expected a NumPy matrix (.npy), got another kind of file".to_owned());
        };
        let cut_off = || "the file is cut off in its header".to_owned();
        let (&version, rest) = rest.get(..2).map(|version| (&version[0], &rest[2..])).ok_or_else(cut_off)?;
        let n_length = match version {
            1 => 2,
            2 | 3 => 4,
            other => return Err(format!("expected a .npy file of version 1 to 3, got version {other}")),
        };
        let length = rest.get(..n_length).ok_or_else(cut_off)?;
        let length = length.iter().rev().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
        let header = rest.get(n_length..).and_then(|rest| rest.get(..length)).ok_or_else(cut_off)?;
        let header = String::from_utf8_lossy(header);
        let data = &rest[n_length + length..];
        let field = |name: &str| {
            let value = header.split_once(&format!("'{name}':")).map(|(_, value)| value.trim_start());
            value.ok_or_else(|| format!("the header names no `{name}`: {}", header.trim()))
        };
        if !field("fortran_order")?.starts_with("False") {
            return Err(
                "expected C order, got Fortran order\nhint: save it with `np.ascontiguousarray`".to_owned()
            );
        }
        let descr =
            field("descr")?.trim_start_matches('\'').split('\'').next().unwrap_or_default().to_owned();
        let shape = field("shape")?.trim_start_matches('(').split(')').next().unwrap_or_default();
        let sizes: Result<Vec<usize>, _> =
            (shape.split(',').map(str::trim)).filter(|size| !size.is_empty()).map(str::parse).collect();
        let [n_rows, n_columns] = sizes.unwrap_or_default()[..] else {
            return Err(format!("expected a matrix of two dimensions, got shape ({shape})"));
        };
        let n_values = n_rows.checked_mul(n_columns);
        let width = match descr.as_str() {
            "<f2" | "<f4" | "<f8" => usize::from(descr.as_bytes()[2] - b'0'),
            other => return Err(format!("expected little-endian f16, f32 or f64, got {other:?}")),
        };
        if n_values.and_then(|n_values| n_values.checked_mul(width)) != Some(data.len()) {
            return Err(format!(
                "shape ({shape}) of {descr} does not fit the {} bytes of data: the file is cut off or damaged",
                data.len()
            ));
        }
        let values: Vec<f64> = match width {
            2 => chunks(data).map(|bytes| half(u16::from_le_bytes(bytes))).collect(),
            4 => chunks(data).map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
            _ => chunks(data).map(f64::from_le_bytes).collect(),
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

fn chunks<const WIDTH: usize>(data: &[u8]) -> impl Iterator<Item = [u8; WIDTH]> + '_ {
    data.as_chunks::<WIDTH>().0.iter().copied()
}

/// IEEE 754 half precision.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Vec<f64>, String> {
        Matrix::parse(Path::new("a.npy"), bytes).map(|matrix| matrix.values)
    }

    #[test]
    fn numbers_of_every_width_are_read() {
        let header =
            |descr: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1, 2), }}\n");
        let single: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(parse(&npy(&header("<f4"), &single)), Ok(vec![1.5, -2.0]));
        let double: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(parse(&npy(&header("<f8"), &double)), Ok(vec![1.5, -2.0]));
        assert_eq!(parse(&npy(&header("<f2"), &[0x00, 0x3e, 0x00, 0xc0])), Ok(vec![1.5, -2.0]));
        assert_eq!((half(0x7c00), half(0x0001)), (f64::INFINITY, 2f64.powi(-24)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            version in 0..5u8,
            length in 0..80u16,
            header in "[{}'a-z_: (),0-9<]{0,60}",
            data in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([version, 0]);
            bytes.extend(length.to_le_bytes());
            bytes.extend(header.as_bytes());
            bytes.extend(data);
            for end in 0..=bytes.len() {
                let _ = parse(&bytes[..end]);
            }
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (bytes, message) in [
            (b"{}".to_vec(), "expected a NumPy matrix (.npy), got another kind of file"),
            (MAGIC.to_vec(), "the file is cut off in its header"),
            (
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", &[0; 7]),
                "shape (1, 2) of <f4 does not fit the 7 bytes of data: the file is cut off or damaged",
            ),
            (
                npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", &[0; 16]),
                "expected little-endian f16, f32 or f64, got \"<i8\"",
            ),
            (
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &[0; 8]),
                "expected a matrix of two dimensions, got shape (2,)",
            ),
            (
                npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", &[0; 8]),
                "expected C order, got Fortran order\nhint: save it with `np.ascontiguousarray`",
            ),
            (
                npy("{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, 2), }", &[]),
                "shape (18446744073709551615, 2) of <f8 does not fit the 0 bytes of data: the file is cut off or damaged",
            ),
            (npy("{}", &[]), "the header names no `fortran_order`: {}"),
        ] {
            assert_eq!(parse(&bytes), Err(message.to_owned()));
        }
    }
}
