//! Greedy and beam search on the causal segment.

use burn::prelude::*;
use triptych_encoders::input::padding;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::{Modality, TextInput, TokenSequence};
use triptych_fusion::backbone::{Backbone, BackboneConfig};
use triptych_fusion::sequence::Segment;
use triptych_tasks::decode::causal::{Marks, Writer, search};
use triptych_tasks::decode::{BeamSearch, Decoded, Sampling, ctc};

use crate::parameters;

const D_AUDIO: usize = 6;
/// Padding, begin, end, mask, and three that are written.
const N_VOCAB: usize = 7;
const N_TEXTS: usize = 6;

/// What other widths of padding leave of a mean log-probability.
const TOLERANCE: f32 = 1e-4;

fn marks() -> Marks {
    Marks { begin: 1, end: 2, forbidden: vec![0, 1, 3] }
}

/// A backbone that is sure of what it writes, which depends on what it hears and wrote.
fn backbone(max_causal_tokens: usize, seed: u64) -> Backbone {
    let device = Device::flex();
    let config = BackboneConfig { max_causal_tokens, ..BackboneConfig::tiny() };
    let backbone =
        config.init([D_AUDIO; 3], N_VOCAB, &mut Initializer::new(seed, &device)).expect("sizes fit");
    let mut table = parameters::save(&backbone);
    for (name, values) in &mut table {
        let factor = if name.starts_with("causal") { 25.0 } else { 1.5 };
        let sharper = values.iter::<f32>().map(|value| value * factor).collect::<Vec<_>>();
        *values = TensorData::new(sharper, values.shape().clone());
    }
    parameters::load(backbone, table)
}

/// Rows of sound of the given lengths, padded to the longest; a row's content depends on its number alone.
fn sounds(rows: &[(usize, usize)]) -> TokenSequence {
    let width = rows.iter().map(|(_, length)| *length).max().expect("at least one row");
    let tokens = rows.iter().flat_map(|&(row, _)| {
        (0..width * D_AUDIO).map(move |place| ((row * 31 + place) as f32 * 12.9898).sin() * 2.0)
    });
    let tokens = TensorData::new(tokens.collect::<Vec<_>>(), [rows.len(), width, D_AUDIO]);
    let lengths = rows.iter().map(|(_, length)| *length).collect::<Vec<_>>();
    let device = Device::flex();
    TokenSequence::new(Tensor::from_data(tokens, &device), padding(&lengths, width, &device), Modality::Audio)
}

fn rows() -> Vec<(usize, usize)> {
    [5, 1, 9, 3, 7, 2].into_iter().enumerate().collect()
}

/// Log-probabilities of what follows `begin` and `ids`, by a full pass without a cache.
fn log_probabilities(backbone: &Backbone, sound: &TokenSequence, ids: &[u32]) -> Vec<f32> {
    let device = Device::flex();
    let ids = std::iter::once(marks().begin).chain(ids.iter().copied()).map(i64::from).collect::<Vec<_>>();
    let n = ids.len();
    let text = TextInput {
        ids: Tensor::from_data(TensorData::new(ids, [1, n]), &device),
        is_pad: padding(&[n], n, &device),
    };
    let causal = backbone.forward_causal(std::slice::from_ref(sound), &text).span(Segment::Causal);
    let causal = causal.expect("a span of the text");
    let [_, _, d_model] = causal.dims();
    let logits = backbone.vocabulary_logits(causal.narrow(1, n - 1, 1).reshape([1, d_model]));
    burn::tensor::activation::log_softmax(logits, 1).into_data().iter::<f32>().collect()
}

fn ordinary() -> impl Iterator<Item = u32> {
    (0..N_VOCAB as u32).filter(|id| !marks().forbidden.contains(id) && *id != marks().end)
}

/// Mean log-probability of a text, end mark included.
fn confidence(backbone: &Backbone, sound: &TokenSequence, ids: &[u32]) -> f32 {
    let written = ids.iter().copied().chain([marks().end]).enumerate();
    let total = written
        .map(|(place, id)| log_probabilities(backbone, sound, &ids[..place])[id as usize])
        .sum::<f32>();
    total / (ids.len() + 1) as f32
}

/// Of a whole text, end mark included.
fn log_probability(text: &Decoded) -> f32 {
    text.confidence * (text.ids.len() + 1) as f32
}

#[track_caller]
fn assert_same(ours: &Decoded, expected: &Decoded) {
    assert_eq!(ours.ids, expected.ids);
    assert!((ours.confidence - expected.confidence).abs() < TOLERANCE, "{ours:?}, expected {expected:?}");
}

#[test]
fn one_beam_takes_the_best_token_at_every_step() {
    let mut n_ended = 0;
    for seed in 1..6 {
        let backbone = backbone(N_TEXTS, seed);
        for (row, decoded) in
            rows().into_iter().zip(search(&backbone, &[sounds(&rows())], &marks(), 1).unwrap())
        {
            let sound = sounds(&[row]);
            let mut ids = Vec::new();
            while ids.len() + 1 < N_TEXTS {
                let scores = log_probabilities(&backbone, &sound, &ids);
                let candidates = ordinary().chain([marks().end]);
                let best = candidates.max_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
                match best.expect("something may be written") {
                    id if id == marks().end => break,
                    id => ids.push(id),
                }
            }
            n_ended += usize::from(ids.len() + 1 < N_TEXTS);
            assert_same(&decoded, &Decoded { confidence: confidence(&backbone, &sound, &ids), ids });
        }
    }
    assert!(
        (1..30).contains(&n_ended),
        "{n_ended} of 30 texts ended by themselves: the models are too much alike"
    );
}

#[test]
fn without_any_input_texts_are_written_from_the_begin_mark_alone() {
    let device = Device::flex();
    for seed in 1..4 {
        let backbone = backbone(N_TEXTS, seed);
        let scores = |ids: &[u32]| {
            let ids = std::iter::once(marks().begin).chain(ids.iter().copied()).map(i64::from);
            let ids = ids.collect::<Vec<_>>();
            let n = ids.len();
            let ids = Tensor::from_data(TensorData::new(ids, [1, n]), &device);
            let text = TextInput { ids, is_pad: padding(&[n], n, &device) };
            let causal = backbone.forward_causal(&[], &text).span(Segment::Causal).expect("a span of it");
            let [_, _, d_model] = causal.dims();
            let logits = backbone.vocabulary_logits(causal.narrow(1, n - 1, 1).reshape([1, d_model]));
            burn::tensor::activation::log_softmax(logits, 1).into_data().iter::<f32>().collect::<Vec<_>>()
        };
        let (mut ids, mut total) = (Vec::new(), 0.0);
        loop {
            let scores = scores(&ids);
            let candidates = ordinary().filter(|_| ids.len() + 1 < N_TEXTS).chain([marks().end]);
            let best = candidates.max_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
            let best = best.expect("a text may always end");
            total += scores[best as usize];
            if best == marks().end {
                break;
            }
            ids.push(best);
        }
        let written = search(&backbone, &[], &marks(), 1).expect("nothing is wrong with it");
        assert_eq!(written.len(), 1);
        assert_same(&written[0], &Decoded { confidence: total / (ids.len() + 1) as f32, ids });
        let marks = marks();
        let writer = Writer::new(&backbone, &marks, None).expect("marks that fit");
        let sampling = Sampling { n_samples: 2, ..Sampling::new(1) };
        let drawn = writer.sample(&[], &["a", "b", "a"], &sampling).expect("nothing is wrong with it");
        assert_eq!((drawn.len(), drawn[0].len()), (3, 2));
        assert_eq!(drawn[0][0].ids, drawn[2][0].ids);
        assert!(writer.sample(&[], &[""; 0], &sampling).expect("no row").is_empty());
    }
}

#[test]
fn a_row_alone_is_written_as_in_a_batch() {
    for (seed, n_beams) in [(1, 1), (2, 1), (1, 2), (3, 2), (2, 4), (3, 4)] {
        let backbone = backbone(N_TEXTS, seed);
        let together = search(&backbone, &[sounds(&rows())], &marks(), n_beams).unwrap();
        assert_eq!(together.len(), rows().len());
        for (row, together) in rows().into_iter().zip(together) {
            let alone = search(&backbone, &[sounds(&[row])], &marks(), n_beams).unwrap().remove(0);
            assert_same(&together, &alone);
        }
    }
}

#[test]
fn a_beam_for_every_text_finds_the_likeliest_of_all_texts() {
    let n_causal = 4;
    let mut texts = vec![Vec::new()];
    let mut longest = 0;
    for length in 1..n_causal {
        let shorter = texts[longest..].to_vec();
        longest = texts.len();
        texts.extend(
            shorter
                .iter()
                .flat_map(|text| ordinary().map(|id| text.iter().copied().chain([id]).collect::<Vec<u32>>())),
        );
        assert!(texts[longest..].iter().all(|text| text.len() == length));
    }
    assert_eq!(texts.len(), 1 + 3 + 9 + 27);
    let mut n_beaten = 0;
    for seed in 1..21 {
        let backbone = backbone(n_causal, seed);
        let sound = sounds(&[(0, 5)]);
        let found = search(&backbone, std::slice::from_ref(&sound), &marks(), texts.len()).unwrap().remove(0);
        let scored = texts
            .iter()
            .map(|ids| Decoded { ids: ids.clone(), confidence: confidence(&backbone, &sound, ids) });
        let best = scored.reduce(
            |best, other| if log_probability(&other) > log_probability(&best) { other } else { best },
        );
        assert_same(&found, &best.expect("there are texts"));
        let greedy = search(&backbone, &[sound], &marks(), 1).unwrap().remove(0);
        n_beaten += usize::from(log_probability(&greedy) + TOLERANCE < log_probability(&found));
    }
    assert!(n_beaten > 0, "greedy search is never beaten: the models are too easy");
}

#[test]
fn a_joint_search_finds_what_attention_and_ctc_like_best_together() {
    let (n_causal, weight) = (3, 0.4);
    let texts = [vec![]].into_iter().chain(ordinary().map(|id| vec![id]));
    let texts = texts.chain(ordinary().flat_map(|a| ordinary().map(move |b| vec![a, b]))).collect::<Vec<_>>();
    assert_eq!(texts.len(), 1 + 3 + 9);
    let mut n_changed = 0;
    for seed in 1..9 {
        let backbone = backbone(n_causal, seed);
        let sound = sounds(&rows());
        let labels = (0..rows().len()).map(|row| {
            let logits =
                (0..4 * N_VOCAB).map(|place| ((row * 37 + place + seed as usize) as f32 * 1.9).sin() * 3.0);
            let logits = TensorData::new(logits.collect::<Vec<_>>(), [1, 4, N_VOCAB]);
            ctc::log_probabilities(Tensor::from_data(logits, &Device::flex()), &[4]).remove(0)
        });
        let labels = labels.collect::<Vec<_>>();
        let frames =
            labels.iter().map(|labels| ctc::Frames::new(labels, N_VOCAB).unwrap()).collect::<Vec<_>>();
        let marks = marks();
        let writer = Writer::new(&backbone, &marks, None).unwrap();
        let beams = BeamSearch::new(texts.len());
        let found = writer.search_jointly(std::slice::from_ref(&sound), &frames, weight, &beams).unwrap();
        let attention = writer.search(std::slice::from_ref(&sound), &beams).unwrap();
        for (row, (found, attention)) in rows().into_iter().zip(found.into_iter().zip(attention)) {
            let scorer = ctc::PrefixScorer::new(&frames[row.0], 0).unwrap();
            let score = |ids: &Vec<u32>| {
                let by_attention = confidence(&backbone, &sounds(&[row]), ids) * (ids.len() + 1) as f32;
                let state = ids.iter().fold(scorer.begin(), |state, &id| scorer.extend(&state, id));
                (1.0 - weight) * f64::from(by_attention) + weight * scorer.end(&state)
            };
            let best = texts.iter().max_by(|a, b| score(a).total_cmp(&score(b))).expect("there are texts");
            assert_eq!(&found[0].ids, best, "row {}, seed {seed}", row.0);
            assert!((found[0].log_probability - score(best)).abs() < 1e-3);
            n_changed += usize::from(found[0].ids != attention[0].ids);
        }
    }
    assert!(n_changed > 5, "CTC changes {n_changed} of 48 texts");
}

#[test]
fn forbidden_ids_are_never_written_however_likely() {
    for (seed, n_beams) in [(1, 1), (2, 1), (1, 3), (2, 3), (3, 8)] {
        let backbone = backbone(N_TEXTS, seed);
        let mut table = parameters::save(&backbone);
        let likely =
            (0..N_VOCAB as u32).map(|id| if marks().forbidden.contains(&id) { 30.0f32 } else { 0.0 });
        let likely = TensorData::new(likely.collect::<Vec<_>>(), [N_VOCAB]);
        table.insert("vocabulary_bias".to_owned(), likely).expect("a bias of the vocabulary");
        let backbone = parameters::load(backbone, table);
        for decoded in search(&backbone, &[sounds(&rows())], &marks(), n_beams).unwrap() {
            assert!(decoded.ids.len() < N_TEXTS, "{decoded:?}");
            assert!(decoded.ids.iter().all(|id| ordinary().any(|ordinary| ordinary == *id)), "{decoded:?}");
            assert!(decoded.confidence.is_finite(), "{decoded:?}");
        }
    }
}
