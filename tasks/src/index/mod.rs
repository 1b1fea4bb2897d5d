//! Embedding search: the `k` nearest of many rows, exactly, from a file that is mapped into memory.
//!
//! # The file
//! All numbers are little-endian; every part begins at a multiple of 64 bytes.
//!
//! | part | what |
//! |---|---|
//! | header, 256 bytes | magic, version, stored type, type of the originals, metric, rows, width, bytes of ids, three blake3 checksums |
//! | rows | `[n_rows, d]` of f32, f16 or i8 |
//! | scales | for i8: one f32 a row, what its numbers are multiplied by |
//! | originals | for i8, where they are kept: `[n_rows, d]` of f32 or f16, to score the best rows again |
//! | id ends | `[n_rows]` of u64: where the id of each row ends among the ids |
//! | ids | UTF-8, one behind the other |
//!
//! # The search
//! A score is the inner product; under [`Metric::Cosine`] rows and queries have length 1. Blocks of rows that fit the
//! second-level cache meet panels of 32 queries whose numbers stand side by side; a tile of scores never leaves the registers
//! unless one of them beats the `k`-th best of its query so far. Every score is summed in the order of the columns, and equal
//! scores are ordered by row: results depend neither on threads nor on how the work is parted.

#[cfg(feature = "approximate")]
pub mod approximate;
mod builder;
mod error;
mod file;
mod header;
mod nearest;
mod npy;
mod rows;
mod search;
mod tile;

pub use builder::{Builder, Storage};
pub use error::IndexError;
pub use file::Index;
pub use header::{Element, Metric};
pub use nearest::Found;
pub use npy::NpyRows;
pub use search::recall;

/// Rows that [`Index::search`] may hold: their numbers are 32 bits wide.
pub const MAX_ROWS: usize = u32::MAX as usize;

/// The longest vector whose products with another such one stay finite: the root of the largest f32.
const MAX_LENGTH: f32 = 1.8e19;

/// Checks a row or query, and scales it to length 1 where the metric asks for it.
///
/// # Errors
/// [`IndexError::NotFinite`], [`IndexError::TooLong`], and under [`Metric::Cosine`] [`IndexError::Zero`].
fn prepare(row: &mut [f32], metric: Metric, what: &'static str, row_idx: usize) -> Result<(), IndexError> {
    if let Some(column_idx) = row.iter().position(|value| !value.is_finite()) {
        return Err(IndexError::NotFinite { what, row_idx, column_idx, value: row[column_idx] });
    }
    // in f64 the squares can neither overflow nor vanish
    let length = row.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    if length > f64::from(MAX_LENGTH) {
        return Err(IndexError::TooLong { what, row_idx, length });
    }
    if metric == Metric::Cosine {
        if length == 0.0 {
            return Err(IndexError::Zero { what, row_idx });
        }
        row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
