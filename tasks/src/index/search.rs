//! The search: queries in panels, rows in blocks, both parted among threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::error::IndexError;
use super::file::Index;
use super::nearest::{Candidate, Found, Nearest};
use super::prepare;
use super::rows::Rows;
use super::tile::{LANES, TILE_ROWS, scan, scores};

/// Bytes of floats of a block of rows: it stays in a second-level cache while the panels pass.
const BLOCK_BYTES: usize = 1 << 18;
/// Panels that one thread takes through its rows at once: the rows come from memory once for all of them.
const GROUP_PANELS: usize = 64;
/// Parts of the work a thread, so that none waits long for the last.
const TASKS_PER_THREAD: usize = 8;

impl Index {
    /// The `k` nearest rows of every query by what the index stores: exact but for rows of [`Element::I8`].
    ///
    /// # Shapes
    /// `queries`: `[n_query, d]`.
    ///
    /// # Errors
    /// [`IndexError::Empty`] without queries, [`IndexError::Width`], [`IndexError::Count`], [`IndexError::NotFinite`],
    /// [`IndexError::TooLong`], [`IndexError::Zero`], and [`IndexError::Format`] when the file holds NaN.
    pub fn search(&self, queries: &[f32], k: usize) -> Result<Found, IndexError> {
        let queries = self.prepared(queries, k)?;
        self.found(self.nearest(&self.rows(), &queries, k)?, k)
    }

    /// The `k` nearest rows by the originals, without the help of the rows of 8 bits: exact, and what a faster search is
    /// measured by.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn search_exactly(&self, queries: &[f32], k: usize) -> Result<Found, IndexError> {
        let queries = self.prepared(queries, k)?;
        self.found(self.nearest(&self.exact_rows(), &queries, k)?, k)
    }

    /// The `k` nearest of the `n_candidates` rows that are nearest by 8 bits, by the scores of their originals.
    ///
    /// # Errors
    /// As [`Index::search`]; [`IndexError::NoOriginals`], and [`IndexError::Count`] for fewer candidates than `k`. More
    /// candidates than rows are all rows.
    pub fn search_rescored(
        &self,
        queries: &[f32],
        k: usize,
        n_candidates: usize,
    ) -> Result<Found, IndexError> {
        if self.originals().is_none() {
            return Err(IndexError::NoOriginals { element: self.element() });
        }
        if n_candidates < k {
            return Err(IndexError::Count { k, n_rows: n_candidates });
        }
        let n_candidates = n_candidates.min(self.n_rows());
        let queries = self.prepared(queries, k)?;
        let candidates = self.nearest(&self.rows(), &queries, n_candidates)?;
        self.found(self.rescored(&queries, candidates, k, n_candidates), k)
    }

    /// Scores each query's candidates by the most exact rows, and keeps the best `k`.
    pub(super) fn rescored(
        &self,
        queries: &[f32],
        mut candidates: Vec<Candidate>,
        k: usize,
        n_candidates: usize,
    ) -> Vec<Candidate> {
        let originals = self.exact_rows();
        let d = self.d();
        let queries = candidates.par_chunks_mut(n_candidates).zip(queries.par_chunks(d));
        queries
            .flat_map_iter(|(candidates, query)| {
                let (mut rows, mut space, mut values) = (Vec::new(), Vec::new(), Vec::new());
                // in the order of the file
                candidates.sort_unstable_by_key(|candidate| candidate.row);
                for candidate in &*candidates {
                    let row = candidate.row as usize;
                    rows.extend_from_slice(originals.block(row..row + 1, &mut space));
                }
                scores(query, &rows, &mut values);
                candidates.iter_mut().zip(values).for_each(|(candidate, score)| candidate.score = score);
                candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
                candidates[..k].to_vec()
            })
            .collect()
    }

    /// Checked queries, of length 1 where the metric asks for it.
    pub(super) fn prepared(&self, queries: &[f32], k: usize) -> Result<Vec<f32>, IndexError> {
        let d = self.d();
        if queries.is_empty() {
            return Err(IndexError::Empty { what: "query" });
        }
        if !queries.len().is_multiple_of(d) {
            let row_idx = queries.len() / d;
            return Err(IndexError::Width { what: "query", row_idx, expected: d, got: queries.len() % d });
        }
        if k == 0 || k > self.n_rows() {
            return Err(IndexError::Count { k, n_rows: self.n_rows() });
        }
        let mut queries = queries.to_vec();
        for (query_idx, query) in queries.chunks_exact_mut(d).enumerate() {
            prepare(query, self.metric(), "query", query_idx)?;
        }
        Ok(queries)
    }

    /// The best `k` of each query, best first.
    fn nearest(&self, rows: &Rows<'_>, queries: &[f32], k: usize) -> Result<Vec<Candidate>, IndexError> {
        nearest(rows, queries, k).ok_or_else(|| {
            IndexError::format(self.path(), "rows of the index are not numbers: it is damaged")
        })
    }

    pub(super) fn found(&self, best: Vec<Candidate>, k: usize) -> Result<Found, IndexError> {
        let rows = best.iter().map(|candidate| candidate.row).collect();
        let scores = best.iter().map(|candidate| candidate.score).collect();
        Ok(Found { k, rows, scores })
    }
}

/// The share of the rows of `exact` that `found` found too, 0 to 1.
///
/// # Panics
/// When the two are not of the same queries and `k`.
pub fn recall(found: &Found, exact: &Found) -> f64 {
    assert_eq!((found.k, found.rows.len()), (exact.k, exact.rows.len()), "searches of different sizes");
    let lists = found.rows.chunks_exact(found.k).zip(exact.rows.chunks_exact(found.k));
    let n_shared: usize = lists
        .map(|(found, exact)| {
            let (mut found, mut exact) = (found.to_vec(), exact.to_vec());
            found.sort_unstable();
            exact.sort_unstable();
            found.iter().filter(|row| exact.binary_search(row).is_ok()).count()
        })
        .sum();
    n_shared as f64 / found.rows.len() as f64
}

/// None when rows are NaN.
fn nearest(rows: &Rows<'_>, queries: &[f32], k: usize) -> Option<Vec<Candidate>> {
    let d = rows.d;
    let groups: Vec<Group> =
        queries.chunks(GROUP_PANELS * LANES * d).map(|queries| Group::new(queries, d, k)).collect();
    let block_rows = (BLOCK_BYTES / 4 / d / TILE_ROWS).max(1) * TILE_ROWS;
    let n_blocks = rows.n_rows().div_ceil(block_rows);
    let n_parts = (TASKS_PER_THREAD * rayon::current_num_threads()).div_ceil(groups.len()).min(n_blocks);
    let part_rows = n_blocks.div_ceil(n_parts) * block_rows;
    // all groups of one part before the next, so that each learns from its earlier parts what it can pass over
    (0..n_parts * groups.len()).into_par_iter().with_max_len(1).for_each(|task_idx| {
        let start = task_idx / groups.len() * part_rows;
        let part = start.min(rows.n_rows())..(start + part_rows).min(rows.n_rows());
        groups[task_idx % groups.len()].search(rows, part, block_rows);
    });
    let mut found = Vec::with_capacity(queries.len() / d * k);
    for group in groups {
        found.extend(group.best.into_inner().unwrap_or_else(PoisonError::into_inner).sorted()?);
    }
    Some(found)
}

/// Queries that pass through the rows together.
struct Group {
    d: usize,
    /// `[n_panel, d]` of 32 queries' numbers.
    panels: Vec<[f32; LANES]>,
    best: Mutex<Nearest>,
}

impl Group {
    /// `queries`: `[n_query, d]`.
    fn new(queries: &[f32], d: usize, k: usize) -> Self {
        let n_query = queries.len() / d;
        let mut panels = vec![[0.0; LANES]; n_query.div_ceil(LANES) * d];
        for (query_idx, query) in queries.chunks_exact(d).enumerate() {
            let panel = &mut panels[query_idx / LANES * d..][..d];
            for (column, &value) in panel.iter_mut().zip(query) {
                column[query_idx % LANES] = value;
            }
        }
        Self { d, panels, best: Mutex::new(Nearest::new(n_query, k)) }
    }

    fn search(&self, rows: &Rows<'_>, part: Range<usize>, block_rows: usize) {
        let mut nearest = self.best.lock().unwrap_or_else(PoisonError::into_inner).another();
        let mut space = Vec::new();
        for start in part.clone().step_by(block_rows) {
            let block = rows.block(start..(start + block_rows).min(part.end), &mut space);
            for (panel_idx, panel) in self.panels.chunks_exact(self.d).enumerate() {
                scan(panel, block, start as u32, &mut nearest.panel(panel_idx));
            }
        }
        self.best.lock().unwrap_or_else(PoisonError::into_inner).absorb(&nearest);
    }
}
