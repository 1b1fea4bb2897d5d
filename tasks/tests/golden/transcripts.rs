//! Word errors against jiwer 4, the basic normaliser against Whisper's.

use serde::Deserialize;
use triptych_tasks::metrics::{EditCounts, Normalizer, Resampling, WordErrors};

use crate::{assert_near, golden};

#[derive(Deserialize)]
struct Golden {
    /// Reference and hypothesis.
    pairs: Vec<[String; 2]>,
    /// Hits, substitutions, deletions, insertions.
    words: Vec<[u64; 4]>,
    characters: Vec<[u64; 4]>,
    /// WER, MER, WIL of the first pairs, each alone.
    rates: Vec<[f64; 3]>,
    corpus: Corpus,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Corpus {
    wer: f64,
    mer: f64,
    wil: f64,
    cer: f64,
}

fn scored() -> (Golden, WordErrors) {
    let golden: Golden = golden("word_errors.json");
    let (references, hypotheses): (Vec<&str>, Vec<&str>) =
        golden.pairs.iter().map(|[reference, hypothesis]| (reference.as_str(), hypothesis.as_str())).unzip();
    let errors = WordErrors::new(Normalizer::None, &references, &hypotheses).expect("lists of equal length");
    (golden, errors)
}

fn listed(counts: &EditCounts) -> [u64; 4] {
    [counts.hits, counts.substitutions, counts.deletions, counts.insertions]
}

#[test]
fn every_alignment_counts_as_jiwer_counts() {
    let (golden, errors) = scored();
    assert_eq!(golden.pairs.len(), errors.n_utterances());
    for (idx, pair) in golden.pairs.iter().enumerate() {
        assert_eq!(listed(&errors.words()[idx]), golden.words[idx], "words of pair {idx}: {pair:?}");
        assert_eq!(
            listed(&errors.characters()[idx]),
            golden.characters[idx],
            "characters of pair {idx}: {pair:?}"
        );
    }
}

#[test]
fn rates_of_single_pairs_and_of_the_corpus_are_jiwers() {
    let (golden, errors) = scored();
    for (idx, [wer, mer, wil]) in golden.rates.iter().enumerate() {
        let counts = errors.words()[idx];
        assert_near(counts.error_rate(), *wer, &format!("WER of pair {idx}"));
        assert_near(counts.match_error_rate(), *mer, &format!("MER of pair {idx}"));
        assert_near(counts.information_lost(), *wil, &format!("WIL of pair {idx}"));
    }
    let scores = errors.scores(&Resampling::default()).expect("enough utterances");
    let corpus = golden.corpus;
    for (name, share) in [("WER", corpus.wer), ("CER", corpus.cer), ("MER", corpus.mer), ("WIL", corpus.wil)]
    {
        let score = scores.iter().find(|score| score.name == name).expect("a score of each");
        assert_near(score.value / 100.0, share, name);
    }
}

#[test]
fn the_basic_normaliser_is_whispers() {
    let texts: Vec<[String; 2]> = golden("normalizer.json");
    assert!(texts.len() > 500);
    for [text, normalized] in &texts {
        assert_eq!(Normalizer::Basic.apply(text), normalized.as_str(), "{text:?}");
    }
}
