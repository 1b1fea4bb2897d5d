use proptest::prelude::*;

use super::*;

#[test]
fn a_hand_ranked_matrix_is_scored() {
    #[rustfmt::skip]
    let similarity = [
        0.9, 0.1, 0.5, 0.2, // relevant 0: rank 1
        0.4, 0.3, 0.2, 0.1, // relevant 3: rank 4
        0.1, 0.8, 0.7, 0.9, // relevant 0 and 2: ranks 4 and 3
    ];
    let ranks = Ranks::new(&similarity, 4, &[vec![0], vec![3], vec![2, 0]]).unwrap();
    assert_eq!(ranks.queries().iter().map(|query| query.best).collect::<Vec<_>>(), [1.0, 4.0, 3.0]);
    assert_eq!(ranks.recall(1), Ok(1.0 / 3.0));
    assert_eq!(ranks.recall(3), Ok(2.0 / 3.0));
    assert_eq!(ranks.median_rank(), 3.0);
    assert_eq!(ranks.mean_rank(), 8.0 / 3.0);
    // precision of the third: 1 of 3, then 2 of 4
    let expected = (1.0 + 0.25 + (1.0 / 3.0 + 0.5) / 2.0) / 3.0;
    assert!((ranks.mean_average_precision() - expected).abs() < 1e-15);
    // (5/2 + 5/2 + 5/3) / 3
    assert!((ranks.chance_mean_rank() - 20.0 / 9.0).abs() < 1e-15);
}

#[test]
fn ties_get_the_middle_of_their_ranks() {
    // all equal: between rank 1 and 5
    let ranks = Ranks::new(&[0.5; 5], 5, &[vec![2]]).unwrap();
    assert_eq!(ranks.queries()[0].best, 3.0);
    assert_eq!(ranks.recall(1), Ok(0.0));
    // one above, one equal
    let ranks = Ranks::new(&[0.9, 0.5, 0.5, 0.1], 4, &[vec![1]]).unwrap();
    assert_eq!(ranks.queries()[0].best, 2.5);
    // relevant targets do not push one another down, equal or not
    let ranks = Ranks::new(&[0.5, 0.5, 0.9, 0.1], 4, &[vec![0, 1, 2]]).unwrap();
    assert_eq!(ranks.queries()[0], QueryRank { best: 1.0, average_precision: 1.0, n_relevant: 3 });
}

#[test]
fn both_zeros_are_one_similarity() {
    let ranks = Ranks::new(&[0.0, -0.0, 1.0], 3, &[vec![1]]).unwrap();
    assert_eq!(ranks.queries()[0].best, 2.5);
    let ranks = Ranks::new(&[0.0, -0.0, -0.0], 3, &[vec![0, 2]]).unwrap();
    assert_eq!(ranks.queries()[0].best, 1.5);
}

#[test]
fn chance_counts_orders() {
    assert!((chance_recall(10, 1, 1).unwrap() - 0.1).abs() < 1e-15);
    assert!((chance_recall(10, 2, 1).unwrap() - 0.2).abs() < 1e-15);
    // 1 - C(3, 2) / C(5, 2)
    assert!((chance_recall(5, 2, 2).unwrap() - 0.7).abs() < 1e-15);
    assert_eq!(chance_recall(5, 2, 4), Ok(1.0));
    assert_eq!(chance_recall(3, 1, 10), Ok(1.0));
    assert_eq!(chance_recall(3, 1, 0), Err(MetricError::Cutoff { k: 0 }));
    assert_eq!(chance_recall(0, 1, 1), Err(MetricError::Empty { what: "target" }));
    assert!(chance_recall(3, 4, 1).is_err());
}

#[test]
fn what_cannot_be_ranked_is_refused_with_its_place() {
    let message = |similarity: &[f32], n_target, relevant: &[Vec<usize>]| {
        Ranks::new(similarity, n_target, relevant).unwrap_err().to_string()
    };
    let one = vec![vec![0], vec![1]];
    assert_eq!(
        message(&[0.1, 0.2, f32::NAN, 0.4], 2, &one),
        "similarity of query 1 and target 0 is NaN: expected a number"
    );
    assert_eq!(
        message(&[0.1, 0.2, 0.3], 2, &one),
        "similarity matrix: expected 2 queries x 2 targets = 4 values, got 3"
    );
    assert_eq!(
        message(&[0.1; 4], 2, &[vec![0], vec![2]]),
        "query 1 names target 2 as relevant: expected a target below 2"
    );
    assert_eq!(
        message(&[0.1; 4], 2, &[vec![], vec![0]]),
        "query 0 has no relevant target: expected at least one"
    );
    assert_eq!(
        message(&[0.1; 4], 2, &[vec![1, 1], vec![0]]),
        "query 0 names target 1 as relevant twice: expected a set"
    );
    assert_eq!(message(&[], 2, &[]), "nothing to score: expected at least one query, got none");
    assert_eq!(message(&[], 0, &one), "nothing to score: expected at least one target, got none");
}

#[test]
fn scores_come_in_their_units_with_intervals() {
    let similarity: Vec<f32> =
        (0..400).map(|idx| if idx % 21 == 0 && idx < 210 { 1.0 } else { 0.0 }).collect();
    let relevant: Vec<Vec<usize>> = (0..20).map(|target_idx| vec![target_idx]).collect();
    let ranks = Ranks::new(&similarity, 20, &relevant).unwrap();
    let scores = ranks.scores(&Resampling::default()).unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score.name.as_str()).collect();
    assert_eq!(names, ["R@1", "R@5", "R@10", "median rank", "mean rank", "mAP"]);
    assert_eq!((scores[0].value, scores[0].n), (50.0, 20));
    for score in &scores {
        let interval = score.interval.unwrap();
        assert!(interval.low <= score.value && score.value <= interval.high, "{score:?}");
    }
}

/// What the definition says, one comparison at a time.
fn naive_best(row: &[f32], relevant: &[usize]) -> f64 {
    let rank = |target_idx: usize| {
        let against = |is_counted: fn(f32, f32) -> bool| {
            let others = (0..row.len()).filter(|other| !relevant.contains(other));
            others.filter(|&other| is_counted(row[other], row[target_idx])).count() as f64
        };
        1.0 + against(|other, own| other > own) + against(|other, own| other == own) / 2.0
    };
    relevant.iter().map(|&target_idx| rank(target_idx)).fold(f64::INFINITY, f64::min)
}

fn matrix() -> impl Strategy<Value = (Vec<f32>, usize, Vec<Vec<usize>>)> {
    (1..6usize, 1..8usize).prop_flat_map(|(n_query, n_target)| {
        let similarity = prop::collection::vec((0..6u8).prop_map(f32::from), n_query * n_target);
        let all: Vec<usize> = (0..n_target).collect();
        let relevant = prop::collection::vec(prop::sample::subsequence(all, 1..=n_target), n_query);
        (similarity, Just(n_target), relevant)
    })
}

proptest! {
    #[test]
    fn ranks_are_those_of_the_definition((similarity, n_target, relevant) in matrix()) {
        let ranks = Ranks::new(&similarity, n_target, &relevant).unwrap();
        for (query_idx, query) in ranks.queries().iter().enumerate() {
            let row = &similarity[query_idx * n_target..][..n_target];
            prop_assert_eq!(query.best, naive_best(row, &relevant[query_idx]));
            prop_assert!(1.0 <= query.best && query.best <= (n_target + 1 - query.n_relevant) as f64);
            prop_assert!(0.0 < query.average_precision && query.average_precision <= 1.0);
        }
    }

    #[test]
    fn the_order_of_targets_does_not_matter((similarity, n_target, relevant) in matrix(), shift in 0..8usize) {
        let moved = |target_idx: usize| (target_idx + shift) % n_target;
        let mut rotated = vec![0.0; similarity.len()];
        for (idx, &value) in similarity.iter().enumerate() {
            rotated[idx / n_target * n_target + moved(idx % n_target)] = value;
        }
        let rotated_relevant: Vec<Vec<usize>> =
            relevant.iter().map(|idxs| idxs.iter().map(|&idx| moved(idx)).collect()).collect();
        prop_assert_eq!(
            Ranks::new(&similarity, n_target, &relevant).unwrap(),
            Ranks::new(&rotated, n_target, &rotated_relevant).unwrap()
        );
    }

    #[test]
    fn recall_grows_with_its_cutoff_to_one((similarity, n_target, relevant) in matrix()) {
        let ranks = Ranks::new(&similarity, n_target, &relevant).unwrap();
        let recalls: Vec<f64> = (1..=n_target).map(|k| ranks.recall(k).unwrap()).collect();
        prop_assert!(recalls.is_sorted());
        prop_assert_eq!(recalls[n_target - 1], 1.0);
        prop_assert_eq!(ranks.chance_recall(n_target).unwrap(), 1.0);
    }
}
