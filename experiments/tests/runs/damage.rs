//! Damaged files of a run: one message that says where, what and what to do, and the rest stays usable.

use std::fs;
use std::fs::OpenOptions;

use triptych::run::folder::RunFolder;

use crate::fixture::{Desk, assert_same_end, checkpoint_path, flip_bit};

const STEPS: u64 = 24;

#[test]
fn a_truncated_shard_is_told_with_its_size_and_prepared_again_on_request() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let shard = run.join("corpus/emoji-000000.tar");
    let n_bytes = fs::metadata(&shard).unwrap().len();
    OpenOptions::new().write(true).open(&shard).unwrap().set_len(n_bytes - 1000).unwrap();

    let expected = format!(
        "error: run/corpus/emoji-000000.tar: expected {n_bytes} bytes, got {}\n  hint: `triptych train \
         run/config.toml --out run` prepares it again and leaves the rest as it is\n",
        n_bytes - 1000
    );
    assert_eq!(desk.fail(1, &["evaluate", "run", "--quiet"]), expected);
    assert_eq!(desk.fail(1, &["search", "run", "red heart"]), expected);
    // what does not need the corpus goes on
    desk.succeed(&["checkpoints", "run"]);

    let before = fs::read(checkpoint_path(&run, STEPS)).unwrap();
    let output = desk.run(&["train", "run/config.toml", "--out", "run", "--quiet"]);
    assert!(output.status.success());
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.starts_with("warning: run/corpus/emoji-000000.tar: expected "), "{warning}");
    desk.succeed(&["evaluate", "run", "--quiet"]);
    assert_eq!(fs::read(checkpoint_path(&run, STEPS)).unwrap(), before);
}

#[test]
fn a_flipped_bit_in_a_shard_is_told_with_the_sample() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let shard = run.join("corpus/emoji-000000.tar");
    let bytes = fs::read(&shard).unwrap();
    // within the first picture of the held-out style
    let name = bytes.windows(11).position(|window| window == b"twemoji.png").unwrap();
    flip_bit(&shard, name / 512 * 512 + 512 + 40);
    let message = desk.fail(1, &["evaluate", "run", "--quiet"]);
    assert!(message.starts_with("error: sample \""), "{message}");
    assert!(message.contains("/twemoji\"") && message.contains("run/corpus/emoji-000000.tar"), "{message}");
    assert!(message.contains("expected blake3 ") && message.contains("\n  hint: "), "{message}");
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_told_and_the_run_goes_on_without_it() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let good = desk.trained("good");
    let last = checkpoint_path(&run, STEPS);
    let n_bytes = fs::metadata(&last).unwrap().len() as usize;
    for place in [3, 500, n_bytes / 2, n_bytes - 1] {
        flip_bit(&last, place);
        for arguments in
            [&["train", "tiny.toml", "--out", "run"][..], &["evaluate", "run"], &["report", "run"]]
        {
            if arguments[0] == "report" {
                fs::write(run.join("scores.json"), "[]").unwrap();
            }
            let message = desk.fail(1, arguments);
            let start = "error: checkpoint run/checkpoints/step-000024.safetensors is damaged: ";
            assert!(message.contains(start), "{message}");
            assert!(message.ends_with("  hint: remove it to go on from step-000021\n"), "{message}");
        }
        flip_bit(&last, place);
    }
    flip_bit(&last, 5000);
    fs::remove_file(&last).unwrap();
    desk.succeed(&["train", "tiny.toml", "--out", "run", "--quiet"]);
    assert_same_end(&run, &good);
}

#[test]
fn a_changed_tokenizer_is_told() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let path = run.join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    for (content, expected) in [
        (text[..text.len() / 2].to_owned(), "expected a tokenizer: "),
        (text.replacen("\"e\"", "\"E\"", 1), "blake3"),
    ] {
        fs::write(&path, content).unwrap();
        let message = desk.fail(1, &["evaluate", "run", "--quiet"]);
        assert!(message.starts_with("error: run/tokenizer.json") && message.contains(expected), "{message}");
        assert!(message.contains("\n  hint: "), "{message}");
    }
}

#[test]
fn a_run_in_use_is_read_and_not_written() {
    let desk = Desk::new();
    let run = desk.trained("run");
    desk.succeed(&["evaluate", "run", "--quiet"]);
    let _lock = RunFolder::open(&run).unwrap();
    let expected = format!("error: run is in use by another process (pid {})\n  hint: ", std::process::id());
    for arguments in [&["train", "tiny.toml", "--out", "run"][..], &["evaluate", "run"], &["report", "run"]] {
        let message = desk.fail(1, arguments);
        assert!(message.starts_with(&expected), "{arguments:?}: {message}");
    }
    desk.succeed(&["search", "run", "red heart", "--quiet"]);
    desk.succeed(&["checkpoints", "run"]);
}

#[test]
fn other_settings_are_refused_and_the_run_is_left_alone() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let before = fs::read(checkpoint_path(&run, STEPS)).unwrap();
    let message = desk.fail(1, &["train", "tiny.toml", "--out", "run", "--set", "train.steps=30"]);
    assert!(message.contains("holds a run with other settings: train.steps: 24 -> 30"), "{message}");
    let again = "`triptych train run/config.toml --out run`";
    assert!(message.contains(again), "{message}");
    desk.succeed(&["train", "run/config.toml", "--out", "run", "--quiet"]);
    assert_eq!(fs::read(checkpoint_path(&run, STEPS)).unwrap(), before);
}

#[test]
fn a_misspelt_setting_is_told_before_anything_is_written() {
    let desk = Desk::new();
    let message = desk.fail(2, &["train", "tiny.toml", "--out", "run", "--set", "train.stpes=30"]);
    assert!(message.starts_with("error: unknown key `stpes` in `train`\n"), "{message}");
    assert!(message.contains("--set:1:7") && message.contains("did you mean `steps`?"), "{message}");
    fs::write(desk.path("mine.toml"), "extends = \"tiny.toml\"\n[data]\nbatchsize = 8\n").unwrap();
    let message = desk.fail(2, &["train", "mine.toml", "--out", "run"]);
    assert!(message.starts_with("error: unknown key `batchsize` in `data`\n"), "{message}");
    assert!(message.contains("mine.toml:3:1") && message.contains("did you mean `batch_size`?"), "{message}");
    assert!(!desk.path("run").exists());
}
