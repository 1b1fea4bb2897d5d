//! Approximate search through a graph of neighbours (HNSW, by usearch): fewer rows are looked at than there are, and some of
//! the nearest are missed. Measure how many with [`recall`](super::recall) against [`Index::search_exactly`].

use rayon::prelude::*;
use usearch::{IndexOptions, MetricKind, ScalarKind};

use super::error::IndexError;
use super::file::Index;
use super::nearest::{Candidate, Found};

/// How thoroughly a graph is built and searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Neighbours of a row.
    pub n_neighbours: usize,
    /// Rows that are looked at for each row that is added.
    pub build_width: usize,
    /// Rows that are looked at for each query, at least `k`.
    pub search_width: usize,
}

impl Default for Effort {
    /// The defaults of usearch 2, with a wider search.
    fn default() -> Self {
        Self { n_neighbours: 16, build_width: 128, search_width: 128 }
    }
}

/// A graph over the rows of an index, in memory.
pub struct Graph<'a> {
    index: &'a Index,
    graph: usearch::Index,
    search_width: usize,
}

impl<'a> Graph<'a> {
    /// Adds the rows one after the other, so that the same index gives the same graph. `progress` is told how many are in.
    ///
    /// # Errors
    /// [`IndexError::Format`] with what usearch says.
    pub fn build(
        index: &'a Index,
        effort: Effort,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, IndexError> {
        let failed = |error: &dyn std::fmt::Display| {
            IndexError::format(index.path(), format!("the graph of neighbours cannot be built: {error}"))
        };
        let options = IndexOptions {
            dimensions: index.d(),
            metric: MetricKind::IP,
            quantization: ScalarKind::F32,
            connectivity: effort.n_neighbours,
            expansion_add: effort.build_width,
            expansion_search: effort.search_width,
            multi: false,
        };
        let graph = usearch::new_index(&options).map_err(|error| failed(&error))?;
        graph.reserve(index.n_rows()).map_err(|error| failed(&error))?;
        let rows = index.exact_rows();
        let mut space = Vec::new();
        for row in 0..index.n_rows() {
            graph.add(row as u64, rows.block(row..row + 1, &mut space)).map_err(|error| failed(&error))?;
            progress(row + 1);
        }
        Ok(Self { index, graph, search_width: effort.search_width })
    }

    /// About the `k` nearest rows of every query, with their exact scores.
    ///
    /// # Errors
    /// As [`Index::search`], and [`IndexError::Format`] when usearch finds fewer than `k`.
    pub fn search(&self, queries: &[f32], k: usize) -> Result<Found, IndexError> {
        let queries = self.index.prepared(queries, k)?;
        let n_candidates = self.search_width.max(k).min(self.index.n_rows());
        let broken = |problem: String| IndexError::format(self.index.path(), problem);
        let candidates: Vec<Vec<Candidate>> = queries
            .par_chunks(self.index.d())
            .map(|query| {
                let matches =
                    self.graph.search(query, n_candidates).map_err(|error| broken(error.to_string()))?;
                if matches.keys.len() < k {
                    let n = matches.keys.len();
                    return Err(broken(format!("the graph led to {n} rows: expected at least {k}")));
                }
                let candidates: Vec<Candidate> =
                    matches.keys.iter().map(|&key| Candidate { score: 0.0, row: key as u32 }).collect();
                Ok(self.index.rescored(query, candidates, k, n_candidates.min(matches.keys.len())))
            })
            .collect::<Result<_, _>>()?;
        self.index.found(candidates.concat(), k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::{build, folder, values};
    use crate::index::{Storage, recall};

    #[test]
    fn a_graph_finds_most_of_the_nearest_with_their_exact_scores() {
        let (_folder, path) = folder();
        let index = build(&path, 16, &values(2000 * 16, 1), Storage::default()).expect("it is built");
        let mut n_added = 0;
        let graph = Graph::build(&index, Effort::default(), &mut |n| n_added = n).expect("it is built");
        assert_eq!(n_added, 2000);
        let queries = values(40 * 16, 2);
        let exact = index.search(&queries, 10).expect("it is found");
        let found = graph.search(&queries, 10).expect("it is found");
        assert!(recall(&found, &exact) > 0.95);
        assert_eq!(found.scores[0], exact.scores[0]);
    }
}
