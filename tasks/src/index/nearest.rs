//! The best rows of each query so far, and which scores still count.

use super::tile::LANES;

/// What was found: for every query its rows, the best first; equal scores in the order of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Rows a query.
    pub k: usize,
    /// `[n_query, k]`.
    pub rows: Vec<u32>,
    /// `[n_query, k]`.
    pub scores: Vec<f32>,
}

impl Found {
    /// Rows and scores of one query.
    ///
    /// # Panics
    /// When there is no such query.
    pub fn of_query(&self, query_idx: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = query_idx * self.k..(query_idx + 1) * self.k;
        self.rows[range.clone()].iter().map(|&row| row as usize).zip(self.scores[range].iter().copied())
    }
}

/// A row with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) score: f32,
    pub(super) row: u32,
}

/// Stands where no row was found yet.
const NONE: Candidate = Candidate { score: f32::NEG_INFINITY, row: u32::MAX };

impl Candidate {
    fn is_worse_than(self, other: Self) -> bool {
        self.score < other.score || self.score == other.score && self.row > other.row
    }
}

/// The best `k` rows of each query of some panels, each a heap with the worst of them on top.
#[derive(Clone, Debug)]
pub(super) struct Nearest {
    k: usize,
    /// `[n_query, k]`.
    entries: Vec<Candidate>,
    /// A score that is not above the one of its query can be passed over; infinite where a panel has no query.
    limits: Vec<[f32; LANES]>,
    /// The same, as they were at the beginning.
    floors: Vec<[f32; LANES]>,
}

/// The part of a [`Nearest`] that belongs to one panel.
pub(super) struct PanelNearest<'a> {
    k: usize,
    entries: &'a mut [Candidate],
    limits: &'a mut [f32; LANES],
    floors: &'a [f32; LANES],
}

impl Nearest {
    pub(super) fn new(n_query: usize, k: usize) -> Self {
        let mut limits = vec![[f32::INFINITY; LANES]; n_query.div_ceil(LANES)];
        limits.as_flattened_mut()[..n_query].fill(f32::NEG_INFINITY);
        Self { k, entries: vec![NONE; n_query * k], floors: limits.clone(), limits }
    }

    /// The same queries, nothing found yet; but what is worse than the worst that `self` holds does not count.
    pub(super) fn another(&self) -> Self {
        let mut another = Self::new(self.entries.len() / self.k, self.k);
        for (floor, heap) in
            another.floors.as_flattened_mut().iter_mut().zip(self.entries.chunks_exact(self.k))
        {
            // an equal score of a lower row would count
            *floor = heap[0].score.next_down();
        }
        another.limits.clone_from(&another.floors);
        another
    }

    pub(super) fn panel(&mut self, panel_idx: usize) -> PanelNearest<'_> {
        let end = ((panel_idx + 1) * LANES * self.k).min(self.entries.len());
        PanelNearest {
            k: self.k,
            entries: &mut self.entries[panel_idx * LANES * self.k..end],
            limits: &mut self.limits[panel_idx],
            floors: &self.floors[panel_idx],
        }
    }

    /// Takes over what another search of the same queries found in other rows.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (heap, others) in self.entries.chunks_exact_mut(self.k).zip(other.entries.chunks_exact(self.k)) {
            for &candidate in others {
                if heap[0].is_worse_than(candidate) {
                    replace_worst(heap, candidate);
                }
            }
        }
    }

    /// The best first; none when a query found fewer than `k` rows, as it does where rows are NaN.
    pub(super) fn sorted(mut self) -> Option<Vec<Candidate>> {
        for heap in self.entries.chunks_exact_mut(self.k) {
            heap.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
            if heap.last() == Some(&NONE) {
                return None;
            }
        }
        Some(self.entries)
    }
}

impl PanelNearest<'_> {
    #[inline(always)]
    pub(super) fn limits(&self) -> &[f32; LANES] {
        self.limits
    }

    /// Takes the scores of a tile that are above their limits. Rows come in rising order.
    #[cold]
    #[inline(never)]
    pub(super) fn offer(&mut self, scores: &[[f32; LANES]], first_row: u32) {
        for (row, scores) in (first_row..).zip(scores) {
            for (lane, &score) in scores.iter().enumerate() {
                if score > self.limits[lane] {
                    let heap = &mut self.entries[lane * self.k..][..self.k];
                    replace_worst(heap, Candidate { score, row });
                    self.limits[lane] = heap[0].score.max(self.floors[lane]);
                }
            }
        }
    }
}

fn replace_worst(heap: &mut [Candidate], candidate: Candidate) {
    let mut place = 0;
    loop {
        let mut child = 2 * place + 1;
        if child + 1 < heap.len() && heap[child + 1].is_worse_than(heap[child]) {
            child += 1;
        }
        if child >= heap.len() || !heap[child].is_worse_than(candidate) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = candidate;
}
