//! What an experiment says of random changes reaches its batches, or is refused.

use std::fs;
use std::sync::Arc;

use triptych::configuration::experiment;
use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::batch::HostBatch;
use triptych_datasets::loader::TrainLoader;
use triptych_datasets::shard::Corpus;
use triptych_datasets::text::{Tokenizer, TokenizerKind};

use crate::fixture::Desk;
use crate::subsets::{PICTURES, SPEECH, corpus};

/// The first batches of the experiment on the desk, from number `from` on.
fn batches(desk: &Desk, overrides: &[String], from: u64) -> Vec<HostBatch> {
    let resolved = experiment(desk.path("own.toml").to_str().unwrap(), overrides).unwrap();
    let corpus = Arc::new(Corpus::open(desk.path("corpus")).unwrap());
    let tokenizer =
        Arc::new(Tokenizer::train(TokenizerKind::Characters, &["shade number 0123456789"], 0).unwrap());
    let config = resolved.value.training_loader();
    let mut loader = TrainLoader::start(corpus, tokenizer, &config, from).unwrap();
    (from..4).map(|_| loader.next_batch().unwrap()).collect()
}

/// A message without its frame and the ends of its lines.
fn words(message: &str) -> String {
    message.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
}

/// Each setting changes the batches, and a run that is resumed sees the same.
fn assert_heeded(desk: &Desk, settings: &[&str], always: &[&str]) {
    let overrides = |setting: &str| {
        always
            .iter()
            .chain(&[setting])
            .filter(|words| !words.is_empty())
            .map(|words| (*words).to_owned())
            .collect::<Vec<_>>()
    };
    let plain = batches(desk, &overrides(""), 0);
    for setting in settings {
        let changed = batches(desk, &overrides(setting), 0);
        assert_eq!(changed[0].ids, plain[0].ids, "{setting}");
        assert_ne!(changed[0], plain[0], "{setting} changes nothing");
        assert_eq!(batches(desk, &overrides(setting), 2), changed[2..], "{setting}, resumed");
    }
}

#[test]
fn changes_of_pictures_reach_the_batches() {
    let desk = Desk::new();
    corpus(&desk.path("corpus"), true);
    fs::write(desk.path("own.toml"), PICTURES).unwrap();
    let contrast_alone = [
        "objectives.caption.weight=0",
        "objectives.masked_text_given_image.weight=0",
        "objectives.masked_image.weight=0",
    ];
    let settings = [
        "data.image.augment.rand_augment.magnitude=20.0",
        "data.image.augment.brightness=0.8",
        "data.image.augment.scale=[0.2, 0.4]",
        "data.image_mixup=0.4",
    ];
    assert_heeded(&desk, &settings, &contrast_alone);
    let message =
        words(&desk.fail(2, &["train", "own.toml", "--out", "run", "--set", "data.image_mixup=0.4"]));
    assert!(
        message.contains("0 beside the objective `caption`, which has no target for blends"),
        "{message}"
    );
    let message = desk.fail(2, &["train", "own.toml", "--out", "run", "--set", "data.image_mixup=-1.0"]);
    assert!(message.contains("0 to 100"), "{message}");
}

#[test]
fn changes_of_sounds_reach_the_batches() {
    let desk = Desk::new();
    corpus(&desk.path("corpus"), false);
    fs::write(desk.path("own.toml"), SPEECH).unwrap();
    let noise = desk.path("noise");
    let with_noise = format!("data.audio.augment.noise_folder=\"{}\"", noise.display());
    let train = ["train", "own.toml", "--out", "run", "--quiet", "--set", with_noise.as_str()];
    let message = words(&desk.fail(1, &train));
    assert!(message.contains("audio.augment.noise_folder: cannot read "), "{message}");
    assert!(message.contains("must hold recordings alone"), "{message}");
    fs::create_dir(&noise).unwrap();
    let samples = (0..4000).map(|i| ((i * 7 % 101) as f32 - 50.0) / 100.0).collect();
    fs::write(noise.join("hum.wav"), encode_wav(&Waveform { samples, rate_hz: 16_000 }).unwrap()).unwrap();
    let settings = [
        "data.audio.augment.speed_factor=[0.6, 0.7]",
        "data.audio.augment.mask.n_time_masks=0",
        "data.audio.augment.noise_colour=\"pink\"",
        with_noise.as_str(),
    ];
    assert_heeded(&desk, &settings, &[]);
    desk.succeed(&train);
}
