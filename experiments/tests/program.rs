//! The built program, run as a user runs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};
use tempfile::TempDir;
use triptych::run::checkpoint::save;

fn triptych(arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("triptych"));
    command.args(arguments).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    triptych(arguments).output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a copy of the quickstart's config, edited.
fn experiment(edit: impl Fn(&str) -> String) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml");
    let path = folder.path().join("mine.toml");
    fs::write(&path, edit(&fs::read_to_string(config).unwrap())).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn help_shows_examples_and_exits_with_0() {
    for arguments in [&["--help"][..], &["config", "explain", "--help"], &["checkpoints", "--help"]] {
        let output = run(arguments);
        assert!(output.status.success());
        assert!(stdout(&output).contains("\nExamples:\n  triptych "), "{arguments:?}");
    }
}

#[test]
fn a_misspelt_key_exits_with_2_and_plain_text() {
    let (_folder, path) = experiment(|text| text.replacen("seed", "sede", 1));
    let output = run(&["config", "check", &path]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.starts_with("error: unknown key `sede` at the top\n"), "{message}");
    assert!(message.contains("mine.toml:7:1]") && message.contains("did you mean `seed`?"), "{message}");
    assert!(!message.contains('\x1b'), "colours without a terminal: {message}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for arguments in
        [&["no-such-command"][..], &["config", "explain", "no-such-config"], &["list", "no-such-list"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn an_unknown_device_exits_with_2() {
    let output = run(&["train", "quickstart", "--device", "gpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("there is no device `gpu`, expected cpu, cuda or cuda:N"),
        "{}",
        stderr(&output)
    );
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_gpu_asked_of_a_build_without_one_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run(&["train", "quickstart", "--device", "cuda:0", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(stderr(&output), @r"
    error: this build has no GPU support, `--device cuda` needs it
      hint: build it with `cargo build --release --features cuda`, or use `--device cpu`
    ");
    assert!(!out.exists());
}

#[test]
fn explain_tells_overrides_files_and_defaults_apart() {
    let (_folder, path) = experiment(str::to_owned);
    let output = run(&["config", "explain", &path, "--set", "train.steps=7", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let settings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let find =
        |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap_or(&Value::Null).clone();
    let steps = find("train.steps");
    assert_eq!(steps["value"], "7");
    assert_eq!(steps["origin"]["override"]["argument"], "train.steps=7");
    assert_eq!(find("seed")["origin"]["file"]["line"], 7);
    assert!(settings.iter().any(|setting| setting["origin"] == "default"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = triptych(&["config", "explain", "quickstart"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// A small corpus in a folder: the first things of the bundled one.
fn small_corpus() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["data", "import", "emoji", "--quiet", "--set", "n_known=2", "--set", "n_unknown=1"];
    let corpus = folder.path().to_str().unwrap().to_owned();
    let voices = ["--set", "voices=[\"joe\"]", "--set", "styles=[\"noto\", \"twemoji\"]", "--out", &corpus];
    let output = run(&[&arguments[..], &voices].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

#[test]
fn a_corpus_is_measured_shown_sampled_and_found_whole() {
    let folder = small_corpus();
    let corpus = folder.path().to_str().unwrap();
    let output = run(&["data", "stats", corpus, "--json", "--quiet"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&stats["total"]["n_images"], &stats["total"]["n_sounds"]), (&json!(6), &json!(3)));
    assert!(stdout(&run(&["data", "stats", corpus])).contains("\npictures "));

    let page = folder.path().join("page.html");
    let output = run(&["data", "inspect", corpus, "--out", page.to_str().unwrap(), "--quiet"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(page).unwrap().starts_with("<!doctype html>"));

    let out = folder.path().join("look");
    let arguments = ["data", "sample", corpus, "-n", "2", "--tag", "style=twemoji", "--json", "--out"];
    let output = run(&[&arguments[..], &[out.to_str().unwrap()]].concat());
    let samples: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        samples.len() == 2 && samples.iter().all(|sample| sample["tags"]["style"] == "twemoji"),
        "{samples:?}"
    );
    assert_eq!(fs::read_dir(out).unwrap().count(), 6, "a picture, its texts and its record each");
    assert_eq!(run(&["data", "sample", corpus, "--tag", "style=none"]).status.code(), Some(2));

    let output = run(&["data", "validate", corpus, "--decode", "--json"]);
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &audit["n_decoded"]), (Some(0), &json!(9)), "{audit}");
}

#[test]
fn damage_and_differences_exit_with_1_and_trouble_of_a_comparison_with_2() {
    let (first, second) = (small_corpus(), small_corpus());
    let paths = [&first, &second].map(|folder| folder.path().to_str().unwrap());
    let output = run(&["data", "diff", paths[0], paths[1]]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("the same 9 samples"), "{}", stdout(&output));

    let shard = second.path().join("emoji-000000.tar");
    let mut bytes = fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let output = run(&["data", "validate", paths[1], "--quiet"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
    assert!(stdout(&output).starts_with("emoji-000000.tar: expected blake3 "), "{}", stdout(&output));

    let import =
        ["data", "import", "emoji", "--quiet", "--set", "n_known=1", "--set", "n_unknown=0", "--out"];
    assert!(run(&[&import[..], &[paths[1]]].concat()).status.success());
    let output = run(&["data", "diff", paths[0], paths[1], "--json"]);
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
    assert_eq!(record["is_same"], false);
    assert_eq!(run(&["data", "diff", paths[0], "no-such-folder"]).status.code(), Some(2));
}

#[test]
fn completions_complete_the_subcommands() {
    let output = run(&["completions", "bash"]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("checkpoints"));
}

#[test]
fn a_damaged_checkpoint_is_listed_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let checkpoints = folder.path().join("checkpoints");
    for step in [100, 200] {
        save(&checkpoints, step, "c0ffee", &Default::default(), &json!({})).unwrap();
    }
    let damaged = checkpoints.join("step-000200.safetensors");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[60] ^= 4;
    fs::write(&damaged, bytes).unwrap();

    let output = run(&["checkpoints", folder.path().to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: 1 of 2 checkpoints cannot be used\n"), "{}", stderr(&output));
    let records: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(records[0]["problem"], Value::Null);
    assert!(records[1]["problem"].as_str().unwrap().ends_with("does not match its checksum"), "{records:?}");
}

#[test]
fn a_folder_without_a_run_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["checkpoints", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is not a run: it has no config.toml\n  hint: "), "{}", stderr(&output));
}

#[test]
fn an_output_folder_that_cannot_be_made_is_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let out = file.join("run");
    let output = run(&["train", "quickstart", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.starts_with(&format!("error: cannot write {}: ", out.display())), "{message}");
    assert!(message.contains("hint: a file stands where a folder should be"), "{message}");
}

#[test]
#[cfg(not(any(feature = "fetch", feature = "hub")))]
fn a_build_without_downloads_says_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = run(&["data", "fetch", "hf:owner/name", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&output), @r"
    error: this program was built without the Hugging Face hub, so it cannot fetch hf:owner/name
      hint: build it with the hub: `cargo build --release --features hub`
    ");
    let output = run(&["data", "fetch", "urls", "list.csv", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&output), @r"
    error: this program was built without downloads, so it cannot fetch list.csv
      hint: build it with downloads: `cargo build --release --features fetch`
    ");
    assert!(!out.exists());
}

#[test]
#[cfg(feature = "fetch")]
fn downloads_that_make_no_sense_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for arguments in
        [&["urls"][..], &["hf:a/b", "list.txt"], &["list.txt"], &["urls", "l.txt", "--accept", "x"]]
    {
        let output = run(&[&["data", "fetch", "--out", out], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
#[cfg(feature = "hub")]
fn offline_a_data_set_that_is_not_in_the_cache_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = triptych(&["data", "fetch", "hf:owner/name", "--out", out.to_str().unwrap()])
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: offline (HF_HUB_OFFLINE is set), and "),
        "{}",
        stderr(&output)
    );
}

#[test]
#[cfg(not(feature = "remote"))]
fn a_build_without_object_stores_says_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let place = "data.corpus.folder=s3://bucket/corpus";
    let output = run(&["train", "smoke", "--set", place, "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains("s3://bucket/corpus: object stores are not enabled in this program"),
        "{message}"
    );
    assert!(message.contains("feature"), "{message}");
}

#[test]
fn an_import_is_planned_done_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("mine");
    fs::create_dir(&source).unwrap();
    fs::write(
        source.join("manifest.jsonl"),
        "{\"text\": \"one\"}\n{\"txt\": \"two\"}\n{\"text\": \"three\"}\n",
    )
    .unwrap();
    let (source, out) = (source.to_str().unwrap(), folder.path().join("out"));
    let out_text = out.to_str().unwrap();

    let planned = run(&["data", "import", "manifest", source, "--dry-run"]);
    assert!(planned.status.success(), "{}", stderr(&planned));
    assert!(
        stdout(&planned).starts_with("would import 2 samples: 0 pictures, 0 sounds, 2 texts"),
        "{}",
        stdout(&planned)
    );
    assert!(!out.exists());

    let made =
        run(&["data", "import", "manifest", source, "--out", out_text, "--licence", "CC0-1.0", "--verify"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let told = stdout(&made);
    assert!(
        told.contains("failed: 1, named in ")
            && told.contains("manifest.jsonl line 2 (\"000000002\"): unknown key `txt`"),
        "{told}"
    );
    assert!(out.join("ledger.jsonl").exists() && !told.contains("licence: unknown"), "{told}");

    let strict = run(&["data", "import", "manifest", source, "--out", out_text, "--strict", "--json"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(
        stderr(&strict).contains("line 2") && stderr(&strict).contains("hint: without `--strict`"),
        "{}",
        stderr(&strict)
    );
}

#[test]
fn imports_that_cannot_begin_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().to_str().unwrap();
    for arguments in [
        &["manifest"][..],
        &["manifest", "--out", "x"],
        &["emoji", source, "--out", "x"],
        &["text", source, "--out", source],
        &["text", source, "--out", "x", "--set", "unit=word"],
        &["text", source, "--dry-run", "--split-from", "moon"],
        &["text", source, "--dry-run", "--split-percent", "60,50"],
        &["images", "--schema"],
    ] {
        let output = run(&[&["data", "import"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
    let schema = run(&["data", "import", "manifest", "--schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(schema["properties"]["image"]["type"], "string");
    let listed = stdout(&run(&["list", "corpora"]));
    for format in ["emoji", "manifest", "images", "coco", "parquet", "tuxpaint"] {
        assert!(listed.contains(&format!("  {format} ")), "{listed}");
    }
}
