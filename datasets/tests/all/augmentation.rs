//! Random changes that a config asks for, seen in the batches that come of it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::batch::HostBatch;
use triptych_datasets::loader::{EvalLoader, LoaderConfig, LoaderError, TrainLoader};
use triptych_datasets::shard::Corpus;
use triptych_datasets::text::{Tokenizer, TokenizerKind};

use crate::fixture::{samples, write};

static CORPUS: LazyLock<Arc<Corpus>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // the shards stay mapped when the folder is gone
    Arc::new(write(dir.path(), samples(9)))
});

fn tokenizer() -> Arc<Tokenizer> {
    let texts = ["thing number 0123456789", "a thing"];
    Arc::new(Tokenizer::train(TokenizerKind::Characters, &texts, 0).expect("the texts are plain"))
}

/// A config as a file would have it, with these changes to pictures and to sounds.
fn config(image: &Value, audio: &Value) -> LoaderConfig {
    let config = json!({
        "seed": 3,
        "batch_size": 4,
        "image": {"side": 16, "filter": "bicubic", "augment": image},
        "audio": {"n_mels": 40, "augment": audio},
    });
    serde_json::from_value(config).expect("the fields are those of the loader")
}

fn start(config: &LoaderConfig, from: u64) -> Result<TrainLoader, LoaderError> {
    TrainLoader::start(CORPUS.clone(), tokenizer(), config, from)
}

fn batches(config: &LoaderConfig, from: u64, until: u64) -> Vec<HostBatch> {
    let mut loader = start(config, from).expect("the config is sound");
    (from..until).map(|_| loader.next_batch().expect("the samples are sound")).collect()
}

/// A folder with two recordings.
fn noise_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, step) in [("a.wav", 7), ("b.wav", 13)] {
        let samples = (0..4000).map(|i| ((i * step % 101) as f32 - 50.0) / 100.0).collect();
        write_wav(&folder.path().join(name), samples);
    }
    folder
}

fn write_wav(path: &Path, samples: Vec<f32>) {
    let wav = encode_wav(&Waveform { samples, rate_hz: 8000 }).expect("it is short");
    fs::write(path, wav).expect("the folder is writable");
}

fn noisy(folder: &Path) -> LoaderConfig {
    let audio = json!({"noise": 1.0, "noise_folder": folder, "noise_snr_db": [0.0, 5.0]});
    config(&Value::Null, &audio)
}

#[test]
fn every_change_reaches_the_batch_and_is_the_same_after_a_resumption() {
    let folder = noise_folder();
    let plain = batches(&config(&Value::Null, &Value::Null), 0, 1);
    let pictures = [
        json!({"rand_augment": {}}),
        json!({"jitter": 1.0, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}),
        json!({"scale": [0.3, 0.6]}),
        json!({"flip": 1.0}),
    ];
    let sounds = [
        json!({"speed": 1.0, "speed_factor": [0.8, 0.9]}),
        json!({"mask": {"n_time_masks": 2, "n_mel_masks": 2}}),
        json!({"noise": 1.0, "noise_colour": "pink"}),
        json!({"noise": 1.0, "noise_folder": folder.path()}),
    ];
    let changes = pictures.iter().map(|change| (change.clone(), Value::Null));
    for (image, audio) in changes.chain(sounds.iter().map(|change| (Value::Null, change.clone()))) {
        let config = config(&image, &audio);
        let whole = batches(&config, 0, 5);
        let name = format!("{image} {audio}");
        assert_eq!(whole[0].ids, plain[0].ids, "{name}");
        assert_eq!(whole[0].image != plain[0].image, !image.is_null(), "{name} and pictures");
        assert_eq!(whole[0].audio != plain[0].audio, !audio.is_null(), "{name} and sounds");
        assert_eq!(batches(&config, 3, 5), whole[3..], "{name} resumed");
        assert_ne!(batches(&LoaderConfig { seed: 4, ..config }, 0, 1), whole[..1], "{name} of another seed");
    }
}

#[test]
fn pictures_are_blended_as_the_batch_says() {
    let plain = LoaderConfig { batch_size: 6, ..config(&Value::Null, &Value::Null) };
    let mixed = LoaderConfig { image_mixup: 1.0, ..plain.clone() };
    let (plain_batches, whole) = (batches(&plain, 0, 4), batches(&mixed, 0, 4));
    for (plain, mixed) in plain_batches.iter().zip(&whole) {
        assert_eq!((&plain.ids, &plain.audio, &plain.mixup), (&mixed.ids, &mixed.audio, &None));
        let mixup = mixed.mixup.as_ref().expect("it was asked for");
        let (plain, mixed) = (plain.image.as_ref(), mixed.image.as_ref());
        let (plain, mixed) = (plain.expect("groups have pictures"), mixed.expect("groups have pictures"));
        assert_eq!((mixup.others.len(), &mixed.rows), (plain.rows.len(), &plain.rows));
        assert_eq!(mixed.pixels, mixup.apply(&plain.pixels));
        assert_ne!(mixed.pixels, plain.pixels);
    }
    assert_ne!(whole[0].mixup, whole[1].mixup);
    assert_eq!(batches(&mixed, 2, 4), whole[2..]);
    assert_eq!(batches(&LoaderConfig { workers: 3, ..mixed.clone() }, 0, 4), whole);
    let message =
        start(&LoaderConfig { image_mixup: f64::NAN, ..mixed }, 0).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(message, Err("loader.image_mixup: expected 0 to 100, got NaN".to_owned()));
}

#[test]
fn noise_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let complaint = |folder: &Path| {
        let error = start(&noisy(folder), 0).map(|_| ()).expect_err("there is no noise");
        assert!(matches!(error, LoaderError::Noise { .. }), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("recordings alone")));
        error.to_string()
    };
    let message = complaint(&folder.path().join("none"));
    assert!(message.starts_with("loader.audio.augment.noise_folder: cannot read "), "{message}");
    assert!(complaint(folder.path()).ends_with("expected at least one recording with sound in it, got none"));
    write_wav(&folder.path().join("a.wav"), vec![0.0; 800]);
    assert!(complaint(folder.path()).ends_with("expected at least one recording with sound in it, got none"));
    let whole = fs::read(folder.path().join("a.wav")).expect("it was written");
    fs::write(folder.path().join("b.wav"), &whole[..30]).expect("the folder is writable");
    let message = complaint(folder.path());
    assert!(message.contains("b.wav: "), "{message}");
}

#[test]
fn noise_is_read_where_it_is_added_alone() {
    let gone = Path::new("gone");
    let silent = config(&Value::Null, &json!({"noise_folder": gone}));
    assert_eq!(batches(&silent, 0, 1), batches(&config(&Value::Null, &Value::Null), 0, 1));
    let measured = EvalLoader::start(CORPUS.clone(), tokenizer(), &noisy(gone), vec![0, 1])
        .expect("an evaluation adds no noise");
    assert_eq!(measured.count(), 1);
}
