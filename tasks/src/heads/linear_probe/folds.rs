//! Samples dealt into folds: all classes alike in each, and what belongs together in one.

use std::collections::BTreeMap;

use triptych_datasets::draw::Draw;

/// The fold of every sample, below `n_folds`. Samples of one group come into one fold; each fold has about as many of every
/// class. The same draw deals in the same way.
///
/// Groups are dealt from the largest on, those of equal size shuffled, each into the fold that has the smallest share of its
/// classes so far.
///
/// # Reference
/// scikit-learn `StratifiedGroupKFold`.
///
/// # Differences from the reference
/// There a group goes where the deviation between the folds' shares of all classes becomes least, which for each group takes
/// a time that grows with the number of all classes.
///
/// # Panics
/// When there is no fold, or not one group and one label a sample.
pub fn deal(labels: &[usize], groups: &[usize], n_folds: usize, draw: &mut Draw) -> Vec<usize> {
    assert!(n_folds > 0 && labels.len() == groups.len(), "a label and a group for each sample");
    let mut members = BTreeMap::<usize, Vec<usize>>::new();
    for (sample_idx, &group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(sample_idx);
    }
    let members = members.into_values().collect::<Vec<_>>();
    let mut order = draw.choose(members.len(), members.len());
    order.sort_by_key(|&idx| std::cmp::Reverse(members[idx].len()));
    let n_classes = labels.iter().max().map_or(0, |most| most + 1);
    let mut totals = vec![0usize; n_classes];
    labels.iter().for_each(|&label| totals[label] += 1);
    let mut counts = vec![vec![0usize; n_classes]; n_folds];
    let mut sizes = vec![0usize; n_folds];
    let mut folds = vec![0; labels.len()];
    for group in order.into_iter().map(|idx| &members[idx]) {
        let load = |fold: usize| -> f64 {
            group.iter().map(|&idx| counts[fold][labels[idx]] as f64 / totals[labels[idx]] as f64).sum()
        };
        let loads = (0..n_folds).map(|fold| (load(fold), sizes[fold], fold));
        let lightest = loads.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let fold = lightest.map_or(0, |(.., fold)| fold);
        for &sample_idx in group {
            counts[fold][labels[sample_idx]] += 1;
            folds[sample_idx] = fold;
        }
        sizes[fold] += group.len();
    }
    folds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(seed: u64) -> Draw {
        Draw::new(seed, 0, "", "folds")
    }

    proptest! {
        #[test]
        fn every_class_is_dealt_evenly(labels in prop::collection::vec(0usize..5, 1..120), n_folds in 2usize..7, seed: u64) {
            let alone = (0..labels.len()).collect::<Vec<_>>();
            let folds = deal(&labels, &alone, n_folds, &mut draw(seed));
            prop_assert_eq!(&folds, &deal(&labels, &alone, n_folds, &mut draw(seed)));
            for class in 0..5 {
                let of_class = |fold| (0..labels.len()).filter(|&idx| labels[idx] == class && folds[idx] == fold).count();
                let counts = (0..n_folds).map(of_class).collect::<Vec<_>>();
                let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
                prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1, "{:?}", counts);
            }
        }

        #[test]
        fn groups_stay_together(groups in prop::collection::vec(0usize..20, 1..120), seed: u64) {
            let labels = (0..groups.len()).map(|idx| idx % 3).collect::<Vec<_>>();
            let folds = deal(&labels, &groups, 4, &mut draw(seed));
            for (group, fold) in groups.iter().zip(&folds) {
                prop_assert!(groups.iter().zip(&folds).all(|(other, at)| other != group || at == fold));
            }
        }
    }

    #[test]
    fn groups_of_one_class_are_spread_over_the_folds() {
        let groups = (0..60).map(|idx| idx / 5).collect::<Vec<_>>();
        let labels = groups.iter().map(|group| group % 2).collect::<Vec<_>>();
        let folds = deal(&labels, &groups, 3, &mut draw(1));
        for class in 0..2 {
            let of_class = |fold| (0..60).filter(|&idx| labels[idx] == class && folds[idx] == fold).count();
            assert_eq!([0, 1, 2].map(of_class), [10, 10, 10]);
        }
    }

    #[test]
    fn no_sample_needs_no_fold() {
        assert!(deal(&[], &[], 3, &mut draw(1)).is_empty());
    }
}
