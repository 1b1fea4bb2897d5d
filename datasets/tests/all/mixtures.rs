//! Corpora mixed by weight, batches filled by length, steps shared by ranks: in every combination.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use triptych_datasets::audio::{AudioTransform, Waveform, encode_wav};
use triptych_datasets::batch::HostBatch;
use triptych_datasets::image::ImageTransform;
use triptych_datasets::loader::{
    Fill, LengthOf, LoaderConfig, LoaderError, LoaderPosition, Selection, Stream, TextChoice, TextOptions,
    TrainLoader,
};
use triptych_datasets::sample::Sample;
use triptych_datasets::shard::{Corpus, PART_TAG};
use triptych_datasets::text::{Tokenizer, TokenizerKind};

use crate::fixture::{licences, media, picture, samples, write};

/// Sounds of very different lengths, each a group of its own, with a text as long.
fn plain(dir: &Path, n_samples: usize) -> Corpus {
    let sample = |idx: usize| {
        let n_values = 1600 + 400 * (idx * 7 % 20);
        let wave = Waveform { samples: vec![0.1; n_values], rate_hz: 16_000 };
        Sample {
            id: format!("clip-{idx}"),
            source: "fixture".to_owned(),
            group: format!("clip-{idx}"),
            audio: media(encode_wav(&wave).expect("it is short"), "wav"),
            texts: vec!["0123456789012"[..1 + idx * 7 % 12].to_owned(), format!("{idx}")],
            ..Sample::default()
        }
    };
    write(dir, (0..n_samples).map(sample).collect())
}

/// `pictures`: 12 groups in three colours with two voices; `clips`: 60 single sounds.
static CORPUS: LazyLock<Arc<Corpus>> = LazyLock::new(|| {
    let (pictures, clips) =
        (tempfile::tempdir().expect("a temporary folder"), tempfile::tempdir().expect("a temporary folder"));
    let parts = vec![
        ("pictures".to_owned(), write(pictures.path(), samples(12))),
        ("clips".to_owned(), plain(clips.path(), 60)),
    ];
    // the shards stay mapped when the folders are gone
    Arc::new(Corpus::join(parts).expect("the names differ"))
});

fn tokenizer() -> Arc<Tokenizer> {
    let texts = ["thing number 0123456789", "a thing"];
    Arc::new(Tokenizer::train(TokenizerKind::Characters, &texts, 0).expect("the texts are plain"))
}

fn stream_of(part: &str, weight: f64) -> Stream {
    Stream { select: Selection::default().with_tag(PART_TAG, [part]), weight }
}

fn config() -> LoaderConfig {
    LoaderConfig {
        streams: vec![stream_of("pictures", 1.0), stream_of("clips", 2.0)],
        text: Some(TextOptions::new(24)),
        image: Some(ImageTransform::new(8)),
        audio: Some(AudioTransform { n_mels: 8, max_s: 1.0, ..AudioTransform::default() }),
        ..LoaderConfig::new(6)
    }
}

fn start(config: &LoaderConfig, from: u64) -> Result<TrainLoader, LoaderError> {
    TrainLoader::start(CORPUS.clone(), tokenizer(), config, from)
}

fn batches(config: &LoaderConfig, from: u64, n_batches: u64) -> Vec<HostBatch> {
    let mut loader = start(config, from).expect("the config is sound");
    (0..n_batches).map(|_| loader.next_batch().expect("the samples are sound")).collect()
}

/// Only what is drawn, for many batches at little cost.
fn ids(config: &LoaderConfig, n_batches: u64) -> Vec<Vec<String>> {
    let texts_only = LoaderConfig {
        text: Some(TextOptions::new(24)),
        image: None,
        audio: config.audio.clone().filter(|_| matches!(config.fill, Fill::Seconds(_))),
        ..config.clone()
    };
    batches(&texts_only, 0, n_batches).into_iter().map(|batch| batch.ids).collect()
}

fn fills() -> impl Strategy<Value = (Fill, Option<LengthOf>)> {
    prop_oneof![
        Just((Fill::Rows, None)),
        Just((Fill::Rows, Some(LengthOf::Text))),
        (1.2f64..4.0).prop_map(|seconds| (Fill::Seconds(seconds), None)),
        (30u64..90).prop_map(|tokens| (Fill::Tokens(tokens), Some(LengthOf::Text))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn neither_threads_nor_the_way_in_change_a_batch(
        seed: u64,
        workers in 1usize..5,
        (fill, bucket) in fills(),
        weight in 0.3f64..3.0,
        (rank, n_ranks) in prop_oneof![Just((0, 1)), Just((1, 2))],
        from in 0u64..7,
    ) {
        let mut config = LoaderConfig { seed, fill, bucket, rank, n_ranks, workers: 0, batch_size: 3, ..config() };
        config.streams[0].weight = weight;
        let whole = batches(&config, 0, 8);
        let other = LoaderConfig { workers, queue: 1, cache_bytes: 0, ..config };
        prop_assert_eq!(&batches(&other, from, 8 - from)[..], &whole[from as usize..]);
    }

    #[test]
    fn ranks_share_what_one_loader_has(
        seed: u64,
        n_ranks in 1usize..4,
        (fill, bucket) in fills(),
        weight in 0.3f64..3.0,
    ) {
        let mut config = LoaderConfig { seed, fill, bucket, n_ranks, batch_size: 3, ..config() };
        config.streams[0].weight = weight;
        let of_rank = |rank| ids(&LoaderConfig { rank, ..config.clone() }, 30);
        let ranks: Vec<_> = (0..n_ranks).map(of_rank).collect();
        for step in 0..30 {
            let of_step: Vec<&String> = ranks.iter().flat_map(|rank| &rank[step]).collect();
            let different: std::collections::HashSet<_> = of_step.iter().collect();
            prop_assert_eq!(different.len(), of_step.len(), "a group stands twice in step {}", step);
            prop_assert!(ranks.iter().all(|rank| rank[step].len() == ranks[0][step].len()));
        }
        if fill == Fill::Rows && bucket.is_none() {
            let one = ids(&LoaderConfig { batch_size: 3 * n_ranks, n_ranks: 1, ..config.clone() }, 30);
            for step in 0..30 {
                let together: Vec<String> = ranks.iter().flat_map(|rank| rank[step].clone()).collect();
                prop_assert_eq!(&together, &one[step]);
            }
        }
    }

    #[test]
    fn shares_follow_the_weights(seed: u64, weight in 0.2f64..5.0, (fill, bucket) in fills()) {
        let mut config = LoaderConfig { seed, fill, bucket, batch_size: 3, ..config() };
        config.streams[0].weight = weight;
        let is_picture = |id: &String| id.starts_with("pictures/");
        let batches = ids(&config, 200);
        let due = weight / (weight + config.streams[1].weight);
        // rows have shares where they are mixed, batches where each is of one stream
        let share = if fill == Fill::Rows && bucket.is_none() {
            batches.iter().flatten().filter(|id| is_picture(id)).count() as f64 / 600.0
        } else {
            prop_assert!(batches.iter().all(|batch| batch.iter().all(is_picture) || !batch.iter().any(is_picture)));
            batches.iter().filter(|batch| is_picture(&batch[0])).count() as f64 / 200.0
        };
        prop_assert!((share - due).abs() < 0.02, "{} instead of {}", share, due);
    }
}

#[test]
fn every_group_of_a_stream_comes_as_often_as_the_others() {
    let batches = ids(&config(), 300);
    let mut counts: HashMap<&String, usize> = HashMap::new();
    batches.iter().flatten().for_each(|id| *counts.entry(id).or_default() += 1);
    for (part, n_groups) in [("pictures", 12), ("clips", 60)] {
        let of_part: Vec<usize> =
            counts.iter().filter(|(id, _)| id.starts_with(part)).map(|(_, count)| *count).collect();
        let mean = of_part.iter().sum::<usize>() as f64 / n_groups as f64;
        assert_eq!(of_part.len(), n_groups);
        assert!(
            of_part.iter().all(|count| (*count as f64 - mean).abs() <= 0.25 * mean),
            "{part}: {of_part:?}"
        );
    }
}

#[test]
fn budgets_hold_with_padding_and_augmentation() {
    use triptych_datasets::audio::AudioAugment;
    let augment =
        AudioAugment { speed: 1.0, speed_factor: [0.7, 1.3], silence_s: 0.05, ..AudioAugment::default() };
    let audio = AudioTransform { augment: Some(augment), ..config().audio.expect("it has sounds") };
    let by_seconds = LoaderConfig {
        audio: Some(audio),
        fill: Fill::Seconds(4.0),
        batch_size: 64,
        sounds_per_row: 2,
        streams: vec![stream_of("clips", 1.0)],
        ..config()
    };
    let mut sizes = BTreeMap::new();
    for batch in batches(&by_seconds, 0, 40) {
        let audio = batch.audio.expect("every clip is a sound");
        assert!(
            audio.rows.len() * audio.n_frames <= 400,
            "{} of {} frames",
            audio.rows.len(),
            audio.n_frames
        );
        *sizes.entry(batch.ids.len()).or_insert(0) += 1;
    }
    assert!(sizes.len() > 2, "short clips do not stand in larger batches: {sizes:?}");
    let by_tokens = LoaderConfig { fill: Fill::Tokens(40), batch_size: 64, streams: vec![], ..config() };
    for batch in batches(&by_tokens, 0, 40) {
        let text = batch.text.expect("every group has a text");
        assert!(text.rows.len() * text.n_tokens <= 40, "{} of {} tokens", text.rows.len(), text.n_tokens);
    }
}

#[test]
fn a_loader_goes_on_from_its_position() {
    for (fill, bucket) in [(Fill::Rows, None), (Fill::Seconds(3.0), None), (Fill::Rows, Some(LengthOf::Text))]
    {
        let config = LoaderConfig { fill, bucket, ..config() };
        let mut loader = start(&config, 0).expect("the config is sound");
        for _ in 0..loader.batches_per_epoch() + 2 {
            loader.next_batch().expect("the samples are sound");
        }
        let position = loader.position();
        assert_eq!(position, LoaderPosition { epoch: 1, batch: 2 });
        let next = start(&config, position.batch_idx(loader.batches_per_epoch()))
            .expect("the config is sound")
            .next_batch();
        assert_eq!(next, loader.next_batch());
    }
}

#[test]
fn parts_know_nothing_of_each_other() {
    let dirs = [tempfile::tempdir(), tempfile::tempdir()].map(|dir| dir.expect("a temporary folder"));
    let [one, two] = [0, 1].map(|idx: usize| write(dirs[idx].path(), samples(3 + idx)));
    let (n_one, hash_one) = (one.len(), one.content_hash().to_owned());
    let expected = two.read(0).expect("it was just written");
    let joined = Corpus::join(vec![("a".to_owned(), one), ("b".to_owned(), two)]).expect("the names differ");
    assert_ne!(joined.content_hash(), hash_one);
    let got = joined.read(n_one).expect("it is there");
    assert_eq!((got.id, got.group), (format!("b/{}", expected.id), format!("b/{}", expected.group)));
    assert_eq!((got.image, got.texts), (expected.image, expected.texts));
    assert_eq!(got.tags.get(PART_TAG).map(String::as_str), Some("b"));
    let parts: Vec<&str> = joined.licences().iter().map(|licence| licence.part.as_str()).collect();
    assert_eq!(parts, ["a: everything", "b: everything"]);
    let again = || ("a".to_owned(), write(tempfile::tempdir().expect("a folder").path(), samples(2)));
    let error = Corpus::join(vec![again(), again()]).map(|_| ()).map_err(|e| e.to_string());
    assert!(error.is_err_and(|message| message.contains("\"a\" twice")));
    assert!(Corpus::join(Vec::new()).is_err() && !licences().is_empty());
}

#[test]
fn single_samples_train_with_any_of_their_texts() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sample = |idx: usize| Sample {
        id: format!("photo-{idx}"),
        group: format!("photo-{idx}"),
        image: media(picture(idx, 0), "png"),
        texts: vec!["a thing".to_owned(), "thing".to_owned(), "number".to_owned()],
        ..Sample::default()
    };
    let corpus = Arc::new(write(dir.path(), (0..8).map(sample).collect()));
    let mut lengths = std::collections::BTreeSet::new();
    for choose in [TextChoice::First, TextChoice::Any] {
        let config = LoaderConfig {
            streams: vec![],
            text: Some(TextOptions { choose, ..TextOptions::new(24) }),
            ..LoaderConfig { batch_size: 8, ..config() }
        };
        let mut loader =
            TrainLoader::start(corpus.clone(), tokenizer(), &config, 0).expect("the config is sound");
        for _ in 0..4 {
            let batch = loader.next_batch().expect("the samples are sound");
            let (text, image) = (batch.text.expect("texts"), batch.image.expect("pictures"));
            assert_eq!((text.rows.len(), image.rows.len(), batch.audio), (8, 8, None));
            lengths.extend(text.lengths.iter().map(|length| (choose == TextChoice::Any, *length)));
        }
    }
    let expected = [(false, 7), (true, 5), (true, 6), (true, 7)];
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn impossible_mixtures_are_named() {
    let message = |config: LoaderConfig| start(&config, 0).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(
        message(LoaderConfig { streams: vec![stream_of("clips", 0.0)], ..config() }),
        Err("loader.streams.weight: expected a number above 0, got 0".to_owned())
    );
    assert_eq!(
        message(LoaderConfig { streams: vec![stream_of("nothing", 1.0)], ..config() }),
        Err("expected at least 6 groups for a batch, got 0 among 0 selected samples".to_owned())
    );
    assert_eq!(
        message(LoaderConfig {
            batch_size: 24,
            streams: vec![stream_of("pictures", 3.0), stream_of("clips", 1.0)],
            ..config()
        }),
        Err("expected at least 18 groups for a batch, got 12 among 44 selected samples".to_owned())
    );
    assert_eq!(
        message(LoaderConfig { rank: 2, n_ranks: 2, ..config() }),
        Err("loader.rank: expected below n_ranks = 2, got 2".to_owned())
    );
    let error = message(LoaderConfig { fill: Fill::Seconds(0.2), ..config() }).expect_err("some are longer");
    assert!(error.starts_with("loader.fill.seconds: expected at least 0.24"), "{error}");
    let error = message(LoaderConfig { fill: Fill::Tokens(3), ..config() }).expect_err("some are longer");
    assert!(error.starts_with("loader.fill.tokens: expected at least 1"), "{error}");
    assert_eq!(
        message(LoaderConfig { fill: Fill::Tokens(300), bucket: Some(LengthOf::Audio), ..config() }),
        Err("loader.bucket: expected what `fill` counts, or nothing, got the other".to_owned())
    );
    assert_eq!(
        message(LoaderConfig { fill: Fill::Seconds(9.0), audio: None, ..config() }),
        Err("loader.fill, bucket: expected sounds to measure, got none".to_owned())
    );
}
