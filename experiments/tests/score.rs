//! `triptych score`, run as a user runs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn score(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(cargo_bin!("triptych"));
    command.arg("score").args(arguments.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    command.output().expect("the program starts")
}

#[track_caller]
fn scored(folder: &TempDir, arguments: &str) -> Value {
    let output = score(folder.path(), &format!("{arguments} --json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON alone on standard output")
}

#[track_caller]
fn refused(folder: &TempDir, arguments: &str, message: &str) {
    let output = score(folder.path(), arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{arguments}");
    assert!(text.contains(message), "{arguments}: {text}");
    assert!(output.stdout.is_empty(), "{arguments}: a figure beside an error");
}

/// The value of a metric.
#[track_caller]
fn value(report: &Value, name: &str) -> f64 {
    let scores = report["scores"].as_array().expect("a list of scores");
    let score = scores.iter().find(|score| score["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    score["value"].as_f64().expect("a number")
}

fn matrix(n_rows: usize, n_columns: usize, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {n_columns}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn transcripts_are_scored_aligned_compared_and_sliced() {
    let folder = folder(&[
        ("ref.trn", b"The colour, sir! (ann-1)\ntwenty one dogs (bob-1)\ni can't (bob-2)\n"),
        ("hyp.trn", b"21 dogs (bob-1)\nthe color sir (ann-1)\ni can not go (bob-2)\n"),
        ("old.trn", b"a color sir (ann-1)\n20 dogs (bob-1)\ni can (bob-2)\n"),
    ]);
    let arguments = "asr --hypotheses hyp.trn --references ref.trn --normalizer whisper-english \
                     --compare old.trn --by speaker --cluster speaker --align";
    let report = scored(&folder, arguments);
    // one insertion among eight words
    assert_eq!(value(&report, "WER"), 12.5);
    assert_eq!(report["settings"]["normalizer"], "whisper-english-v1");
    assert_eq!(report["comparison"]["scores"][0]["difference"], -25.0);
    let test = &report["matched_pairs"];
    assert!(test["n_segments"].as_u64().is_some_and(|n| n >= 2) && test["p"].as_f64().is_some(), "{test}");
    assert!(test["mean_difference"].as_f64().is_some_and(|mean| mean < 0.0), "{test}");
    assert_eq!(report["by"]["metrics"][0]["groups"][1]["group"], "bob");
    assert_eq!(report["by"]["metrics"][0]["gap"], 20.0);
    assert_eq!(report["alignment"]["insertions"][0]["word"], "go");

    let text = score(folder.path(), arguments);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("HYP:  i can not GO\n"), "{text}");
    assert!(text.contains("  WER                12.500 %"), "{text}");
    assert!(text.contains("\nmatched pairs (MAPSSWE): -"), "{text}");
    // the same seed, the same figures
    assert_eq!(scored(&folder, arguments), scored(&folder, arguments));
}

#[test]
fn captions_of_coco_are_scored_on_the_images_that_were_described() {
    let folder = folder(&[
        (
            "refs.json",
            br#"{"images": [], "annotations": [
            {"image_id": 1, "id": 1, "caption": "A red car on the street."},
            {"image_id": 1, "id": 2, "caption": "a car parked on a street"},
            {"image_id": 2, "id": 3, "caption": "Two dogs play in the snow."},
            {"image_id": 3, "id": 4, "caption": "an empty table by a window"}]}"#,
        ),
        (
            "res.json",
            br#"[{"image_id": 2, "caption": "two dogs play in the snow"},
            {"image_id": 1, "caption": "a red car on the street"}]"#,
        ),
        (
            "swap.json",
            br#"[{"image_id": 1, "caption": "a blue car on the street"},
            {"image_id": 2, "caption": "two cats sleep"}]"#,
        ),
    ]);
    let arguments = "captions --hypotheses res.json --references refs.json";
    refused(&folder, arguments, "refs.json entry 4: no hypothesis for id \"3\"");
    let arguments = format!("{arguments} --subset");
    let report = scored(&folder, &arguments);
    assert!((value(&report, "BLEU-4") - 100.0).abs() < 1e-6);
    assert_eq!(value(&report, "exact"), 100.0);
    assert_eq!(report["scores"][0]["n"], 2);

    let table = format!("{arguments} --save-frequencies df.json");
    let counted = scored(&folder, &table);
    let read = scored(&folder, &format!("{arguments} --frequencies df.json"));
    assert_eq!(value(&counted, "CIDEr-D"), value(&read, "CIDEr-D"));

    let swap = scored(&folder, &format!("{arguments} --swapped swap.json --swap red:blue"));
    assert_eq!(swap["swap"]["scores"][0]["value"], 50.0);
    refused(
        &folder,
        &format!("{arguments} --swapped swap.json --swap red"),
        "expected two words with a colon",
    );
}

#[test]
fn texts_are_scored_with_sacrebleus_signature() {
    let folder = folder(&[
        (
            "ref.jsonl",
            b"{\"id\":1,\"texts\":[\"The cat sat.\",\"A cat sat there.\"]}\n{\"id\":2,\"text\":\"No.\"}\n",
        ),
        ("hyp.jsonl", b"{\"id\":2,\"text\":\"No.\"}\n{\"id\":1,\"text\":\"The cat sat.\"}\n"),
    ]);
    let report = scored(&folder, "text --hypotheses hyp.jsonl --references ref.jsonl");
    assert!((value(&report, "BLEU") - 100.0).abs() < 1e-9 && (value(&report, "chrF") - 100.0).abs() < 1e-9);
    assert_eq!(report["settings"]["BLEU"], "nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
}

#[test]
fn similarities_are_ranked_in_both_directions() {
    let folder = folder(&[
        ("sim.npy", &matrix(2, 3, &[0.9, 0.1, 0.8, 0.2, 0.3, 0.4])),
        ("nan.npy", &matrix(2, 3, &[0.9, 0.1, 0.8, 0.2, f32::NAN, 0.4])),
        ("wide.npy", &matrix(1, 3, &[0.9, 0.1, 0.8])),
        ("rel.jsonl", b"{\"id\":\"q1\",\"targets\":[\"a\",\"c\"]}\n{\"id\":\"q2\",\"targets\":[\"b\"]}\n"),
        (
            "targets.jsonl",
            b"{\"id\":\"a\",\"sex\":\"f\"}\n{\"id\":\"b\",\"sex\":\"m\"}\n{\"id\":\"c\",\"sex\":\"m\"}\n",
        ),
        ("odd.txt", b"0 2\n7\n"),
        ("columns.txt", b"0 2\n1\n"),
    ]);
    let arguments = "retrieval --references rel.jsonl --targets targets.jsonl";
    let report = scored(&folder, &format!("{arguments} --hypotheses sim.npy --both --skew sex"));
    assert_eq!((value(&report, "R@1"), value(&report, "mean rank")), (50.0, 1.5));
    assert_eq!(report["reverse"]["scores"][0]["value"], 100.0);
    assert_eq!(report["skew"]["scores"][0]["name"], "MaxSkew@10");
    let by_column = scored(&folder, "retrieval --hypotheses sim.npy --references columns.txt");
    assert_eq!(value(&by_column, "mAP"), value(&report, "mAP"));

    refused(&folder, &format!("{arguments} --hypotheses nan.npy"), "nan.npy: row 1 column 1 is NaN");
    refused(
        &folder,
        &format!("{arguments} --hypotheses wide.npy"),
        "expected 2 rows, one for each entry of rel.jsonl, got 1",
    );
    refused(&folder, &format!("{arguments} --hypotheses rel.jsonl"), "rel.jsonl: expected a .npy file");
    refused(
        &folder,
        "retrieval --hypotheses sim.npy --references odd.txt",
        "odd.txt line 2: unknown target \"7\"",
    );
}

#[test]
fn classes_are_scored_from_labels_and_from_scores() {
    let folder = folder(&[
        ("labels.csv", b"id,label,site\n1,cat,a\n2,dog,a\n3,dog,b\n"),
        ("out.csv", b"id,label\n3,dog\n2,cat\n1,cat\n"),
        ("odd.csv", b"id,label\n3,dog\n2,\n1,cat\n"),
        ("classes.txt", b"cat\ndog\n"),
        ("logits.npy", &matrix(3, 2, &[2.0, 0.0, 0.0, 1.0, 3.0, 1.0])),
        ("more.txt", b"cat\ndog\nbird\n"),
    ]);
    let report = scored(&folder, "classification --hypotheses out.csv --references labels.csv --by site");
    assert!((value(&report, "accuracy") - 200.0 / 3.0).abs() < 1e-9);
    assert_eq!(report["by"]["metrics"][0]["gap"], 50.0);
    let arguments = "classification --hypotheses logits.npy --references labels.csv";
    let report = scored(&folder, &format!("{arguments} --classes classes.txt"));
    assert!(value(&report, "ECE") > 0.0);
    assert_eq!(report["settings"]["scores"], "logits");
    refused(
        &folder,
        &format!("{arguments} --classes more.txt"),
        "expected 3 columns, one for each class of more.txt, got 2",
    );
    refused(&folder, arguments, "labels.csv line 2: unknown class \"cat\"");
    refused(
        &folder,
        "classification --hypotheses odd.csv --references labels.csv",
        "odd.csv line 3: expected a label, got an empty one",
    );
}

#[test]
fn nothing_is_scored_as_zero_for_lack_of_data() {
    let folder = folder(&[
        ("ref.txt", b"one\ntwo\n"),
        ("short.txt", b"one\n"),
        ("silent.txt", b"\n\n"),
        ("refs.jsonl", b"{\"id\":1,\"texts\":[]}\n"),
        ("hyps.jsonl", b"{\"id\":1,\"text\":\"a\"}\n"),
        ("tagless.jsonl", b"{\"id\":1,\"text\":\"a\"}\n"),
        ("empty.txt", b""),
        ("other.jsonl", b"{\"id\":2,\"text\":\"a\"}\n"),
        ("twice.jsonl", b"{\"id\":1,\"text\":\"a\"}\n{\"id\":1,\"text\":\"b\"}\n"),
        ("nan.npy", &matrix(1, 2, &[0.5, f32::NAN])),
        ("labels.jsonl", b"{\"id\":1,\"label\":0}\n"),
    ]);
    for (arguments, message) in [
        (
            "asr --hypotheses short.txt --references ref.txt",
            "ref.txt line 2: lists of different length: expected 2 hypotheses",
        ),
        ("asr --hypotheses ref.txt --references silent.txt", "silent.txt: every reference is empty"),
        (
            "asr --hypotheses empty.txt --references ref.txt",
            "empty.txt: expected at least one entry, got an empty file",
        ),
        ("asr --hypotheses none.txt --references ref.txt", "none.txt: cannot be read"),
        (
            "captions --hypotheses hyps.jsonl --references refs.jsonl",
            "refs.jsonl line 1: expected at least one reference",
        ),
        ("text --hypotheses ref.txt --references silent.txt", "silent.txt line 1: the reference is empty"),
        ("asr --hypotheses other.jsonl --references hyps.jsonl", "unknown id \"2\""),
        ("text --hypotheses twice.jsonl --references hyps.jsonl", "id \"1\" stands twice"),
        ("asr --hypotheses ref.txt --references ref.txt --compare short.txt", "lists of different length"),
        ("classification --hypotheses nan.npy --references labels.jsonl", "row 0 column 1 is NaN"),
        (
            "asr --hypotheses hyps.jsonl --references tagless.jsonl --by speaker",
            "tagless.jsonl line 1: expected a tag `speaker`, got none",
        ),
    ] {
        refused(&folder, arguments, message);
    }
}

#[test]
fn answers_are_scored_as_the_evaluation_of_vqa_does() {
    let given = |answers: [&str; 10]| {
        answers
            .iter()
            .enumerate()
            .map(|(n, a)| serde_json::json!({"answer": a, "answer_id": n + 1}))
            .collect::<Vec<_>>()
    };
    let mixed = ["red", "red", "Red.", "dark red", "maroon", "maroon", "brown", "wine", "pink", "none"];
    let annotations = serde_json::json!({"info": {}, "annotations": [
        {"question_id": 7, "image_id": 1, "answer_type": "other", "answers": given(mixed)},
        {"question_id": 8, "image_id": 1, "answer_type": "yes/no", "answers": given(["yes"; 10])},
        {"question_id": 9, "image_id": 2, "answer_type": "yes/no", "answers": given(["no"; 10])},
    ]});
    let folder = folder(&[
        ("annotations.json", annotations.to_string().as_bytes()),
        ("results.json", br#"[{"question_id": 9, "answer": "yes"}, {"question_id": 7, "answer": "the red"}, {"question_id": 8, "answer": "yes"}]"#),
        ("other.json", br#"[{"question_id": 9, "answer": "no"}, {"question_id": 7, "answer": ""}, {"question_id": 8, "answer": "yes"}]"#),
        ("few.jsonl", b"{\"id\": 1, \"answers\": [\"Two\", \"3\"]}\n{\"id\": 2, \"answer\": \"a cat\"}\n"),
        ("out.csv", b"id,answer\n2,cat\n1,4\n"),
        ("short.json", br#"[{"question_id": 9, "answer": "yes"}]"#),
        ("unanswered.json", br#"{"annotations": [{"question_id": 9, "answers": []}]}"#),
    ]);
    let report = scored(&folder, "answers --hypotheses results.json --references annotations.json");
    // three of ten agree: 0.9 of a point, then a whole one, then none
    assert!((value(&report, "VQA") - 100.0 * 1.9 / 3.0).abs() < 1e-9, "{report}");
    assert!((value(&report, "exact answer") - 100.0 * 2.0 / 3.0).abs() < 1e-9);
    let both = "answers --hypotheses results.json --references annotations.json --compare other.json --by answer_type";
    assert!(scored(&folder, both).to_string().contains("yes/no"));
    let few = scored(&folder, "answers --hypotheses out.csv --references few.jsonl");
    assert_eq!(value(&few, "exact answer"), 50.0);
    assert!(!few.to_string().contains("\"VQA\""), "{few}");
    refused(
        &folder,
        "answers --hypotheses short.json --references annotations.json",
        "no hypothesis for id \"7\"",
    );
    refused(
        &folder,
        "answers --hypotheses short.json --references unanswered.json",
        "expected at least one reference",
    );
}
