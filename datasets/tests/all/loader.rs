//! Streams of batches: what is in them, and what must not change them.

use std::collections::HashSet;
use std::sync::Arc;

use triptych_datasets::audio::{AudioAugment, AudioTransform, SpecAugment};
use triptych_datasets::batch::HostBatch;
use triptych_datasets::image::{ImageAugment, ImageTransform};
use triptych_datasets::loader::{
    EvalLoader, LoaderConfig, LoaderError, OnBad, Selection, TextOptions, TrainLoader,
};
use triptych_datasets::sample::{Sample, Split};
use triptych_datasets::shard::Corpus;
use triptych_datasets::text::{Tokenizer, TokenizerKind};

use crate::fixture::{media, samples, write};

fn corpus_of(samples: Vec<Sample>) -> Arc<Corpus> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // the shards stay mapped when the folder is gone
    Arc::new(write(dir.path(), samples))
}

fn tokenizer() -> Arc<Tokenizer> {
    let texts = ["thing number 0123456789", "a thing"];
    Arc::new(Tokenizer::train(TokenizerKind::Characters, &texts, 0).expect("the texts are plain"))
}

fn config() -> LoaderConfig {
    LoaderConfig {
        seed: 5,
        text: Some(TextOptions::new(12)),
        image: Some(ImageTransform {
            augment: Some(ImageAugment {
                scale: [0.5, 1.3],
                flip: 0.5,
                rotate: 0.5,
                rotate_deg: 20.0,
                ..Default::default()
            }),
            ..ImageTransform::new(16)
        }),
        audio: Some(AudioTransform {
            n_mels: 40,
            max_s: 0.13,
            normalise_bands: true,
            augment: Some(AudioAugment {
                speed: 0.5,
                noise: 0.5,
                mask: Some(SpecAugment { n_time_masks: 1, ..Default::default() }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        sounds_per_row: 1,
        ..LoaderConfig::new(4)
    }
}

fn stream(corpus: &Arc<Corpus>, config: &LoaderConfig, from: u64, n_batches: usize) -> Vec<HostBatch> {
    let mut loader =
        TrainLoader::start(corpus.clone(), tokenizer(), config, from).expect("the config is sound");
    (0..n_batches).map(|_| loader.next_batch().expect("the samples are sound")).collect()
}

#[test]
fn threads_queues_and_caches_change_no_batch() {
    let corpus = corpus_of(samples(11));
    let expected = stream(&corpus, &config(), 0, 9);
    for (workers, queue, cache_bytes) in [(0, 1, 0), (2, 1, 3000), (3, 4, 1 << 20), (5, 2, 0)] {
        let other = LoaderConfig { workers, queue, cache_bytes, ..config() };
        assert_eq!(stream(&corpus, &other, 0, 9), expected, "{workers} threads");
    }
}

#[test]
fn stream_entered_in_the_middle_is_the_same_stream() {
    let corpus = corpus_of(samples(11));
    let whole = stream(&corpus, &config(), 0, 10);
    for from in [1, 2, 5, 9] {
        let workers = from % 3;
        let other = LoaderConfig { workers, ..config() };
        assert_eq!(stream(&corpus, &other, from as u64, 10 - from), whole[from..], "from batch {from}");
    }
    assert_ne!(stream(&corpus, &LoaderConfig { seed: 6, ..config() }, 0, 1)[0], whole[0]);
}

#[test]
fn no_group_comes_twice_in_an_epoch() {
    let corpus = corpus_of(samples(11));
    let loader = TrainLoader::start(corpus.clone(), tokenizer(), &config(), 0).expect("the config is sound");
    assert_eq!((loader.n_groups(), loader.batches_per_epoch()), (11, 2));
    let batches = stream(&corpus, &config(), 0, 20);
    for epoch in batches.chunks(2) {
        let ids: HashSet<&String> = epoch.iter().flat_map(|batch| &batch.ids).collect();
        assert_eq!(ids.len(), 8);
    }
    let ever: HashSet<&String> = batches.iter().flat_map(|batch| &batch.ids).collect();
    assert_eq!(ever.len(), 11);
}

#[test]
fn rows_are_absent_where_a_group_lacks_a_modality() {
    let corpus = corpus_of(samples(5));
    let config = LoaderConfig { batch_size: 5, ..config() };
    let batch = stream(&corpus, &config, 0, 1).remove(0);
    let row = |group: &str| batch.ids.iter().position(|id| id == group).expect("every group is in the batch");
    let image = batch.image.expect("most groups have pictures");
    let audio = batch.audio.expect("most groups have sounds");
    let text = batch.text.expect("every group has texts");
    assert!(!image.rows.contains(&row("thing 1")) && image.rows.len() == 4);
    assert!(!audio.rows.contains(&row("thing 0")) && audio.rows.len() == 4);
    assert_eq!(text.rows, [0, 1, 2, 3, 4]);
    assert_eq!(image.pixels.len(), 4 * 16 * 16 * 3);
    assert_eq!(audio.frames.len(), 4 * audio.n_frames * 40);
    assert!(audio.n_frames.is_multiple_of(4) && audio.lengths.iter().all(|length| (2..=13).contains(length)));
    assert!(text.lengths.iter().all(|length| *length == 12) && text.n_tokens == 12);
}

#[test]
fn a_row_has_as_many_sounds_as_asked_for() {
    let corpus = corpus_of(samples(5));
    let config = LoaderConfig { batch_size: 5, sounds_per_row: 3, ..config() };
    let batch = stream(&corpus, &config, 0, 1).remove(0);
    let audio = batch.audio.expect("most groups have sounds");
    let without = batch.ids.iter().position(|id| id == "thing 0").expect("every group is in the batch");
    let expected: Vec<usize> = (0..5).filter(|row| *row != without).flat_map(|row| [row; 3]).collect();
    assert_eq!(audio.rows, expected);
    let clip = audio.n_frames * audio.n_mels;
    let (first, second) = audio.frames[..2 * clip].split_at(clip);
    assert_ne!(first, second, "the sounds of a row are others, or changed otherwise");
}

#[test]
fn selections_are_alternatives() {
    let corpus = corpus_of(samples(6));
    let config = LoaderConfig {
        select: vec![
            Selection::of_split(Split::Train).with_tag("colour", ["red"]),
            Selection::default().with_tag("voice", ["voice1"]),
        ],
        image: Some(ImageTransform::new(24)),
        audio: Some(AudioTransform { n_mels: 40, ..Default::default() }),
        batch_size: 6,
        ..config()
    };
    for batch in stream(&corpus, &config, 0, 4) {
        let image = batch.image.expect("groups have pictures");
        // red pictures lack red alone: the other channels stay full
        let is_red = image.pixels.chunks_exact(3).all(|pixel| pixel[1] == 1.0 && pixel[2] == 1.0);
        assert!(is_red);
        assert_eq!(image.rows.len(), 5);
        assert_eq!(batch.audio.map(|audio| audio.rows.len()), Some(5));
    }
}

fn with_broken_pictures(ids: &[&str]) -> Vec<Sample> {
    let mut all = samples(5);
    for sample in all.iter_mut().filter(|sample| ids.contains(&sample.id.as_str())) {
        sample.image = media(b"no picture".to_vec(), "png");
    }
    all
}

#[test]
fn bad_samples_stop_the_run_by_name() {
    let corpus = corpus_of(with_broken_pictures(&["thing-2/red", "thing-2/green"]));
    let mut loader = TrainLoader::start(corpus, tokenizer(), &LoaderConfig { batch_size: 5, ..config() }, 0)
        .expect("the config is sound");
    let error = loader.next_batch().expect_err("a picture is broken");
    assert!(matches!(&error, LoaderError::BadSample(bad) if bad.id.starts_with("thing-2/")), "{error}");
    assert!(error.to_string().contains("(fixture): expected a PNG"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(loader.next_batch(), Err(LoaderError::Stopped));
}

#[test]
fn skipped_samples_are_counted_and_replaced_by_their_group() {
    let corpus = corpus_of(with_broken_pictures(&["thing-2/red", "thing-3/red", "thing-3/green"]));
    let config = LoaderConfig { batch_size: 5, on_bad: OnBad::Skip, ..config() };
    let mut loader = TrainLoader::start(corpus, tokenizer(), &config, 0).expect("the config is sound");
    for _ in 0..12 {
        let batch = loader.next_batch().expect("bad samples are skipped");
        let image = batch.image.expect("most groups have pictures");
        let has_image = |group: &str| image.rows.iter().any(|row| batch.ids[*row] == group);
        assert!(has_image("thing 2") && has_image("thing 4") && !has_image("thing 3"));
    }
    let bad: Vec<(&str, usize)> =
        loader.bad_samples().map(|(bad, n_times)| (bad.id.as_str(), n_times)).collect();
    assert_eq!(
        bad.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        ["thing-2/red", "thing-3/green", "thing-3/red"]
    );
    assert_eq!((bad[1].1, bad[2].1), (12, 12));
    assert!((1..12).contains(&bad[0].1), "{bad:?}");
}

#[test]
fn batch_size_changes_nothing_but_the_padding_of_an_evaluation() {
    let corpus = corpus_of(samples(9));
    let indices: Vec<usize> = (0..corpus.len()).rev().collect();
    let rows = |batch_size: usize, workers: usize| {
        let config = LoaderConfig { batch_size, workers, ..config() };
        let loader = EvalLoader::start(corpus.clone(), tokenizer(), &config, indices.clone())
            .expect("the config is sound");
        let (mut images, mut sounds, mut texts, mut entries) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for made in loader {
            let made = made.expect("the samples are sound");
            entries.extend(made.entries);
            if let Some(image) = made.batch.image {
                images.extend(image.pixels.chunks_exact(16 * 16 * 3).map(<[f32]>::to_vec));
            }
            if let Some(audio) = made.batch.audio {
                for (clip, length) in audio.frames.chunks_exact(audio.n_frames * 40).zip(audio.lengths) {
                    assert!(clip[length * 40..].iter().all(|v| *v == 0.0), "padding is not 0");
                    sounds.push(clip[..length * 40].to_vec());
                }
            }
            let text = made.batch.text.expect("every sample has texts");
            texts.extend(
                text.ids.chunks_exact(text.n_tokens).zip(text.lengths).map(|(ids, n)| ids[..n].to_vec()),
            );
        }
        (entries, images, sounds, texts)
    };
    let expected = rows(1, 0);
    assert_eq!(expected.0, indices);
    assert_eq!((expected.1.len(), expected.2.len()), (8 * 3, 8 * 2));
    for (batch_size, workers) in [(4, 1), (7, 3), (100, 2)] {
        assert!(rows(batch_size, workers) == expected, "batches of {batch_size}");
    }
}

#[test]
fn impossible_configurations_are_named() {
    let corpus = corpus_of(samples(3));
    let message = |config: LoaderConfig| {
        TrainLoader::start(corpus.clone(), tokenizer(), &config, 0).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(
        message(LoaderConfig { batch_size: 4, ..config() }),
        Err("expected at least 4 groups for a batch, got 3 among 8 selected samples".to_owned())
    );
    assert_eq!(
        message(LoaderConfig { batch_size: 0, ..config() }),
        Err("loader.batch_size: expected at least 1, got 0".to_owned())
    );
    assert_eq!(
        message(LoaderConfig { batch_size: 1, image: Some(ImageTransform::new(0)), ..config() }),
        Err("loader.image.side: expected 1 to 4096 pixels, got 0".to_owned())
    );
    let error = EvalLoader::start(corpus.clone(), tokenizer(), &config(), vec![10_000]).map(|_| ());
    assert!(matches!(error, Err(LoaderError::Config { .. })));
}

/// What of a stream's batches is the same on every processor: which rows, texts and lengths.
fn structure(batches: &[HostBatch]) -> String {
    let mut hasher = blake3::Hasher::new();
    for batch in batches {
        let text = batch.text.as_ref().map(|text| (&text.rows, &text.ids, &text.lengths, text.n_tokens));
        let image = batch.image.as_ref().map(|image| (&image.rows, image.height, image.width));
        let audio = batch.audio.as_ref().map(|audio| (&audio.rows, &audio.lengths, audio.n_frames));
        hasher.update(format!("{:?} {text:?} {image:?} {audio:?}\n", batch.ids).as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Sums of values and of their squares: they move when one picture is changed otherwise, not with the last bit of a sine.
fn content(batches: &[HostBatch]) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for batch in batches {
        for pixel in batch.image.iter().flat_map(|image| &image.pixels) {
            sums[0] += f64::from(*pixel);
            sums[1] += f64::from(pixel * pixel);
        }
        for frame in batch.audio.iter().flat_map(|audio| &audio.frames) {
            sums[2] += f64::from(*frame);
            sums[3] += f64::from(frame * frame);
        }
    }
    sums
}

#[test]
fn first_batches_are_those_that_runs_were_trained_on() {
    let corpus = corpus_of(samples(11));
    let batches = stream(&corpus, &LoaderConfig { sounds_per_row: 2, ..config() }, 0, 7);
    assert_eq!(structure(&batches), "48e41a03a74a4d2aa78011cda3f6d30f");
    let expected = [14771.184672117233, 15370.648386793608, -79.90358449797418, 23823.540990526322];
    for (got, expected) in content(&batches).iter().zip(expected) {
        assert!((got - expected).abs() < 1e-4 * expected.abs(), "expected {expected}, got {got}");
    }
}
