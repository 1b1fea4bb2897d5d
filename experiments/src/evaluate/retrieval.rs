//! Retrieval between two sets of embeddings whose items belong to groups.

use rayon::prelude::*;
use triptych_tasks::metrics::{MetricError, Ranks};

use super::predictions::{Found, Item};

/// Embedded items that can be asked with or found.
#[derive(Clone, Debug)]
pub(crate) struct Side<'a> {
    /// `text`, `image` or `speech`.
    pub(crate) modality: &'static str,
    /// What each item is.
    pub(crate) items: Vec<Item>,
    /// Items of equal groups answer each other.
    pub(crate) groups: Vec<&'a str>,
    /// Unit vectors.
    pub(crate) embeddings: Vec<&'a [f32]>,
}

/// All similarities, `[n_query, n_target]` row by row, and the right targets of every query.
pub(crate) struct Comparison {
    pub(crate) similarity: Vec<f32>,
    pub(crate) relevant: Vec<Vec<usize>>,
    n_target: usize,
}

impl Comparison {
    /// Compares every query with every target.
    pub(crate) fn new(query: &Side<'_>, target: &Side<'_>) -> Self {
        let n_target = target.items.len();
        let mut similarity = vec![0.0; query.items.len() * n_target];
        similarity.par_chunks_mut(n_target.max(1)).zip(&query.embeddings).for_each(|(row, query)| {
            for (similarity, target) in row.iter_mut().zip(&target.embeddings) {
                *similarity = query.iter().zip(*target).map(|(a, b)| a * b).sum();
            }
        });
        let answers = |group: &&str| {
            let same = target.groups.iter().enumerate().filter(|(_, other)| *other == group);
            same.map(|(idx, _)| idx).collect()
        };
        Self { similarity, relevant: query.groups.iter().map(answers).collect(), n_target }
    }

    /// Where the right targets were ranked.
    ///
    /// # Errors
    /// When a query has no right target or a similarity is NaN.
    pub(crate) fn ranks(&self) -> Result<Ranks, MetricError> {
        Ranks::new(&self.similarity, self.n_target, &self.relevant)
    }

    /// The same with the `k` best targets of every query in the order of what `judge` gives for them, before all others;
    /// `None` where it judges none.
    pub(crate) fn reranked(
        &self,
        k: usize,
        judge: impl Fn(usize, &[usize]) -> Option<Vec<f32>>,
    ) -> Option<Self> {
        let mut similarity = self.similarity.clone();
        for (query_idx, row) in similarity.chunks_mut(self.n_target.max(1)).enumerate() {
            let mut order = order(row);
            order.truncate(k);
            let largest = row.iter().copied().fold(0.0, f32::max);
            for (&target_idx, logit) in order.iter().zip(judge(query_idx, &order)?) {
                // above all that are not judged, NaN where the judge is: it is told where it is counted
                row[target_idx] = largest + 2.0 + logit / (1.0 + logit.abs());
            }
        }
        Some(Self { similarity, relevant: self.relevant.clone(), n_target: self.n_target })
    }

    /// The `k` best targets of a query, best first.
    pub(crate) fn best(&self, query_idx: usize, target: &Side<'_>, k: usize) -> Vec<Found> {
        let row = &self.similarity[query_idx * self.n_target..][..self.n_target];
        order(row)
            .into_iter()
            .take(k)
            .map(|idx| Found {
                item: target.items[idx].clone(),
                similarity: row[idx],
                correct: self.relevant[query_idx].contains(&idx),
            })
            .collect()
    }
}

/// Places of a row's similarities, the largest first.
fn order(row: &[f32]) -> Vec<usize> {
    let mut order = (0..row.len()).collect::<Vec<_>>();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_group_answer_each_other_and_the_nearest_comes_first() {
        let side = |groups: Vec<&'static str>, embeddings: Vec<&'static [f32]>| Side {
            modality: "text",
            items: groups.iter().map(|group| Item::Text((*group).to_owned())).collect(),
            groups,
            embeddings,
        };
        let query = side(vec!["cat", "dog"], vec![&[1.0, 0.0], &[0.0, 1.0]]);
        let target = side(vec!["dog", "cat", "cat"], vec![&[0.6, 0.8], &[0.8, 0.6], &[-1.0, 0.0]]);
        let comparison = Comparison::new(&query, &target);
        assert_eq!(comparison.relevant, [vec![1, 2], vec![0]]);
        let best = comparison.best(0, &target, 2);
        assert_eq!(best[0].item, Item::Text("cat".to_owned()));
        assert!(best[0].correct && !best[1].correct);
        assert_eq!(comparison.ranks().expect("finite").recall(1).expect("k is not 0"), 1.0);
    }
    #[test]
    fn a_judge_orders_the_best_and_leaves_the_rest_behind_them() {
        let similarity = vec![0.9, 0.8, 0.1, 0.7];
        let comparison = Comparison { similarity, relevant: vec![vec![3]], n_target: 4 };
        let judge = |_: usize, targets: &[usize]| {
            assert_eq!(targets, [0, 1, 3]);
            Some(vec![-3.0, 0.5, 40.0])
        };
        let reranked = comparison.reranked(3, judge).expect("it judges all");
        assert_eq!(order(&reranked.similarity), [3, 1, 0, 2]);
        assert!(comparison.reranked(3, |_, _| None).is_none());
    }
}
