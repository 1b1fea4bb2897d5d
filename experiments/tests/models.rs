//! `triptych transcribe --model` and `triptych embed --model`, as a user runs them.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};

/// Sums in another order, in float32, of values below 1.
const TOLERANCE: f64 = 1e-5;

fn triptych() -> Command {
    Command::new(cargo_bin!("triptych"))
}

fn published(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoders/tests/golden/published").join(family)
}

fn whisper() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tasks/tests/golden/whisper_model")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the golden file")).expect("JSON")
}

fn answer(command: &mut Command) -> Value {
    let output = command.assert().success();
    serde_json::from_slice(&output.get_output().stdout).expect("JSON")
}

/// A golden model's folder with a tokenizer of the words w0 to w39 and, of pictures, settings.
fn completed(family: &str, template: &[Value], marks: &[(&str, u32)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for file in fs::read_dir(published(family)).expect("the golden folder").flatten() {
        if file.path().is_file() {
            fs::copy(file.path(), dir.path().join(file.file_name())).expect("a copy");
        }
    }
    if published(family).join("1_Pooling").is_dir() {
        fs::create_dir(dir.path().join("1_Pooling")).expect("a folder");
        let name = "1_Pooling/config.json";
        fs::copy(published(family).join(name), dir.path().join(name)).expect("a copy");
    }
    let specials = marks.iter().map(|(mark, id)| (*mark, json!({"id": mark, "ids": [id], "tokens": [mark]})));
    let mut words = (0..40).map(|id| (format!("w{id}"), json!(id))).collect::<serde_json::Map<_, _>>();
    for (mark, id) in marks {
        words.remove(&format!("w{id}"));
        words.insert((*mark).to_owned(), json!(id));
    }
    let second = json!({ "Sequence": { "id": "B", "type_id": 0 } });
    let pair = template.iter().cloned().chain([second]).collect::<Vec<_>>();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": {
            "type": "TemplateProcessing", "single": template, "pair": pair,
            "special_tokens": specials.collect::<std::collections::BTreeMap<_, _>>(),
        },
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": words, "unk_token": "w0" },
    });
    fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).expect("a file");
    let settings = json!({
        "do_resize": true, "do_center_crop": true, "do_normalize": true, "size": { "shortest_edge": 14 }, "crop_size": 12,
        "resample": 3, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    });
    fs::write(dir.path().join("preprocessor_config.json"), settings.to_string()).expect("a file");
    dir
}

fn around(before: Option<&str>, after: Option<&str>) -> Vec<Value> {
    let mark = |mark: &str| json!({ "SpecialToken": { "id": mark, "type_id": 0 } });
    let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    before.map(mark).into_iter().chain([text]).chain(after.map(mark)).collect()
}

#[track_caller]
fn assert_near(rows: &Value, expected: &Value) {
    let expected = expected["values"].as_array().expect("values");
    let got =
        rows.as_array().expect("rows").iter().flat_map(|row| row["embedding"].as_array().expect("a vector"));
    let got = got.collect::<Vec<_>>();
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        let (got, expected) = (got.as_f64().expect("a number"), expected.as_f64().expect("a number"));
        assert!((got - expected).abs() < TOLERANCE, "expected {expected}, got {got}");
    }
}

#[test]
fn a_whisper_model_writes_what_transformers_writes_published_or_imported() {
    let expected = read(&whisper().join("expected.json"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let imported = dir.path().join("model");
    triptych().args(["model", "import"]).arg(whisper()).arg("--out").arg(&imported).assert().success();
    for model in [whisper(), imported] {
        let heard = answer(
            triptych()
                .args(["transcribe", "--json", "--temperatures", "0", "--model"])
                .arg(&model)
                .arg(whisper().join("sound.wav")),
        );
        assert_eq!(heard[0]["language"], expected["language"]);
        assert_eq!((&heard[0]["task"], &heard[0]["duration_s"]), (&"transcribe".into(), &0.5.into()));
        // segments end where times come in pairs; what is unfinished behind the last is left out
        let tokens = heard[0]["segments"].as_array().expect("segments").iter();
        let tokens = tokens.flat_map(|segment| segment["tokens"].as_array().expect("tokens").clone());
        let tokens = tokens.collect::<Vec<_>>();
        let written = expected["cases"][0]["tokens"].as_array().expect("tokens");
        assert!(tokens.len() > 10 && tokens[..] == written[..tokens.len()], "{tokens:?}");
    }
    // what the sound may be in, and how it is shown
    let lines = triptych()
        .args([
            "transcribe",
            "--language",
            "de",
            "--task",
            "translate",
            "--prompt",
            "the tin",
            "--timestamps",
            "--model",
        ])
        .arg(whisper())
        .arg(whisper().join("sound.wav"))
        .assert()
        .success();
    lines.stdout(predicate::str::is_match("sound.wav: .*\n +[0-9.]+ +[0-9.]+  ").expect("a pattern"));
}

#[test]
fn what_cannot_be_transcribed_is_told() {
    let sound = whisper().join("sound.wav");
    let transcribe = |model: &Path, options: &[&str]| {
        triptych().arg("transcribe").args(options).arg("--model").arg(model).arg(&sound).assert()
    };
    transcribe(&published("sentence_bert"), &[]).code(2).stderr(
        contains("expected a Whisper model, which writes speech down, got bert")
            .and(contains("hint: `triptych embed --model DIR`")),
    );
    transcribe(&published("whisper"), &[]).code(1).stderr(
        contains("file `tokenizer.json`: expected the model's tokenizer, got none").and(contains("hint: ")),
    );
    transcribe(&whisper(), &["--language", "xx"])
        .code(2)
        .stderr(contains("there is no language `xx` in this model, expected one of de, en, zh"));
    transcribe(&whisper(), &["--temperatures", "-1"]).code(2);
    transcribe(&whisper(), &["--beam", "0"]).code(2).stderr(contains("--beam: expected at least 1, got 0"));
    transcribe(&whisper(), &["--ctc"]).code(2);
    transcribe(&whisper(), &["--prompt", "<|endoftext|>"])
        .code(2)
        .stderr(contains("got a mark of the model"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    transcribe(dir.path(), &[]).code(1).stderr(contains("got neither"));
    fs::write(dir.path().join("config.toml"), "").expect("a file");
    transcribe(dir.path(), &[]).code(1).stderr(contains("got the folder of a run"));
    // one bad file does not hold up the others
    let (empty, text) = (dir.path().join("empty.wav"), dir.path().join("text.wav"));
    fs::write(&empty, "").expect("a file");
    fs::write(&text, "no sound").expect("a file");
    let some =
        triptych().args(["transcribe", "--model"]).arg(whisper()).args([&empty, &text, &sound]).assert();
    some.code(1).stdout(contains("sound.wav: ")).stderr(
        contains("empty.wav: ").and(contains("text.wav: ")).and(contains("2 of 3 files cannot be used")),
    );
}

#[test]
fn texts_are_embedded_as_transformers_does() {
    let bert =
        completed("sentence_bert", &around(Some("[CLS]"), Some("[SEP]")), &[("[CLS]", 2), ("[SEP]", 3)]);
    let embed = |model: &Path, texts: &[&str]| {
        let mut command = triptych();
        command.args(["embed", "--json", "--model"]).arg(model);
        texts.iter().for_each(|text| {
            command.args(["--text", text]);
        });
        answer(&mut command)
    };
    let expected = read(&published("sentence_bert").join("expected.json"));
    assert_near(&embed(bert.path(), &["w7 w9 w30", "w11"]), &expected["embedding"]);
    // a text longer than the model is cut
    assert_eq!(embed(bert.path(), &[&"w7 ".repeat(99)])[0]["embedding"].as_array().map(Vec::len), Some(16));

    let clip = completed("clip", &around(Some("<s>"), Some("</s>")), &[("<s>", 38), ("</s>", 39)]);
    let expected = read(&published("clip").join("expected.json"));
    assert_near(&embed(clip.path(), &["w4 w9", ""]), &expected["text"]);

    let siglip = completed("siglip", &around(None, Some("</s>")), &[("</s>", 1)]);
    let expected = read(&published("siglip").join("expected.json"));
    assert_near(&embed(siglip.path(), &["w4 w9", "w7 w8 w9 w10"]), &expected["text"]);
}

#[test]
fn pictures_and_texts_are_compared_and_written_with_their_names() {
    let clip = completed("clip", &around(Some("<s>"), Some("</s>")), &[("<s>", 38), ("</s>", 39)]);
    let at = |name: &str| clip.path().join(name);
    let picture = encode_png(&Pixels::filled(40, 30, [200, 30, 30])).expect("a picture");
    fs::write(at("red.png"), picture).expect("a file");
    fs::write(at("broken.png"), "no picture").expect("a file");
    fs::write(at("texts.txt"), "w4 w9\n\nw5\n").expect("a file");
    let embed = || {
        let mut command = triptych();
        command.args(["embed", "--model"]).arg(clip.path());
        command
    };
    let table =
        embed().arg("--texts").arg(at("texts.txt")).arg(at("red.png")).arg("--out").arg(at("x.npy")).assert();
    table.success().stdout(
        contains("x.npy: 3 vectors of 8, named in ")
            .and(
                predicate::str::is_match(r"red.png +-?[0-9.]+ \([0-9.]+%\) +-?[0-9.]+ \([0-9.]+%\)\n")
                    .expect("a pattern"),
            )
            .and(contains("the model's probability which of the texts it is")),
    );
    assert!(fs::read(at("x.npy")).expect("an array").starts_with(b"\x93NUMPY"));
    let ids = fs::read_to_string(at("x.ids.txt")).expect("the names");
    assert!(ids.starts_with("w4 w9\nw5\n") && ids.ends_with("red.png\n"), "{ids}");
    // and an index takes them
    let mut index = triptych();
    index.args(["index", "build"]).arg(at("x.npy")).arg("--ids").arg(at("x.ids.txt"));
    index.arg("--out").arg(at("x.index")).assert().success();

    let some = embed().args(["--json", "--image"]).args([at("broken.png"), at("red.png")]).assert();
    some.code(1).stdout(contains("\"kind\":\"image\"")).stderr(contains("1 of 2 files cannot be used"));
    embed().assert().code(2).stderr(contains("there is nothing to embed"));
    let several = embed().args(["--text", "w4", "--text", "w5"]).assert().success();
    several.stdout(contains("cosine similarity").and(contains("1.000")));
    embed().args(["--text", "w4"]).assert().code(2).stderr(contains("nothing says where the vectors go"));
    embed().args(["--text", "w4", "--out", "x.txt"]).assert().code(2).stderr(contains("ends in .npy"));
    fs::remove_file(at("preprocessor_config.json")).expect("it is there");
    embed()
        .args(["--text", "w4", "--json"])
        .assert()
        .code(1)
        .stderr(contains("expected the settings of the pictures"));
}

#[test]
fn models_read_what_they_were_made_for() {
    let wav2vec2 = published("wav2vec2");
    let sound = whisper().join("sound.wav");
    let embed = |model: &Path, rest: &[&str]| {
        triptych().args(["embed", "--json", "--model"]).arg(model).args(rest).assert()
    };
    let sound = sound.to_string_lossy();
    let heard = embed(&wav2vec2, &[&sound]).success();
    let heard: Value = serde_json::from_slice(&heard.get_output().stdout).expect("JSON");
    assert_eq!(
        (&heard[0]["kind"], heard[0]["embedding"].as_array().map(Vec::len)),
        (&"audio".into(), Some(16))
    );
    embed(&wav2vec2, &["--text", "x"]).code(2).stderr(contains("reads no texts"));
    embed(&wav2vec2, &["--image", "x.png"]).code(2).stderr(contains("reads no pictures"));
    embed(&whisper(), &[&sound]).code(2).stderr(
        contains("expected a model that makes vectors, got whisper")
            .and(contains("hint: `triptych transcribe")),
    );
    let vit = completed("vit", &around(None, None), &[]);
    let picture = encode_png(&Pixels::filled(20, 20, [0, 90, 30])).expect("a picture");
    let path = vit.path().join("a.png");
    fs::write(&path, picture).expect("a file");
    embed(vit.path(), &[&path.to_string_lossy()]).success().stdout(contains("\"kind\":\"image\""));
    // a tokenizer that knows more tokens than the model
    let bert = completed("sentence_bert", &around(None, None), &[("[MORE]", 40)]);
    embed(bert.path(), &["--text", "w1"])
        .code(1)
        .stderr(contains("it is the tokenizer of another checkpoint"));
}

#[test]
fn a_vocabulary_of_lines_serves_as_tokenizer() {
    let bert = completed("sentence_bert", &around(None, None), &[]);
    fs::remove_file(bert.path().join("tokenizer.json")).expect("it is there");
    let marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(ToOwned::to_owned);
    let mut lines = marks.into_iter().chain((5..40).map(|id| format!("w{id}"))).collect::<Vec<_>>();
    let embed = |lines: &[String]| {
        fs::write(bert.path().join("vocab.txt"), lines.join("\n")).expect("a file");
        let mut command = triptych();
        command
            .args(["embed", "--json", "--text", "W7 w8", "--text", "w7 w8", "--model"])
            .arg(bert.path())
            .assert()
    };
    let output = embed(&lines).success();
    let rows: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!(rows[0]["embedding"], rows[1]["embedding"], "large letters are made small");
    lines.push("w40".to_owned());
    embed(&lines).code(1).stderr(contains("vocab.txt, itself: expected at most 40 tokens"));
}

#[test]
fn a_recording_has_a_vector_for_each_of_its_chunks() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sound = dir.path().join("talk.wav");
    let samples = (0..20_000).map(|idx| (idx as f32 * 0.05).sin() * (idx % 700) as f32 / 700.0).collect();
    let wav = encode_wav(&Waveform { samples, rate_hz: 16_000 }).expect("a sound");
    fs::write(&sound, wav).expect("a file");
    let embed = |rest: &[&str]| {
        let mut command = triptych();
        command.args(["embed", "--model"]).arg(published("wav2vec2")).arg(&sound).args(rest).assert()
    };
    let output = embed(&["--chunks=1", "--json"]).success();
    let rows: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    let ends = rows.as_array().expect("a list").iter().map(|row| row["end_s"].as_f64()).collect::<Vec<_>>();
    assert!(ends.len() == 2 && ends.last() == Some(&Some(1.25)), "{ends:?}");
    let out = dir.path().join("talk.npy");
    embed(&["--chunks", "--out", &out.to_string_lossy()]).success();
    let ids = fs::read_to_string(dir.path().join("talk.ids.txt")).expect("the names");
    assert!(ids.ends_with("talk.wav#t=0.00,1.25\n"), "{ids}");
    embed(&["--chunks=0.2", "--json"]).code(2).stderr(contains("--chunks: expected 1 to 300 seconds"));
}
