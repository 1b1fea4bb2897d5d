//! Retrieval against CLIP_benchmark's recall and scikit-learn's mean average precision.

use serde::Deserialize;
use triptych_tasks::metrics::Ranks;

use crate::{assert_near, golden};

#[derive(Deserialize)]
struct Golden {
    n_images: usize,
    /// The image of each text.
    image_of: Vec<usize>,
    /// `[n_texts, n_images]`.
    scores: Vec<f64>,
    text_to_image: Recalls,
    image_to_text: Recalls,
}

#[derive(Deserialize)]
struct Recalls {
    #[serde(rename = "R@1")]
    at_1: f64,
    #[serde(rename = "R@5")]
    at_5: f64,
    #[serde(rename = "R@10")]
    at_10: f64,
    #[serde(rename = "mAP")]
    precision: f64,
}

fn check(ranks: &Ranks, expected: &Recalls, direction: &str) {
    for (k, recall) in [(1, expected.at_1), (5, expected.at_5), (10, expected.at_10)] {
        assert_near(ranks.recall(k).expect("a cut-off"), recall, &format!("{direction}, R@{k}"));
    }
    assert_near(ranks.mean_average_precision(), expected.precision, &format!("{direction}, mAP"));
}

#[test]
fn both_directions_are_ranked_as_clip_benchmark_ranks() {
    let golden: Golden = golden("retrieval.json");
    let (n_images, n_texts) = (golden.n_images, golden.image_of.len());
    let images: Vec<[usize; 1]> = golden.image_of.iter().map(|&image_idx| [image_idx]).collect();
    let ranks = Ranks::new(&golden.scores, n_images, &images).expect("a full matrix");
    check(&ranks, &golden.text_to_image, "text to image");

    let mut texts = vec![Vec::new(); n_images];
    golden.image_of.iter().enumerate().for_each(|(text_idx, &image_idx)| texts[image_idx].push(text_idx));
    let column = |image_idx: usize| (0..n_texts).map(move |text_idx| text_idx * n_images + image_idx);
    let turned: Vec<f64> = (0..n_images).flat_map(column).map(|place| golden.scores[place]).collect();
    let ranks = Ranks::new(&turned, n_texts, &texts).expect("a full matrix");
    check(&ranks, &golden.image_to_text, "image to text");
}
