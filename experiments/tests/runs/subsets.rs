//! Corpora of a user's own, with some of the modalities, under the presets made for them.

use std::fs;
use std::path::Path;

use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};
use triptych_datasets::sample::{Media, Sample, Split};
use triptych_datasets::shard::ShardWriter;

use crate::fixture::Desk;

pub(crate) const PICTURES: &str = r#"
extends = "pictures"

[data]
corpus.folder = "corpus"
n_vocab = 64
batch_size = 4

[data.image]
side = 32

[model.vision.vit]
stem = { patch = 8 }
transformer = { d_model = 16, depth = 1, n_heads = 2 }

[train]
steps = 4

[evaluate]
resamples = 20
"#;

pub(crate) const SPEECH: &str = r#"
extends = "speech"

[data]
corpus.folder = "corpus"
n_vocab = 64
batch_size = 4

[model.audio.transformer]
stem = [16, 16]
transformer = { d_model = 16, depth = 1, n_heads = 2 }

[train]
steps = 4

[evaluate]
resamples = 20
"#;

/// Twelve samples to train on and six to test, every fifth of them without a text.
pub(crate) fn corpus(dir: &Path, has_images: bool) {
    let mut writer = ShardWriter::create(dir, "own").unwrap();
    for idx in 0..18u8 {
        let id = format!("sample-{idx:02}");
        let mut sample = Sample {
            group: id.clone(),
            source: format!("{id}.raw"),
            split: if idx < 12 { Split::Train } else { Split::Test },
            texts: if idx % 5 == 4 { Vec::new() } else { vec![format!("shade number {idx}")] },
            id,
            ..Sample::default()
        };
        if has_images {
            let bytes = encode_png(&Pixels::filled(24, 16, [idx * 14, 100, 30])).unwrap();
            sample.image = Some(Media { bytes, extension: "png".to_owned() });
        } else {
            let samples = (0..4000).map(|t| (t as f32 * f32::from(idx + 1) * 0.02).sin() * 0.5).collect();
            let bytes = encode_wav(&Waveform { samples, rate_hz: 16_000 }).unwrap();
            sample.audio = Some(Media { bytes, extension: "wav".to_owned() });
        }
        writer.push(sample).unwrap();
    }
    writer.finish(&[]).unwrap();
}

/// Trains, evaluates and reports, and gives the tasks that were measured and what the report says.
fn journey(desk: &Desk, config: &str) -> (Vec<String>, String) {
    fs::write(desk.path("own.toml"), config).unwrap();
    desk.succeed(&["train", "own.toml", "--out", "run", "--quiet"]);
    desk.succeed(&["evaluate", "run", "--quiet"]);
    desk.succeed(&["report", "run"]);
    let scores: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(desk.path("run/scores.json")).unwrap()).unwrap();
    for score in &scores {
        // six samples, one of them without a text
        assert_eq!(score["n"], 5, "{score}");
    }
    let mut tasks = scores.iter().map(|score| score["task"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    tasks.sort();
    tasks.dedup();
    (tasks, fs::read_to_string(desk.path("run/report.html")).unwrap())
}

#[test]
fn pictures_and_captions_train_without_sounds() {
    let desk = Desk::new();
    corpus(&desk.path("corpus"), true);
    let (tasks, report) = journey(&desk, PICTURES);
    assert_eq!(tasks, ["caption", "retrieval"]);
    assert!(report.contains("One model of text and pictures") && !report.contains("triptych transcribe"));
}

#[test]
fn recordings_and_transcripts_train_without_pictures() {
    let desk = Desk::new();
    corpus(&desk.path("corpus"), false);
    let (tasks, report) = journey(&desk, SPEECH);
    assert_eq!(tasks, ["asr", "retrieval"]);
    assert!(report.contains("One model of text and sound") && !report.contains("triptych caption"));
}
