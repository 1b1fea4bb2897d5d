//! Linear probes of frozen encoders, on corpora where the answer is known.

use std::fs;
use std::path::Path;

use serde_json::Value;
use triptych::run::checkpoint;
use triptych_datasets::image::{Pixels, encode_png};
use triptych_datasets::sample::{Media, Sample, Split};
use triptych_datasets::shard::ShardWriter;

use crate::fixture::Desk;
use crate::subsets::PICTURES;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Pictures of two tones that no encoder can miss: 24 to train on, four of them without a tone, and 12 to test; every third
/// also has a tag that is no property of the picture. `n_validation` more are of the validation split.
fn tones(dir: &Path, n_validation: u8) {
    let mut writer = ShardWriter::create(dir, "own").unwrap();
    for idx in 0..36 + n_validation {
        let id = format!("sample-{idx:02}");
        let is_dark = idx % 2 == 0;
        let shade = if is_dark { 20 + idx % 7 * 6 } else { 200 + idx % 7 * 6 };
        let bytes = encode_png(&Pixels::filled(24, 16, [shade, shade, 90])).unwrap();
        let mut sample = Sample {
            group: format!("group {}", idx / 2),
            source: format!("{id}.raw"),
            split: match idx {
                0..24 => Split::Train,
                24..36 => Split::Test,
                _ => Split::Validation,
            },
            texts: vec![format!("shade number {idx}")],
            image: Some(Media { bytes, extension: "png".to_owned() }),
            id,
            ..Sample::default()
        };
        let tone = if is_dark { "dark" } else { "light" };
        if !(4..8).contains(&idx) {
            sample.tags.insert("tone".to_owned(), tone.to_owned());
        }
        sample.tags.insert("side".to_owned(), if idx < 24 { "one" } else { "other" }.to_owned());
        let rare = if idx == 3 { "rare" } else { tone };
        sample.tags.insert("mostly".to_owned(), rare.to_owned());
        writer.push(sample).unwrap();
    }
    writer.finish(&[]).unwrap();
}

/// A run on the pictures of two tones.
fn trained(n_validation: u8) -> Desk {
    let desk = Desk::new();
    tones(&desk.path("corpus"), n_validation);
    fs::write(desk.path("own.toml"), PICTURES).unwrap();
    desk.succeed(&["train", "own.toml", "--out", "run", "--quiet"]);
    desk
}

#[test]
fn a_probe_reads_off_an_encoder_what_the_pictures_show() {
    let desk = trained(0);
    let arguments = ["probe", "run", "--label", "tag:tone", "--skip-unlabelled", "--quiet"];
    let probe = |more: &[&str]| json(&desk.succeed(&[&arguments[..], &["--json"], more].concat()));
    let found = probe(&[]);
    assert_eq!((&found["n_train"], &found["n_classes"]), (&20.into(), &2.into()), "{found}");
    assert_eq!(
        (&found["modality"], &found["features"], &found["d"]),
        (&"image".into(), &"encoder".into(), &16.into())
    );
    let figure = |found: &Value, name: &str| {
        let rows = found["scores"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {rows:?}")).clone()
    };
    let accuracy = figure(&found, "accuracy");
    assert_eq!(
        (&accuracy["value"], &accuracy["n"], &accuracy["chance"]),
        (&100.0.into(), &12.into(), &50.0.into())
    );
    assert_eq!((&accuracy["task"], &accuracy["holdout"]), (&"probe".into(), &"test".into()));
    assert_eq!((&accuracy["query"], &accuracy["target"]), (&"image encoder".into(), &"tone".into()));
    assert_eq!(figure(&found, "mean per-class accuracy")["value"], 100.0);
    figure(&found, "ECE");
    assert!(found["scores"].as_array().unwrap().iter().all(|row| row["name"] != "top-5 accuracy"));
    // pairs of one dark and one light picture are groups, and are not torn apart
    assert_eq!(found["validation"]["by"], "5 folds of whole groups");
    assert_eq!((&found["validation"]["n"], found["is_converged"].as_bool()), (&20.into(), Some(true)));
    let tried = found["validation"]["tried"].as_array().unwrap();
    assert!(
        tried.iter().any(|tried| tried["c"] == found["c"]) && tried.is_sorted_by_key(|t| t["c"].as_f64())
    );

    // the same again, to the last digit, and kept once
    assert_eq!(probe(&[]), found);
    let kept = || json(&fs::read_to_string(desk.path("run/probes.json")).unwrap());
    assert_eq!(kept().as_array().unwrap().len(), 1);
    assert_eq!(kept()[0]["tests"][0]["samples"].as_array().unwrap().len(), 12);

    desk.succeed(&["evaluate", "run", "--quiet"]);
    desk.succeed(&["report", "run"]);
    let report = fs::read_to_string(desk.path("run/report.html")).unwrap();
    assert!(report.contains("Linear probe, image encoder → tone, test") && report.contains("6 of 6"));
    assert!(report.contains("How the strength of regularisation was chosen"));

    let embedding = probe(&["--features", "embedding", "--shots", "4", "--c", "0.1", "--test", "split=test"]);
    assert_eq!((&embedding["n_train"], &embedding["c"]), (&8.into(), &0.1.into()));
    assert_eq!(embedding["scores"][0]["query"], "image embedding, 4 shots");
    assert!(embedding["validation"].is_null());
    let half = probe(&["--fraction", "0.5", "--folds", "2", "--test", "mostly=dark|light"]);
    assert_eq!((&half["n_train"], &half["validation"]["n"]), (&10.into(), &10.into()));
    assert_eq!(kept().as_array().unwrap().len(), 3);

    let elsewhere = desk.path("elsewhere/deep");
    let text = desk.succeed(&[&arguments[..], &["--out", "elsewhere/deep"]].concat());
    for part in
        ["tag:tone of image encoder: 16 features after step 4, fitted to 20 samples of 2 classes", "chosen"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        text.contains("Linear probe (95% interval)") && text.contains("  dark        6/6    100.0%"),
        "{text}"
    );
    assert!(elsewhere.join("probes.json").exists() && kept().as_array().unwrap().len() == 3);

    // texts of other samples tell of their tones nothing that a text of the same number does not
    let texts = desk.run(&[&arguments[..], &["--modality", "text", "--json"]].concat());
    assert!(texts.status.success(), "{}", String::from_utf8_lossy(&texts.stderr));
}

#[test]
fn a_validation_split_chooses_the_strength_and_is_fitted_to_in_the_end() {
    let desk = trained(6);
    let arguments = ["probe", "run", "--label", "tag:tone", "--skip-unlabelled", "--quiet", "--json"];
    let found = json(&desk.succeed(&arguments));
    assert_eq!(
        (&found["validation"]["by"], &found["validation"]["n"]),
        (&"the validation split".into(), &6.into())
    );
    assert_eq!(found["n_train"], 26);
    let few = json(&desk.succeed(&[&arguments[..], &["--shots", "1"]].concat()));
    assert_eq!((&few["validation"]["n"], &few["n_train"]), (&6.into(), &2.into()));
    let folds = json(&desk.succeed(&[&arguments[..], &["--folds", "3"]].concat()));
    assert_eq!(folds["validation"]["by"], "3 folds of whole groups");
}

#[test]
fn what_cannot_be_probed_is_told_with_names_and_a_hint() {
    let desk = trained(0);
    let told = |status: i32, arguments: &[&str], parts: [&str; 2]| {
        let message = desk.fail(status, &[&["probe", "run", "--quiet"], arguments].concat());
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: {message}");
        }
        assert!(message.contains("hint: "), "{arguments:?}: {message}");
    };
    let tone = ["--label", "tag:tone", "--skip-unlabelled"];
    let of_tone = |more: &[&'static str]| [&tone[..], more].concat();
    told(
        2,
        &[],
        ["expected `--label`", "tag:mostly (3 classes), tag:side (2 classes), tag:tone (2 classes)"],
    );
    told(
        1,
        &["--label", "tag:colour"],
        ["none of 24 training samples has tag:colour", "tag:mostly (3 classes)"],
    );
    told(
        1,
        &tone[..2],
        ["4 of 24 training samples have no tag:tone, such as \"sample-04\"", "--skip-unlabelled"],
    );
    told(
        1,
        &["--label", "tag:side"],
        ["at least two classes by tag:side, got 24 of the class \"one\"", "--train"],
    );
    told(
        1,
        &["--label", "tag:mostly"],
        ["class \"rare\": expected 5 training samples or more", "`--least 5` leaves such classes out"],
    );
    told(
        1,
        &["--label", "tag:mostly", "--least", "50"],
        ["got 12 in the largest, \"dark\"", "lower `--least`"],
    );
    told(
        1,
        &["--label", "group", "--c", "1"],
        ["12 of 12 samples are of classes that the training samples lack", "(6 in all)"],
    );
    told(
        1,
        &["--label", "group", "--c", "1", "--test", "split=test"],
        ["test set `split=test`: 12 of 12", "\"group 12\" (\"sample-24\")"],
    );
    told(
        1,
        &of_tone(&["--shots", "1"]),
        ["expected 5 training samples or more", "got 1 (other classes with too few: 1)"],
    );
    told(
        1,
        &of_tone(&["--test", "split=all"]),
        ["test set `split=all`: 20 of 32 samples are training samples too", "\"sample-00\""],
    );
    told(
        2,
        &of_tone(&["--test", "tests"]),
        ["expected a hold-out of the run or KEY=VALUE, got \"tests\"", "hold-outs are test"],
    );
    told(2, &of_tone(&["--train", "tone"]), ["`--train`: expected parts KEY=VALUE", "for example"]);
    told(
        2,
        &of_tone(&["--train", "tone=green"]),
        ["split=train,tone=green selects none of the 36 samples", "picture"],
    );
    told(2, &of_tone(&["--modality", "audio"]), ["was trained without sounds", "model.audio"]);
    for wrong in [
        &["--c", "0"][..],
        &["--fraction", "1.5"],
        &["--folds", "1"],
        &["--shots", "0"],
        &["--label", "tone"],
    ] {
        desk.fail(2, &[&["probe", "run"], wrong].concat());
    }
    fs::write(desk.path("file"), "").unwrap();
    told(1, &of_tone(&["--out", "file"]), ["cannot write file: ", "name another one with `--out`"]);
    fs::write(desk.path("run/probes.json"), "[{}]").unwrap();
    told(1, &of_tone(&[]), ["probes.json: ", "remove the file"]);
    assert_eq!(fs::read_to_string(desk.path("run/probes.json")).unwrap(), "[{}]");
    fs::remove_file(desk.path("run/probes.json")).unwrap();

    let folder = desk.path("run/checkpoints");
    let mut last = checkpoint::latest(&folder).unwrap().unwrap();
    let tensors = last.tensors.iter_mut().filter(|(name, _)| name.starts_with("average/vision"));
    tensors.for_each(|(_, tensor)| tensor.data.fill(f32::NAN));
    checkpoint::save(&folder, last.step, &last.config, &last.tensors, &last.state).unwrap();
    told(
        1,
        &of_tone(&[]),
        ["the image encoder gives NaN for sample \"sample-00\" (feature 0)", "newest checkpoint"],
    );
}
