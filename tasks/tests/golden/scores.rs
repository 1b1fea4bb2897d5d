//! Whisper's English normaliser, text scores against sacrebleu, classification against scikit-learn.

use serde::Deserialize;
use triptych_tasks::metrics::classification::ScoreKind;
use triptych_tasks::metrics::text::tokenize_13a;
use triptych_tasks::metrics::{Classifications, Figure, Normalizer, Texts};

use crate::{assert_near, golden};

#[derive(Deserialize)]
struct TextGolden {
    /// Hypothesis and references.
    pairs: Vec<(String, Vec<String>)>,
    /// Of each hypothesis.
    tokens: Vec<String>,
    #[serde(rename = "BLEU")]
    bleu: f64,
    #[serde(rename = "chrF")]
    chrf: f64,
    /// BLEU and chrF of each pair as a corpus of its own.
    alone: Vec<[f64; 2]>,
    /// Of pairs 100 to 109.
    few: [f64; 2],
}

#[derive(Deserialize)]
struct ClassGolden {
    labels: Vec<usize>,
    logits: Vec<f64>,
    n_classes: usize,
    #[serde(flatten)]
    scores: std::collections::HashMap<String, f64>,
}

#[test]
fn english_is_normalised_as_whisper_does() {
    let texts: Vec<[String; 2]> = golden("english.json");
    assert!(texts.len() > 2_500);
    let wrong: Vec<_> = (texts.iter())
        .filter(|[text, normalized]| Normalizer::English.apply(text) != normalized.as_str())
        .map(|[text, normalized]| (text, normalized, Normalizer::English.apply(text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ, the first: {:#?}", wrong.len(), texts.len(), &wrong[0]);
}

fn text_values(pairs: &[(String, Vec<String>)]) -> Vec<f64> {
    let (hypotheses, references): (Vec<&String>, Vec<&Vec<String>>) =
        pairs.iter().map(|(hypothesis, references)| (hypothesis, references)).unzip();
    let texts = Texts::new(&hypotheses, &references).expect("texts pair up");
    texts.figures().iter().map(Figure::value).collect()
}

#[test]
fn text_scores_are_sacrebleus() {
    let golden: TextGolden = golden("text.json");
    let check = |pairs: &[(String, Vec<String>)], expected: [f64; 2], what: &str| {
        for (ours, expected) in text_values(pairs).into_iter().zip(expected) {
            assert_near(ours, expected, what);
        }
    };
    check(&golden.pairs, [golden.bleu, golden.chrf], "the corpus");
    check(&golden.pairs[100..110], golden.few, "ten texts");
    for (pair_idx, (pair, expected)) in golden.pairs.iter().zip(&golden.alone).enumerate() {
        check(std::slice::from_ref(pair), *expected, &format!("pair {pair_idx}: {pair:?}"));
    }
}

#[test]
fn texts_are_tokenised_as_sacrebleu_does() {
    let golden: TextGolden = golden("text.json");
    for ((hypothesis, _), tokens) in golden.pairs.iter().zip(&golden.tokens) {
        assert_eq!(tokenize_13a(hypothesis), *tokens, "{hypothesis:?}");
    }
}

#[test]
fn classification_scores_are_scikit_learns() {
    let golden: ClassGolden = golden("classification.json");
    let classified =
        Classifications::from_scores(&golden.labels, &golden.logits, golden.n_classes, ScoreKind::Logits)
            .expect("a score for each class");
    let figures = classified.figures();
    assert_eq!(figures.len(), golden.scores.len());
    for figure in figures {
        let name = figure.metric().name;
        assert_near(figure.value(), 100.0 * golden.scores[name], name);
    }
}
