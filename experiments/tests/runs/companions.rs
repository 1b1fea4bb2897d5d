//! Runs that learn from a teacher, beside their own average, in pieces, with weights that follow the training.

use std::fs;
use std::path::Path;

use crate::fixture::{Desk, assert_same_end, checkpoint_path, losses};

/// Everything at once: what one forgets to save, the others show.
const STUDENT: &str = r#"
extends = "tiny.toml"

[model.heads]
sigmoid = true
matching = true
d_teacher = 32

[objectives]
sigmoid_image_text = { weight = 0.5, chunk_rows = 2 }
matching_image_text = { weight = 0.5 }
momentum_image_text = { weight = 0.5, n_queued = 6, ramp_steps = 10 }
momentum_audio_text = { weight = 0.5, n_queued = 6, ramp_steps = 10 }
distil_image_text = { weight = 0.5 }
distil_image = { weight = 0.5, distance = "squared_error" }
distil_caption = { weight = 0.5, temperature = 1.5 }
masked_text = { weight = 0.5, masked = 0.3, whole_words = true }

[evaluate]
rerank = 3

[train]
micro_batches = 2
teacher = "teacher"
conflict_every = 6
"#;

fn student(desk: &Desk, balance: &str) {
    fs::write(desk.path("student.toml"), format!("{STUDENT}\n{balance}")).unwrap();
}

/// A copy of a run as it stood before its last checkpoint.
fn copy_without_end(from: &Path, to: &Path) {
    for folder in ["", "checkpoints", "corpus"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, to.join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    fs::remove_file(checkpoint_path(to, 24)).unwrap();
}

#[test]
fn a_student_goes_on_bit_for_bit_with_its_average_queues_and_weights() {
    let desk = Desk::new();
    desk.trained("teacher");
    for (name, balance) in [
        ("uncertain", "[train.balance.uncertainty]\nlr = 0.05"),
        ("normed", "[train.balance.gradient_norm]\nevery = 5"),
    ] {
        student(&desk, balance);
        desk.succeed(&["train", "student.toml", "--out", name, "--quiet"]);
        let again = format!("{name}-again");
        copy_without_end(&desk.path(name), &desk.path(&again));
        desk.succeed(&["train", "student.toml", "--out", &again, "--quiet"]);
        assert_same_end(&desk.path(name), &desk.path(&again));
        assert_eq!(losses(&desk.path(name)), losses(&desk.path(&again)), "{name}");
        let last = losses(&desk.path(name)).pop().unwrap();
        let factors = last["factors"].as_object().unwrap();
        assert!(factors["caption"].as_f64().unwrap() > 0.0, "{last}");
        assert!(factors.values().any(|factor| factor.as_f64() != Some(1.0)), "{last}");
        for objective in ["sigmoid_image_text", "momentum_audio_text", "distil_caption"] {
            assert!(last["losses"][objective].as_f64().unwrap().is_finite(), "{last}");
        }
        // measured at steps 0, 6, 12 and 18, in windows of 3
        let measured = losses(&desk.path(name)).into_iter().filter(|record| !record["conflicts"].is_null());
        let measured = measured.collect::<Vec<_>>();
        assert_eq!(measured.len(), 4);
        let conflicts = measured[0]["conflicts"].as_object().unwrap();
        assert!(conflicts.values().all(|cosine| cosine.as_f64().unwrap().abs() <= 1.0 + 1e-6));
    }
    // the pairs that it has learned to judge, and no others
    desk.succeed(&["evaluate", "uncertain", "--quiet"]);
    let scores = triptych::evaluate::read_scores(&desk.path("uncertain/scores.json")).unwrap();
    let reranked = scores.iter().filter(|row| row.name == "R@1 (re-ranked)");
    let directions = reranked.map(|row| row.direction()).collect::<Vec<_>>();
    assert_eq!(directions, ["image → text", "text → image"]);
}

#[test]
fn measuring_conflicts_changes_nothing() {
    let desk = Desk::new();
    let train = |name: &str, every: &str| {
        desk.succeed(&[
            "train",
            "tiny.toml",
            "--out",
            name,
            "--quiet",
            "--set",
            every,
            "--set",
            "train.steps=6",
        ]);
        let checkpoint = desk.path(name).join("checkpoints");
        triptych::run::checkpoint::latest(&checkpoint).unwrap().unwrap().tensors
    };
    assert!(train("measured", "train.conflict_every=1") == train("plain", "train.conflict_every=0"));
}

#[test]
fn what_an_objective_lacks_is_said_before_anything_is_done() {
    let desk = Desk::new();
    student(&desk, "");
    let fail = |status: i32, set: &[&str]| {
        let sets = set.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
        desk.fail(status, &[&["train", "student.toml", "--out", "run", "--quiet"], &sets[..]].concat())
    };
    let message = fail(2, &["model.heads.sigmoid=false"]);
    assert!(
        message.contains("sigmoid_image_text") && message.contains("model.heads.sigmoid = true"),
        "{message}"
    );
    let message = fail(2, &["train.momentum_decay=1.0"]);
    assert!(message.contains("at least 0 and below 1"), "{message}");
    let message = fail(2, &["objectives.distil_image.distance='far'"]);
    assert!(message.contains("\"cosine\" or \"squared_error\""), "{message}");
    let message = fail(1, &[]);
    assert!(message.contains("teacher"), "{message}");
    fs::write(desk.path("bare.toml"), STUDENT.replace("teacher = \"teacher\"\n", "")).unwrap();
    let message = desk.fail(2, &["train", "bare.toml", "--out", "run", "--quiet"]);
    assert!(message.contains("`train.teacher`, the folder of a trained run"), "{message}");
}

#[test]
fn a_teacher_that_reads_otherwise_is_refused() {
    let desk = Desk::new();
    desk.succeed(&["train", "tiny.toml", "--out", "teacher", "--quiet", "--set", "train.steps=3"]);
    student(&desk, "");
    let arguments = ["train", "student.toml", "--out", "run", "--quiet", "--set", "model.heads.d_teacher=7"];
    let message = desk.fail(1, &arguments);
    assert!(message.contains("teacher cannot teach the objective `distil_image`"), "{message}");
    assert!(message.contains("its embeddings have 32 values, `model.heads.d_teacher` is 7"), "{message}");
    let arguments = ["train", "student.toml", "--out", "run2", "--quiet", "--set", "data.image.side=16"];
    let message = desk.fail(1, &arguments);
    assert!(message.contains("its pictures have a side of 32 pixels, those here 16"), "{message}");
}
