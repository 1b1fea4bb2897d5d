//! N-gram scores against kenlm, prefix beam search against pyctcdecode.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use triptych_tasks::decode::ctc::{Frames, Fusion, HotWords, LanguageModel, PrefixSearch, Vocabulary};
use triptych_tasks::decode::ngram::NGram;

use crate::golden;

/// Sums of single-precision numbers in another order.
const LM_TOLERANCE: f64 = 1e-5;
/// As above, and log-probabilities that are rounded to five decimals and not normalised again.
const SEARCH_TOLERANCE: f64 = 2e-4;
const HOT_WORD_BOOST: f64 = 4.0;

#[derive(Deserialize)]
struct Golden {
    sentences: Vec<(String, f64)>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    labels: Vec<String>,
    frames: Vec<f32>,
    alpha: Option<f64>,
    beta: f64,
    hot_words: Vec<String>,
    /// Text, score of the sound, score with everything; best first.
    best: Vec<(String, f64, f64)>,
}

fn model() -> NGram {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ngram.arpa");
    NGram::read_arpa(BufReader::new(std::fs::File::open(path).expect("a file"))).expect("a model")
}

#[test]
fn sentences_score_as_in_kenlm() {
    let model = model();
    for (sentence, expected) in golden::<Golden>("ctc.json").sentences {
        let score = model.score_sentence(&sentence);
        assert!((score - expected).abs() < LM_TOLERANCE, "{sentence:?}: expected {expected}, got {score}");
    }
}

#[test]
fn texts_score_as_in_pyctcdecode() {
    let model = model();
    let mut n_compared = 0;
    for case in golden::<Golden>("ctc.json").cases {
        let vocabulary = Vocabulary::of_pieces(case.labels.iter().cloned().map(Some), '\u{2581}', 0).unwrap();
        let phrases = case.hot_words.iter().map(|word| (word.as_str(), HOT_WORD_BOOST));
        let hot_words = HotWords::new(phrases, &vocabulary).unwrap();
        let language_model = case.alpha.map(|weight| LanguageModel { weight, ..LanguageModel::new(&model) });
        // pyctcdecode counts words for the language model only
        let word_bonus = if case.alpha.is_some() { case.beta } else { 0.0 };
        let fusion = Fusion { language_model, word_bonus, hot_words: Some(&hot_words) };
        let frames = Frames::new(&case.frames, vocabulary.len()).unwrap();
        let found = PrefixSearch::exhaustive(1 << 20).run(&frames, &vocabulary, &fusion).unwrap();
        // pyctcdecode adds up what is written alike
        let mut texts: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for hypothesis in found {
            let text = texts.entry(vocabulary.spell(&hypothesis.ids)).or_insert((0.0, 0.0));
            text.0 += hypothesis.acoustic.exp();
            text.1 = hypothesis.score - hypothesis.acoustic;
        }
        for (text, acoustic, score) in case.best {
            // it takes no text for one unknown word
            if text.is_empty() {
                continue;
            }
            let (probability, fused) = texts[&text];
            let ours = (probability.ln(), probability.ln() + fused);
            assert!(
                (ours.0 - acoustic).abs() < SEARCH_TOLERANCE,
                "{text:?}: expected {acoustic}, got {ours:?}"
            );
            assert!((ours.1 - score).abs() < SEARCH_TOLERANCE, "{text:?}: expected {score}, got {ours:?}");
            n_compared += 1;
        }
    }
    assert!(n_compared > 200, "{n_compared} texts were compared");
}
