//! Classes by their names.

use std::fs;

use serde_json::Value;
use triptych_datasets::shard::Corpus;

use crate::fixture::Desk;

const CLASSIFIED: &str = r#"
extends = "tiny.toml"
train.steps = 4

[[evaluate.classify]]
holdout = "style"
label = "text"
templates = ["{}", "the {}"]

[[evaluate.classify]]
holdout = "voice:slt"
label = "tag:known"
words = { yes = "something known", no = "something new" }
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn holdouts_and_files_are_told_apart_by_the_names_of_classes() {
    let desk = Desk::new();
    fs::write(desk.path("own.toml"), CLASSIFIED).unwrap();
    desk.succeed(&["train", "own.toml", "--out", "run", "--quiet"]);
    let scores = json(&desk.succeed(&["evaluate", "run", "--quiet", "--json"]));
    let scores = scores.as_array().unwrap().iter().filter(|score| score["task"] == "zero-shot");
    let scores = scores.collect::<Vec<_>>();
    let found = |query: &str, name: &str| {
        scores.iter().find(|score| score["query"] == query && score["name"] == name).unwrap_or_else(|| {
            panic!("{query} {name} is not among {scores:?}");
        })
    };
    // six concepts are known and two are not; a class for each
    let accuracy = found("image", "accuracy");
    assert_eq!((&accuracy["n"], &accuracy["chance"]), (&6.into(), &12.5.into()));
    assert_eq!(accuracy["target"], "text");
    assert!(accuracy["low"].as_f64() <= accuracy["value"].as_f64());
    found("image", "top-5 accuracy");
    let spoken = found("speech", "accuracy");
    assert_eq!((&spoken["target"], &spoken["chance"]), (&"known".into(), &50.0.into()));

    let predictions = json(&fs::read_to_string(desk.path("run/predictions.json")).unwrap());
    let classified = predictions["classifications"].as_array().unwrap();
    assert_eq!(classified.len(), 2);
    let (classes, samples) = (&classified[0]["classes"], &classified[0]["samples"]);
    let sum = |key: &str| -> u64 {
        classes.as_array().unwrap().iter().map(|class| class[key].as_u64().unwrap()).sum()
    };
    let n_right = samples.as_array().unwrap().iter().filter(|s| s["label"] == s["predicted"]).count() as u64;
    assert_eq!((sum("n"), sum("n_predicted"), sum("n_right")), (6, 6, n_right));
    assert!((accuracy["value"].as_f64().unwrap() - n_right as f64 / 0.06).abs() < 1e-9);
    desk.succeed(&["report", "run"]);
    let report = fs::read_to_string(desk.path("run/report.html")).unwrap();
    assert!(report.contains("Zero-shot classification, image → text, unseen style"));
    assert!(report.contains("8 classes, by the phrases {} ") && report.contains("taken for it"));

    let corpus = Corpus::open(desk.path("run/corpus")).unwrap();
    let place = corpus.entries().iter().position(|entry| entry.image.is_some()).unwrap();
    fs::write(desk.path("good.png"), corpus.image_bytes(place).unwrap().unwrap().0).unwrap();
    fs::write(desk.path("labels.txt"), "sun\nmoon\tthe pale moon\n\nstar\n").unwrap();
    fs::write(desk.path("templates.txt"), "{}\na drawing of {}\n").unwrap();
    fs::write(desk.path("broken.png"), "no picture").unwrap();
    let mut arguments = vec!["classify", "run", "--labels", "labels.txt"];
    arguments.extend(["--templates", "templates.txt", "--top", "3", "--json", "good.png"]);
    let told = json(&desk.succeed(&arguments));
    let classes = told[0]["classes"].as_array().unwrap();
    let shares = classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect::<Vec<_>>();
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.is_sorted_by(|a, b| a >= b));
    assert_eq!(told[0]["text"], classes[0]["class"]);

    // the rest goes on
    let output = desk.run(&["classify", "run", "--labels", "labels.txt", "broken.png", "good.png"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("good.png: "));
    for (labels, problem) in [
        ("sun\n", "labels.txt: expected at least two classes to tell apart, got one"),
        ("sun\nSun\n", "labels.txt: line 2: class \"sun\" stands twice"),
        ("\n", "labels.txt: expected a phrase on each line, got none"),
    ] {
        fs::write(desk.path("labels.txt"), labels).unwrap();
        let message = desk.fail(1, &["classify", "run", "--labels", "labels.txt", "good.png"]);
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_classification_that_cannot_be_is_refused_with_its_line() {
    let desk = Desk::new();
    for (table, problem) in [
        ("holdout = \"styles\"\nlabel = \"text\"", "of a hold-out, one of style, voice:slt"),
        ("holdout = \"style\"\nlabel = \"category\"", "expected text, group or tag:NAME"),
        ("holdout = \"style\"\nlabel = \"text\"\ntemplates = [\"a\"]", "expected a phrase with {}"),
        ("holdout = \"style\"\nlabel = \"text\"\nclasses = [\"a\", \"a\"]", "each named once"),
    ] {
        let text = format!("extends = \"tiny.toml\"\n[[evaluate.classify]]\n{table}\n");
        fs::write(desk.path("own.toml"), text).unwrap();
        let message = desk.fail(2, &["train", "own.toml", "--out", "run"]);
        assert!(message.contains(problem) && message.contains("own.toml"), "{message}");
    }
}
