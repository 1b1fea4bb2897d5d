//! `triptych data features`, run as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};
use triptych_datasets::npy::{Values, read};

fn media(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/media").join(name);
    path.to_str().expect("the path is plain").to_owned()
}

fn features(arguments: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin!("triptych"));
    command.args(["data", "features"]).args(arguments).output().expect("the program starts")
}

fn array(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let array = read(&fs::read(path).expect("the array was written")).expect("it is an array");
    match array.values {
        Values::F32(values) => (array.shape, values),
        Values::U8(_) => panic!("expected floats"),
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("x.npy");
    (folder, out)
}

#[test]
fn arrays_have_the_shape_that_was_asked_for() {
    let (_folder, out) = folder();
    let path = out.to_str().expect("the path is plain");
    for (arguments, shape) in [
        (&["log-mel", &media("tone.flac")][..], vec![40, 80]),
        (&["log-mel", &media("tone.mp3"), "--mels", "128"], vec![40, 128]),
        (&["fbank", &media("tone.flac")], vec![38, 80]),
        (&["image", &media("card-6.jpg")], vec![224, 224, 3]),
        (
            &["image", &media("card-6.jpg"), "--side", "16", "--resize", "lanczos", "--fit", "squash"],
            vec![16, 16, 3],
        ),
        (&["image", &media("card-1.jpg"), "--config", "quickstart"], vec![48, 48, 3]),
        (
            &["log-mel", &media("video.mp4"), "--config", "quickstart", "--set", "data.audio.n_mels=40"],
            vec![46, 40],
        ),
    ] {
        let output = features(&[arguments, &["--out", path, "--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let (got, values) = array(&out);
        if !arguments[1].ends_with(".mp3") && !arguments[1].ends_with(".mp4") {
            assert_eq!(got, shape, "{arguments:?}");
        } else {
            // encoders fill up their first and last block
            assert!(got[1] == shape[1] && (40..=52).contains(&got[0]), "{arguments:?}: {got:?}");
        }
        assert_eq!(summary["shape"], json!(got));
        let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!((summary["max"].as_f64().expect("a number") - f64::from(greatest)).abs() < 1e-6);
    }
}

#[test]
fn files_of_another_kind_exit_with_1_and_leave_nothing() {
    let (folder, out) = folder();
    let path = out.to_str().expect("the path is plain");
    for (arguments, expected) in [
        (["image", &media("tone.wav")], "got WAV in a file .wav"),
        (["log-mel", &media("card.gif")], "got GIF in a file .gif"),
        (["fbank", "no-such-file.wav"], "cannot read no-such-file.wav: "),
    ] {
        let output = features(&[&arguments[..], &["--out", path]].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let card = media("card.gif");
    let output =
        features(&["image", &card, "--out", folder.path().join("no/such/x.npy").to_str().expect("plain")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn options_that_do_not_fit_exit_with_2() {
    let (_folder, out) = folder();
    let path = out.to_str().expect("the path is plain");
    for arguments in [
        &["image", &media("card.gif"), "--mels", "80"][..],
        &["log-mel", &media("tone.wav"), "--side", "80"],
        &["log-mel", &media("tone.wav"), "--mels", "0"],
        &["image", &media("card.gif"), "--side", "100000"],
        &["image", &media("card.gif"), "--config", "quickstart", "--side", "16"],
        &["fbank", &media("tone.wav"), "--config", "quickstart"],
        &["mfcc", &media("tone.wav")],
    ] {
        let output = features(&[arguments, &["--out", path]].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    }
    assert!(!out.exists());
}
