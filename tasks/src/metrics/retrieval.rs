//! Retrieval scores from a similarity matrix: full, exact ranking of every target for every query.
//!
//! # Ties
//! Mid-rank: a relevant target's rank is 1, plus the irrelevant targets of higher similarity, plus half of the
//! irrelevant targets of the same similarity. Ranks may therefore end in one half, and a model that gives every
//! target the same similarity gets the mean rank of chance and no recall at small cut-offs.
//!
//! # Many relevant targets
//! Recall at k asks whether the best-ranked relevant target is among the first k (the Karpathy protocol); median and mean
//! rank are of that target; mAP takes all of them. Relevant targets never push one another down in recall and rank.
//!
//! # Duplicate captions
//! Two targets with the same text cannot be told apart by any model: name both as relevant wherever one is.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::error::MetricError;
use super::figure::{self, Figure};
use super::interval::Resampling;
use super::score::{Metric, PERCENT, Score};

/// Recall at rank 1.
pub const RECALL_AT_1: Metric = Metric {
    name: "R@1",
    unit: PERCENT,
    higher_is_better: true,
    about: "queries whose best relevant target is ranked first; ties at mid-rank",
};
/// Recall at rank 5.
pub const RECALL_AT_5: Metric = Metric {
    name: "R@5",
    unit: PERCENT,
    higher_is_better: true,
    about: "queries with a relevant target among the first 5; ties at mid-rank",
};
/// Recall at rank 10.
pub const RECALL_AT_10: Metric = Metric {
    name: "R@10",
    unit: PERCENT,
    higher_is_better: true,
    about: "queries with a relevant target among the first 10; ties at mid-rank",
};
/// Median rank of the best relevant target.
pub const MEDIAN_RANK: Metric = Metric {
    name: "median rank",
    unit: "rank",
    higher_is_better: false,
    about: "median over queries of the best relevant target's rank, 1 is first; ties at mid-rank",
};
/// Mean rank of the best relevant target.
pub const MEAN_RANK: Metric = Metric {
    name: "mean rank",
    unit: "rank",
    higher_is_better: false,
    about: "mean over queries of the best relevant target's rank, 1 is first; ties at mid-rank",
};
/// Mean average precision.
pub const MEAN_AVERAGE_PRECISION: Metric = Metric {
    name: "mAP",
    unit: PERCENT,
    higher_is_better: true,
    about: "mean over queries of the precision averaged over all relevant targets' ranks; ties at mid-rank",
};

const RECALLS: [(usize, Metric); 3] = [(1, RECALL_AT_1), (5, RECALL_AT_5), (10, RECALL_AT_10)];

/// How alike a query and a target are, more being more: `f32` or `f64`.
pub trait Similarity: Copy + PartialOrd + Send + Sync {}

impl Similarity for f32 {}
impl Similarity for f64 {}

/// Where the relevant targets of each query were ranked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks {
    n_target: usize,
    queries: Vec<QueryRank>,
}

/// What one query contributes to every score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueryRank {
    /// Rank of the best relevant target, from 1 on; ends in one half where ties are even.
    pub best: f64,
    /// Precision averaged over the ranks of all relevant targets, from 0 to 1.
    pub average_precision: f64,
    /// How many targets are relevant.
    pub n_relevant: usize,
}

impl Ranks {
    /// Ranks all targets for each query, most similar first. Infinite similarities are legal.
    ///
    /// # Shapes
    /// `similarity`: `[n_query, n_target]`, row after row, with as many rows as `relevant` has entries; `relevant[i]`
    /// holds the columns that answer query `i`, each once, in any order.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without queries or targets, [`MetricError::MatrixSize`],
    /// [`MetricError::NanSimilarity`] at the first NaN by row and column, [`MetricError::UnknownTarget`],
    /// [`MetricError::DuplicateTarget`] and [`MetricError::NoRelevantTarget`].
    pub fn new<S: Similarity, R: AsRef<[usize]> + Sync>(
        similarity: &[S],
        n_target: usize,
        relevant: &[R],
    ) -> Result<Self, MetricError> {
        let n_query = relevant.len();
        if n_query == 0 {
            return Err(MetricError::Empty { what: "query" });
        }
        if n_target == 0 {
            return Err(MetricError::Empty { what: "target" });
        }
        if n_query.checked_mul(n_target) != Some(similarity.len()) {
            return Err(MetricError::MatrixSize { n_query, n_target, got: similarity.len() });
        }
        let ranked: Vec<Result<QueryRank, MetricError>> = similarity
            .par_chunks_exact(n_target)
            .zip(relevant)
            .enumerate()
            .map(|(query_idx, (row, relevant))| rank_query(query_idx, row, relevant.as_ref()))
            .collect();
        // in order, so that it is always the first error that is told
        Ok(Self { n_target, queries: ranked.into_iter().collect::<Result<_, _>>()? })
    }

    /// How many queries were ranked.
    pub fn n_query(&self) -> usize {
        self.queries.len()
    }

    /// Among how many targets.
    pub fn n_target(&self) -> usize {
        self.n_target
    }

    /// One entry a query, in their order.
    pub fn queries(&self) -> &[QueryRank] {
        &self.queries
    }

    /// The share of queries, 0 to 1, with a relevant target among the first `k`.
    ///
    /// # Errors
    /// [`MetricError::Cutoff`] when `k` is 0.
    pub fn recall(&self, k: usize) -> Result<f64, MetricError> {
        if k == 0 {
            return Err(MetricError::Cutoff { k });
        }
        Ok(mean(&self.recalled(k)))
    }

    /// Median over queries of the best relevant target's rank; the mean of the middle two when they are even in number.
    pub fn median_rank(&self) -> f64 {
        median(&mut self.queries.iter().map(|query| query.best).collect::<Vec<_>>())
    }

    /// Mean over queries of the best relevant target's rank.
    pub fn mean_rank(&self) -> f64 {
        mean(&self.best())
    }

    /// Mean over queries of the average precision, 0 to 1.
    pub fn mean_average_precision(&self) -> f64 {
        mean(&self.average_precision())
    }

    /// What [`Ranks::recall`] is expected to be for a random order of the targets: the level to print beside it.
    ///
    /// # Errors
    /// [`MetricError::Cutoff`] when `k` is 0.
    pub fn chance_recall(&self, k: usize) -> Result<f64, MetricError> {
        let chances: Result<Vec<f64>, MetricError> =
            self.queries.iter().map(|query| chance_recall(self.n_target, query.n_relevant, k)).collect();
        Ok(mean(&chances?))
    }

    /// What [`Ranks::mean_rank`] is expected to be for a random order: `(n_target + 1) / (n_relevant + 1)` a query.
    pub fn chance_mean_rank(&self) -> f64 {
        let chances: Vec<f64> = (self.queries.iter())
            .map(|query| (self.n_target + 1) as f64 / (query.n_relevant + 1) as f64)
            .collect();
        mean(&chances)
    }

    /// [`RECALL_AT_1`], [`RECALL_AT_5`], [`RECALL_AT_10`], [`MEDIAN_RANK`], [`MEAN_RANK`] and
    /// [`MEAN_AVERAGE_PRECISION`] over queries; the set of targets stays as it is.
    pub fn figures(&self) -> Vec<Figure> {
        let best = || self.queries.iter().map(|query| query.best);
        let mut figures: Vec<Figure> =
            RECALLS.map(|(k, metric)| Figure::mean(metric, self.recalled(k))).into_iter().collect();
        figures.push(Figure::of_rows(MEDIAN_RANK, best().map(|rank| [rank]), median));
        figures.push(Figure::mean(MEAN_RANK, best()));
        figures.push(Figure::mean(MEAN_AVERAGE_PRECISION, self.average_precision()));
        figures
    }

    /// The [`figures`](Self::figures) with intervals over queries or their groups.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn scores(&self, resampling: &Resampling) -> Result<Vec<Score>, MetricError> {
        figure::scores(&self.figures(), resampling)
    }

    fn recalled(&self, k: usize) -> Vec<f64> {
        self.queries.iter().map(|query| f64::from(u8::from(query.best <= k as f64))).collect()
    }

    fn best(&self) -> Vec<f64> {
        self.queries.iter().map(|query| query.best).collect()
    }

    fn average_precision(&self) -> Vec<f64> {
        self.queries.iter().map(|query| query.average_precision).collect()
    }
}

/// The probability that a random order of `n_target` targets has one of `n_relevant` among its first `k`:
/// `1 - C(n_target - n_relevant, k) / C(n_target, k)`.
///
/// # Errors
/// [`MetricError::Cutoff`] when `k` is 0, [`MetricError::Empty`] without targets or relevant ones,
/// [`MetricError::Lengths`] when more are relevant than there are.
pub fn chance_recall(n_target: usize, n_relevant: usize, k: usize) -> Result<f64, MetricError> {
    if k == 0 {
        return Err(MetricError::Cutoff { k });
    }
    if n_target == 0 || n_relevant == 0 {
        return Err(MetricError::Empty { what: if n_target == 0 { "target" } else { "relevant target" } });
    }
    if n_relevant > n_target {
        return Err(MetricError::Lengths {
            what: "relevant targets at most",
            expected: n_target,
            got: n_relevant,
        });
    }
    let n_irrelevant = n_target - n_relevant;
    if k > n_irrelevant {
        return Ok(1.0);
    }
    // one factor a place of the ranking that holds none of them
    let missed: f64 = (0..k).map(|place| (n_irrelevant - place) as f64 / (n_target - place) as f64).product();
    Ok(1.0 - missed)
}

fn rank_query<S: Similarity>(
    query_idx: usize,
    row: &[S],
    relevant: &[usize],
) -> Result<QueryRank, MetricError> {
    let n_target = row.len();
    if let Some(target_idx) = row.iter().position(|similarity| similarity.partial_cmp(similarity).is_none()) {
        return Err(MetricError::NanSimilarity { query_idx, target_idx });
    }
    let mut target_idxs = relevant.to_vec();
    target_idxs.sort_unstable();
    let Some(&last) = target_idxs.last() else {
        return Err(MetricError::NoRelevantTarget { query_idx });
    };
    if last >= n_target {
        return Err(MetricError::UnknownTarget { query_idx, target_idx: last, n_target });
    }
    if let Some(pair) = target_idxs.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(MetricError::DuplicateTarget { query_idx, target_idx: pair[0] });
    }

    let mut similarities: Vec<S> = target_idxs.iter().map(|&target_idx| row[target_idx]).collect();
    // none is NaN
    similarities.sort_unstable_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    let mut best = f64::INFINITY;
    let mut precision_sum = 0.0;
    for (n_before, irrelevant) in irrelevant_before(row, &similarities).into_iter().enumerate() {
        let rank = 1.0 + irrelevant;
        best = best.min(rank);
        precision_sum += (n_before + 1) as f64 / (rank + n_before as f64);
    }
    let n_relevant = target_idxs.len();
    Ok(QueryRank { best, average_precision: precision_sum / n_relevant as f64, n_relevant })
}

/// For each of the relevant `similarities`, in falling order, how many irrelevant ones of the row are higher plus half of
/// those that are equal.
fn irrelevant_before<S: Similarity>(row: &[S], similarities: &[S]) -> Vec<f64> {
    // all of the row counts first, then what is relevant itself is taken off; a search in the few relevant ones
    // instead of a sort of the many targets
    let n_relevant = similarities.len();
    let mut n_between = vec![0usize; n_relevant + 1];
    let mut n_equal = vec![0usize; n_relevant];
    for &similarity in row {
        // the first relevant target that is no higher
        let place = similarities.partition_point(|&relevant| relevant > similarity);
        if place < n_relevant && similarities[place] == similarity {
            n_equal[place] += 1;
        } else {
            n_between[place] += 1;
        }
    }
    let mut counts = Vec::with_capacity(n_relevant);
    let mut n_higher = 0;
    let mut place = 0;
    while place < n_relevant {
        let n_tied = similarities[place..].iter().take_while(|&&other| other == similarities[place]).count();
        n_higher += n_between[place..place + n_tied].iter().sum::<usize>();
        let n_tied_irrelevant = n_equal[place] - n_tied;
        counts.extend(std::iter::repeat_n(n_higher as f64 + n_tied_irrelevant as f64 / 2.0, n_tied));
        n_higher += n_tied_irrelevant;
        place += n_tied;
    }
    counts
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Reorders `values`, of which there is at least one.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_even { (below.iter().copied().fold(f64::MIN, f64::max) + upper) / 2.0 } else { upper }
}

#[cfg(test)]
mod tests;
