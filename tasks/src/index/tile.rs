//! The inner loop: a panel of queries against rows, compared with what the queries have found already.

use super::nearest::PanelNearest;

/// Queries of a panel.
pub(super) const LANES: usize = 32;

/// Rows that a tile has on the widest processor; blocks are multiples of it so that none are left over.
pub(super) const TILE_ROWS: usize = 12;

/// Rows of a tile: as many as leave registers for the queries and one number of a row.
const AVX512_ROWS: usize = TILE_ROWS;
const AVX2_ROWS: usize = 2;

/// Offers the scores of `rows` to the queries of a panel. The first of the rows has the number `first_row`.
///
/// # Shapes
/// `panel`: `[d]` of 32 numbers, one a query; `rows`: `[n, d]`.
///
/// # Panics
/// When `rows` is no multiple of `d` long.
pub(super) fn scan(panel: &[[f32; LANES]], rows: &[f32], first_row: u32, nearest: &mut PanelNearest<'_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn avx512(panel: &[[f32; LANES]], rows: &[f32], first_row: u32, nearest: &mut PanelNearest<'_>) {
            tiles::<AVX512_ROWS>(panel, rows, first_row, nearest);
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(panel: &[[f32; LANES]], rows: &[f32], first_row: u32, nearest: &mut PanelNearest<'_>) {
            tiles::<AVX2_ROWS>(panel, rows, first_row, nearest);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: every feature that the function is compiled for was detected
                return unsafe { avx512(panel, rows, first_row, nearest) };
            }
            // SAFETY: both features that the function is compiled for were detected
            return unsafe { avx2(panel, rows, first_row, nearest) };
        }
    }
    tiles::<AVX2_ROWS>(panel, rows, first_row, nearest);
}

#[inline(always)]
fn tiles<const N: usize>(
    panel: &[[f32; LANES]],
    rows: &[f32],
    first_row: u32,
    nearest: &mut PanelNearest<'_>,
) {
    let d = panel.len();
    assert!(rows.len().is_multiple_of(d), "rows of another width");
    let mut first_row = first_row;
    let mut whole = rows.chunks_exact(N * d);
    let mut scores = [[0.0; LANES]; N];
    for rows in &mut whole {
        if tile(panel, rows, nearest.limits(), &mut scores) {
            nearest.offer(&scores, first_row);
        }
        first_row += N as u32;
    }
    let mut scores = [[0.0; LANES]; 1];
    for row in whole.remainder().chunks_exact(d) {
        if tile(panel, row, nearest.limits(), &mut scores) {
            nearest.offer(&scores, first_row);
        }
        first_row += 1;
    }
}

/// Computes the scores of a tile, and whether any of them is above the limit of its query. Sums in the order of the columns,
/// each in one register: the same numbers whatever the tile's size.
///
/// Loops over numbers of rows and lanes, and sums that nobody else sees before they are complete: otherwise they would be
/// stored at every step.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn tile<const N: usize>(
    panel: &[[f32; LANES]],
    rows: &[f32],
    limits: &[f32; LANES],
    scores: &mut [[f32; LANES]; N],
) -> bool {
    let d = panel.len();
    let rows: [&[f32]; N] = std::array::from_fn(|row_idx| &rows[row_idx * d..][..d]);
    let mut sums = [[0.0f32; LANES]; N];
    for column in 0..d {
        let queries = &panel[column];
        for row_idx in 0..N {
            // SAFETY: each of the rows was cut to `d` numbers above, and the column is below `d`. (A check would be a second
            // way out of the loop, and the sums would be stored at every step for it.)
            let value = unsafe { *rows[row_idx].get_unchecked(column) };
            for lane in 0..LANES {
                sums[row_idx][lane] = queries[lane].mul_add(value, sums[row_idx][lane]);
            }
        }
    }
    let mut above = [0u32; LANES];
    for row_idx in 0..N {
        for lane in 0..LANES {
            above[lane] |= u32::from(sums[row_idx][lane] > limits[lane]);
        }
    }
    *scores = sums;
    let mut is_any_above = 0;
    for above in above {
        is_any_above |= above;
    }
    is_any_above != 0
}

/// The scores of some rows against one query, summed as [`scan`] sums them.
pub(super) fn scores(query: &[f32], rows: &[f32], into: &mut Vec<f32>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "fma")]
        fn fma(query: &[f32], rows: &[f32], into: &mut Vec<f32>) {
            scores_of(query, rows, into);
        }
        if is_x86_feature_detected!("fma") {
            // SAFETY: the feature that the function is compiled for was detected
            return unsafe { fma(query, rows, into) };
        }
    }
    scores_of(query, rows, into);
}

#[inline(always)]
fn scores_of(query: &[f32], rows: &[f32], into: &mut Vec<f32>) {
    /// Sums under way at once: one alone would wait for itself.
    const CHAINS: usize = 8;
    let d = query.len();
    for rows in rows.chunks(CHAINS * d) {
        let n = rows.len() / d;
        // the last rows are summed as if there were eight of them
        let chains: [&[f32]; CHAINS] = std::array::from_fn(|idx| &rows[idx.min(n - 1) * d..][..d]);
        let mut sums = [0.0f32; CHAINS];
        for (column, &query) in query.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(&chains) {
                *sum = query.mul_add(row[column], *sum);
            }
        }
        into.extend_from_slice(&sums[..n]);
    }
}
