//! Questions about pictures and recordings: from a manifest to answers, figures and a report.

use std::fs;

use serde_json::{Value, json};
use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};

use crate::fixture::Desk;

const CONFIG: &str = r#"
extends = "quickstart"
title = "Shades and pitches"

[data]
corpus.folder = "corpus"
n_vocab = 64
batch_size = 8
sounds_per_row = 1

[data.image]
side = 32

# what is asked about stays as it is
[data.image.augment]
jitter = 0.0
erase = 0.0

[data.audio]
n_mels = 32
normalise_bands = false

[data.audio.augment]
speed = 0.0
noise = 0.0
warp = 0.0

[model]
d_embedding = 16

[model.text.transformer]
transformer = { d_model = 32, depth = 1, n_heads = 2 }

[model.vision.vit]
stem = { patch = 8 }
transformer = { d_model = 32, depth = 1, n_heads = 2 }

[model.audio.transformer]
stem = [16, 16]
transformer = { d_model = 32, depth = 1, n_heads = 2 }

[model.fusion]
transformer = { d_model = 32, depth = 1, n_heads = 2 }

[train]
steps = 240
log_every = 20
checkpoint_every = 240

[train.optimizer]
warmup_steps = 5
ema_decay = 0.8

[evaluate]
resamples = 50
gallery = 4

[[evaluate.holdouts]]
name = "pictures"
images = { split = "test" }

[[evaluate.holdouts]]
name = "recordings"
sounds = { split = "test" }
"#;

/// Every objective of the quickstart is off but those that are `used`.
fn config(used: &[&str]) -> String {
    let off = [
        "contrast_image_text",
        "contrast_audio_text",
        "contrast_image_audio",
        "caption",
        "transcript",
        "ctc",
        "masked_text_given_image",
        "masked_text_given_audio",
        "masked_image",
        "masked_audio",
    ];
    let off = off.map(|name| format!("[objectives.{name}]\nweight = 0.0\n")).concat();
    let used = used.iter().map(|name| format!("[objectives.{name}]\nweight = 1.0\n")).collect::<String>();
    format!("{CONFIG}\n{off}{used}")
}

/// Pictures dark or bright, and tones low or high, without texts: all that is known of them are questions.
fn source(desk: &Desk) {
    fs::create_dir(desk.path("source")).unwrap();
    let mut lines = Vec::new();
    for idx in 0..48u8 {
        let (is_much, split) = (idx % 2 == 0, if idx < 32 { "train" } else { "test" });
        let shade = if is_much { 200 + idx } else { idx };
        let png = encode_png(&Pixels::filled(24, 24, [shade; 3])).unwrap();
        fs::write(desk.path(&format!("source/{idx}.png")), png).unwrap();
        let hz = if is_much { 2000.0 } else { 200.0 } + f32::from(idx);
        let tone =
            (0..8000).map(|t| (t as f32 * hz * std::f32::consts::TAU / 16_000.0).sin() * 0.5).collect();
        let wav = encode_wav(&Waveform { samples: tone, rate_hz: 16_000 }).unwrap();
        fs::write(desk.path(&format!("source/{idx}.wav")), wav).unwrap();
        let shade = if is_much { "bright" } else { "dark" };
        // one of ten is of another opinion
        let mut answers = vec![shade; 10];
        answers[3] = "gray";
        let pitch = if is_much { "high" } else { "low" };
        lines.push(json!({"image": format!("{idx}.png"), "split": split, "questions": [
            {"question": "how bright is it?", "answers": answers},
            {"question": "is it bright?", "answers": vec![if is_much { "yes" } else { "no" }; 10]},
        ]}));
        lines.push(json!({"audio": format!("{idx}.wav"), "split": split, "question": "how high is it?", "answer": pitch}));
    }
    let lines = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    fs::write(desk.path("source/manifest.jsonl"), lines).unwrap();
    desk.succeed(&[
        "data",
        "import",
        "manifest",
        "source",
        "--out",
        "corpus",
        "--licence",
        "CC0-1.0",
        "--quiet",
    ]);
}

fn read(desk: &Desk, name: &str) -> Value {
    serde_json::from_slice(&fs::read(desk.path(name)).unwrap()).unwrap()
}

#[test]
fn questions_are_learned_answered_measured_and_shown() {
    let desk = Desk::new();
    source(&desk);
    let shown = desk.succeed(&["data", "sample", "corpus", "-n", "1"]);
    assert!(shown.contains("  asked    "), "{shown}");
    fs::write(desk.path("own.toml"), config(&["answer", "answer_audio"])).unwrap();
    desk.succeed(&["train", "own.toml", "--out", "run", "--quiet"]);
    desk.succeed(&["evaluate", "run", "--quiet"]);
    desk.succeed(&["report", "run"]);
    let scores = read(&desk, "run/scores.json");
    let score = |holdout: &str, name: &str| {
        let is_it = |row: &&Value| row["holdout"] == holdout && row["name"] == name && row["task"] == "vqa";
        scores.as_array().unwrap().iter().find(is_it).cloned()
    };
    let vqa = score("pictures", "VQA").expect("ten people answered");
    assert_eq!((&vqa["n"], &vqa["query"], &vqa["target"]), (&json!(32), &json!("image"), &json!("answer")));
    // the usual answers are right of every other picture
    assert!((vqa["chance"].as_f64().unwrap() - 50.0).abs() < 0.5, "{vqa}");
    assert!(vqa["value"].as_f64().unwrap() > 80.0, "{vqa}");
    assert!(score("pictures", "exact answer").is_some());
    assert!(score("recordings", "VQA").is_none(), "one answer is too few");
    let exact = score("recordings", "exact answer").expect("it can be exact");
    assert!(exact["value"].as_f64().unwrap() > 80.0 && exact["n"] == 16, "{exact}");
    let predictions = read(&desk, "run/predictions.json");
    let answers = predictions["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 48);
    assert!(answers[0]["accuracy"].is_number() && answers[0]["about"]["image"].is_string(), "{}", answers[0]);
    assert!(answers[47]["accuracy"].is_null() && answers[47]["about"]["speech"].is_string());
    let report = fs::read_to_string(desk.path("run/report.html")).unwrap();
    for part in
        ["Questions it answered", "how bright is it?", "bright (9)", "how high is it?", "triptych answer run"]
    {
        assert!(report.contains(part), "{part}");
    }

    let ask = |arguments: &[&str]| -> Vec<Value> {
        let output = desk.run(&[&["answer", "run", "--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let files = ["source/40.png", "source/40.wav", "absent.png", "source/41.png"];
    let told = ask(&[&files[..], &["Is it bright?"]].concat());
    assert_eq!(told.iter().map(|told| told["file"].as_str().unwrap()).collect::<Vec<_>>().len(), 4);
    let of = |file: &str| told.iter().find(|told| told["file"] == file).unwrap()["text"].clone();
    assert_eq!((of("source/40.png"), of("source/41.png")), (json!("yes"), json!("no")));
    fs::write(desk.path("only.txt"), "dark\ngray\n").unwrap();
    let only = ask(&["source/40.png", "how bright is it?", "--only-words", "only.txt", "--n-best", "2"]);
    assert!(
        only[0]["text"].as_str().unwrap().split(' ').all(|word| ["dark", "gray"].contains(&word)),
        "{only:?}"
    );
    let message = desk.fail(2, &["answer", "run", "source/40.png", " "]);
    assert!(
        message.starts_with("error: expected a question behind the files, got \" \"\n  hint: "),
        "{message}"
    );
    let message = desk.fail(1, &["answer", "run", "absent.png", "is it bright?"]);
    assert!(message.starts_with("error: absent.png: cannot be read: "), "{message}");
}

#[test]
fn what_a_model_has_not_learned_to_answer_is_told() {
    let desk = Desk::new();
    source(&desk);
    fs::write(desk.path("own.toml"), config(&["answer_audio"])).unwrap();
    desk.succeed(&["train", "own.toml", "--out", "run", "--quiet", "--set", "train.steps=2"]);
    let message = desk.fail(1, &["answer", "run", "source/1.png", "is it bright?"]);
    assert!(
        message.starts_with(
            "error: source/1.png: the model has not learned to answer questions about pictures\n"
        ),
        "{message}"
    );
    desk.trained("emoji");
    let message = desk.fail(2, &["answer", "emoji", "source/1.png", "is it bright?"]);
    assert!(
        message.contains("was not trained to answer questions\n  hint: train one with the objective"),
        "{message}"
    );
    let arguments =
        ["train", "tiny.toml", "--out", "none", "--quiet", "--set", "objectives.answer.weight=1.0"];
    let message = desk.fail(1, &arguments);
    assert!(
        message.contains("objective `answer`: no training sample of none/corpus has a question")
            && message.contains("hint: give lines of the corpus's manifest a `question` with `answers`"),
        "{message}"
    );
}
