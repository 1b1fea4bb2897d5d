//! Caption scores and their tokenizer against pycocoevalcap.

use serde::Deserialize;
use triptych_tasks::metrics::Captions;
use triptych_tasks::metrics::caption::{
    Bleu, DocumentFrequencies, ReferenceLength, cider_d, rouge_l, tokenize,
};

use crate::{assert_near, golden};

#[derive(Deserialize)]
struct Golden {
    /// Hypothesis and references.
    images: Vec<(String, Vec<String>)>,
    /// The tokens of the hypothesis, then of each reference.
    tokens: Vec<Vec<String>>,
    all: Scores,
    /// The first image alone.
    one: Scores,
    /// The first two images.
    two: Scores,
}

#[derive(Deserialize)]
struct Scores {
    #[serde(rename = "BLEU")]
    bleu: [f64; 4],
    #[serde(rename = "CIDEr-D")]
    cider: f64,
    #[serde(rename = "ROUGE-L")]
    rouge: f64,
    images: ImageScores,
}

#[derive(Deserialize)]
struct ImageScores {
    #[serde(rename = "BLEU-1")]
    bleu_1: Vec<f64>,
    #[serde(rename = "BLEU-4")]
    bleu_4: Vec<f64>,
    #[serde(rename = "CIDEr-D")]
    cider: Vec<f64>,
    #[serde(rename = "ROUGE-L")]
    rouge: Vec<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn check(captions: &Captions, expected: &Scores) {
    let bleu = Bleu::new(captions, ReferenceLength::Closest);
    for (order, (ours, golden)) in bleu.corpus().into_iter().zip(expected.bleu).enumerate() {
        assert_near(ours, golden, &format!("BLEU-{} of the corpus", order + 1));
    }
    let cider = cider_d(captions, &DocumentFrequencies::of(captions)).expect("a table of these captions");
    assert_near(mean(&cider), expected.cider, "CIDEr-D of the corpus");
    let rouge = rouge_l(captions);
    assert_near(mean(&rouge), expected.rouge, "ROUGE-L of the corpus");

    assert_eq!(captions.n_images(), expected.images.cider.len());
    for image_idx in 0..captions.n_images() {
        let [bleu_1, _, _, bleu_4] = bleu.image(image_idx);
        assert_near(bleu_1, expected.images.bleu_1[image_idx], &format!("BLEU-1 of image {image_idx}"));
        assert_near(bleu_4, expected.images.bleu_4[image_idx], &format!("BLEU-4 of image {image_idx}"));
        assert_near(
            cider[image_idx],
            expected.images.cider[image_idx],
            &format!("CIDEr-D of image {image_idx}"),
        );
        assert_near(
            rouge[image_idx],
            expected.images.rouge[image_idx],
            &format!("ROUGE-L of image {image_idx}"),
        );
    }
}

#[test]
fn caption_scores_are_pycocoevalcaps() {
    let golden: Golden = golden("captions.json");
    let (hypotheses, references): (Vec<String>, Vec<Vec<String>>) = golden.images.into_iter().unzip();
    for (n_images, expected) in [(hypotheses.len(), &golden.all), (1, &golden.one), (2, &golden.two)] {
        let captions =
            Captions::new(&hypotheses[..n_images], &references[..n_images]).expect("captions pair up");
        check(&captions, expected);
    }
}

#[test]
fn captions_are_tokenised_as_pycocoevalcap_does() {
    let golden: Golden = golden("captions.json");
    for ((hypothesis, references), tokens) in golden.images.iter().zip(&golden.tokens) {
        let texts = std::iter::once(hypothesis).chain(references);
        for (text, tokens) in texts.zip(tokens) {
            assert_eq!(tokenize(text), *tokens, "{text:?}");
        }
    }
}

#[test]
fn odd_sentences_are_tokenised_as_pycocoevalcap_does() {
    let sentences: Vec<[String; 2]> = golden("tokens.json");
    assert!(sentences.len() > 1_000);
    for [text, tokens] in &sentences {
        assert_eq!(tokenize(text), *tokens, "{text:?}");
    }
}
