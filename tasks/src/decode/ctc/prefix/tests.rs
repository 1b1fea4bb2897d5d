use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{HotWords, LanguageModel};
use super::*;
use crate::decode::ngram::NGram;

/// Labels: blank, space, `a`, `b`.
fn characters() -> Vocabulary {
    Vocabulary::new(["", " ", "a", "b"].map(|text| Some(text.to_owned())).to_vec(), 0).unwrap()
}

const ARPA: &str = "\\data\\\nngram 1=6\nngram 2=4\nngram 3=1\n\\1-grams:\n-99 <s> -0.5\n-0.5 </s>\n-2 <unk>\n-0.7 a -0.25\n\
                    -0.9 ab -0.75\n-1.25 b -0.125\n\\2-grams:\n-0.125 <s> ab -0.25\n-0.5 a b -0.5\n-0.25 b </s>\n-1.5 ab a\n\
                    \\3-grams:\n-0.0625 <s> ab a\n\\end\\\n";

/// Rows of log-probabilities that add up to one.
fn normalised(values: &[f32], n_labels: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    for frame in values.chunks_mut(n_labels) {
        let total = frame.iter().map(|value| value.exp()).sum::<f32>().ln();
        frame.iter_mut().for_each(|value| *value -= total);
    }
    values
}

/// The log-probability of every labelling, by going through all alignments.
fn by_enumeration(frames: &Frames<'_>) -> BTreeMap<Vec<u32>, f64> {
    let (n_labels, n_frames) = (frames.n_labels() as u32, frames.len() as u32);
    let mut found = BTreeMap::new();
    for number in 0..n_labels.pow(n_frames) {
        let mut path = (0..n_frames).map(|place| number / n_labels.pow(place) % n_labels).collect::<Vec<_>>();
        let score =
            frames.iter().zip(&path).map(|(frame, label)| f64::from(frame[*label as usize])).sum::<f64>();
        path.dedup();
        path.retain(|label| *label != 0);
        *found.entry(path).or_insert(0.0) += score.exp();
    }
    found.into_iter().map(|(ids, probability)| (ids, probability.ln())).collect()
}

#[track_caller]
fn assert_scores(found: &[Hypothesis], expected: BTreeMap<Vec<u32>, f64>, fused: impl Fn(&[u32]) -> f64) {
    assert_eq!(found.len(), expected.len());
    for hypothesis in found {
        let acoustic = expected[&hypothesis.ids];
        assert!((hypothesis.acoustic - acoustic).abs() < 1e-6, "{hypothesis:?}, expected {acoustic}");
        let score = acoustic + fused(&hypothesis.ids);
        assert!((hypothesis.score - score).abs() < 1e-5, "{hypothesis:?}, expected {score}");
    }
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
}

proptest! {
    #[test]
    fn every_text_has_the_probability_of_all_its_alignments(
        values in (1usize..6).prop_flat_map(|n| prop::collection::vec(-6.0f32..0.0, n * 4)),
        max_nodes in prop_oneof![Just(1), Just(30), Just(MAX_NODES)],
    ) {
        let values = normalised(&values, 4);
        let frames = Frames::new(&values, 4).unwrap();
        let search = PrefixSearch::exhaustive(usize::MAX);
        let found = search.search(&frames, &characters(), &Fusion::default(), max_nodes).unwrap();
        assert_scores(&found, by_enumeration(&frames), |_| 0.0);
    }

    #[test]
    fn language_model_bonus_and_hot_words_add_what_they_say(
        values in (1usize..6).prop_flat_map(|n| prop::collection::vec(-6.0f32..0.0, n * 4)),
        weight in 0.0f64..2.0,
        word_bonus in -2.0f64..2.0,
        boost in 0.0f64..5.0,
    ) {
        let values = normalised(&values, 4);
        let (frames, vocabulary) = (Frames::new(&values, 4).unwrap(), characters());
        let model = NGram::read_arpa(ARPA.as_bytes()).unwrap();
        let hot_words = HotWords::new([("ab", boost), ("a b", 1.0)], &vocabulary).unwrap();
        let language_model = LanguageModel { model: &model, weight, unknown_log10: -3.0 };
        let fusion = Fusion { language_model: Some(language_model), word_bonus, hot_words: Some(&hot_words) };
        let found = PrefixSearch::exhaustive(usize::MAX).run(&frames, &vocabulary, &fusion).unwrap();
        assert_scores(&found, by_enumeration(&frames), |ids| {
            let text = vocabulary.spell(ids);
            let words = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>();
            let n_unknown = words.iter().filter(|word| !["a", "b", "ab"].contains(word)).count();
            let log10 = model.score_sentence(&text) - 3.0 * n_unknown as f64;
            let n_hot = words.iter().filter(|word| **word == "ab").count();
            let n_pairs = words.windows(2).filter(|pair| pair == &["a", "b"]).count();
            weight * std::f64::consts::LN_10 * log10 + word_bonus * words.len() as f64 + boost * n_hot as f64 + n_pairs as f64
        });
    }

    #[test]
    fn a_wide_beam_finds_the_best_and_a_narrow_one_something_possible(
        values in prop::collection::vec(-6.0f32..0.0, 5 * 4),
        n_beams in 1usize..6,
    ) {
        let values = normalised(&values, 4);
        let frames = Frames::new(&values, 4).unwrap();
        let all = by_enumeration(&frames);
        let best = all.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let narrow = PrefixSearch { n_beams, n_best: n_beams, ..PrefixSearch::default() };
        for hypothesis in narrow.run(&frames, &characters(), &Fusion::default()).unwrap() {
            prop_assert!(hypothesis.acoustic <= all[&hypothesis.ids] + 1e-9);
        }
        let wide = PrefixSearch::exhaustive(1000).run(&frames, &characters(), &Fusion::default()).unwrap();
        prop_assert!((wide[0].score - best).abs() < 1e-6);
    }
}

#[test]
fn a_language_model_turns_the_choice() {
    let values = normalised(&[-0.1, -5.0, -5.0, -5.0, -5.0, -5.0, -1.02, -1.0, -5.0, -0.1, -5.0, -5.0], 4);
    let (frames, vocabulary) = (Frames::new(&values, 4).unwrap(), characters());
    let search = PrefixSearch::default();
    let spell =
        |fusion: &Fusion<'_>| vocabulary.spell(&search.run(&frames, &vocabulary, fusion).unwrap()[0].ids);
    assert_eq!(spell(&Fusion::default()), "b");
    let hot_words = HotWords::new([("a", 3.0)], &vocabulary).unwrap();
    assert_eq!(spell(&Fusion { hot_words: Some(&hot_words), ..Fusion::default() }), "a");
    let model = NGram::read_arpa(ARPA.as_bytes()).unwrap();
    let language_model = LanguageModel { weight: 1.5, ..LanguageModel::new(&model) };
    let fusion = Fusion { language_model: Some(language_model), ..Fusion::default() };
    assert_eq!(spell(&fusion), "a");
}

#[test]
fn labels_that_are_never_written_are_not() {
    let texts = [Some(""), None, Some("a")].map(|text| text.map(str::to_owned)).to_vec();
    let vocabulary = Vocabulary::new(texts, 0).unwrap();
    let values = normalised(&[-3.0, -0.1, -2.0].repeat(3), 3);
    let found = PrefixSearch::exhaustive(100)
        .run(&Frames::new(&values, 3).unwrap(), &vocabulary, &Fusion::default())
        .unwrap();
    assert!(found.iter().all(|hypothesis| !hypothesis.ids.contains(&1)));
    let dead = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
    let error = PrefixSearch::default().run(&Frames::new(&dead, 3).unwrap(), &vocabulary, &Fusion::default());
    assert_eq!(error, Err(CtcError::DeadEnd { frame_idx: 0 }));
}

#[test]
fn settings_and_vocabularies_that_do_not_fit_are_named() {
    let values = normalised(&[-1.0; 10], 5);
    let frames = Frames::new(&values, 5).unwrap();
    let message = |search: PrefixSearch, fusion: Fusion<'_>| {
        search.run(&frames, &characters(), &fusion).unwrap_err().to_string()
    };
    let default = PrefixSearch::default();
    let expected = "vocabulary does not match: it has 4 labels, the frames have 5";
    assert_eq!(message(default, Fusion::default()), expected);
    let expected = "n_beams: expected at least 1, got 0";
    assert_eq!(message(PrefixSearch { n_beams: 0, ..default }, Fusion::default()), expected);
    let expected = "max_gap: expected a number of at least 0, got NaN";
    assert_eq!(message(PrefixSearch { max_gap: f64::NAN, ..default }, Fusion::default()), expected);
    let frames = Frames::new(&values[..4], 4).unwrap();
    let fusion = Fusion { word_bonus: f64::INFINITY, ..Fusion::default() };
    let error = default.run(&frames, &characters(), &fusion).unwrap_err().to_string();
    assert_eq!(error, "word_bonus: expected a finite number, got inf");
}
