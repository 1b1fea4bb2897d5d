//! `triptych index`, run as a user runs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};
use triptych_datasets::npy::write_f32;

fn index(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin!("triptych"));
    command.current_dir(folder).arg("index").args(arguments).output().expect("the program starts")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", told(output));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// A folder with four unit vectors at 0, 30, 60 and 90 degrees, and a query at 10.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let vector = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
    let rows: Vec<f32> = [0.0, 30.0, 60.0, 90.0].into_iter().flat_map(vector).collect();
    let array = |name: &str, shape: &[usize], values: &[f32]| {
        let file = fs::File::create(folder.path().join(name)).expect("a file");
        write_f32(file, shape, values).expect("it is written");
    };
    array("rows.npy", &[4, 2], &rows);
    array("query.npy", &[1, 2], &vector(10.0));
    array("wide.npy", &[1, 3], &[1.0, 0.0, 0.0]);
    fs::write(folder.path().join("ids.txt"), "east\nnorth-east\r\nnorth-north-east\nnorth\n")
        .expect("written");
    folder
}

#[test]
fn what_is_built_is_found_whatever_it_is_stored_as() {
    let folder = folder();
    let build = ["build", "rows.npy", "--ids", "ids.txt", "--out", "x.index", "--json", "--store"];
    for store in
        [&["f32"][..], &["f16"], &["i8"], &["i8", "--originals", "f32"], &["i8", "--originals", "none"]]
    {
        let built = json_of(&index(folder.path(), &[&build[..], store].concat()));
        assert_eq!((&built["rows"], &built["columns"]), (&json!(4), &json!(2)));
        let query = ["query", "x.index", "query.npy", "--top", "3", "--recall", "--json"];
        let found = json_of(&index(folder.path(), &query));
        let rows = found["queries"][0]["found"].as_array().expect("a list");
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().expect("a text")).collect();
        assert_eq!(ids, ["east", "north-east", "north-north-east"]);
        assert!((rows[0]["score"].as_f64().expect("a number") - 0.984_808).abs() < 5e-3, "{rows:?}");
        assert_eq!(found["recall"], 1.0);
        let info = json_of(&index(folder.path(), &["info", "x.index", "--verify", "--json"]));
        assert_eq!(info["stored"], store[0]);
    }
}

#[test]
fn embeddings_of_json_lines_are_read_and_bad_lines_named() {
    let folder = folder();
    let lines = folder.path().join("x.jsonl");
    let good = "{\"id\":\"a\",\"embedding\":[1,0]}\n\n{\"id\":7,\"embedding\":[0,2.5],\"more\":1}\n";
    fs::write(&lines, good).expect("written");
    let build = ["build", "x.jsonl", "--out", "x.index", "--quiet"];
    assert!(index(folder.path(), &build).status.success());
    let output = index(folder.path(), &["query", "x.index", "query.npy", "--top", "2"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "    1    0.98481  a\n    2    0.17365  7\n");
    let kept = fs::read(folder.path().join("x.index")).expect("it is there");
    for (bad, expected) in [
        ("{\"id\":\"b\",\"embedding\":[1,0,0]}", "x.jsonl line 4: row 2 has 3 columns: expected 2"),
        ("{\"id\":\"b\",\"embedding\":[0,0]}", "x.jsonl line 4: row 2 is all zeros"),
        (
            "{\"id\":\"b\",\"embedding\":[NaN,0]}",
            "x.jsonl line 4: expected an object with `id` and `embedding`",
        ),
        ("{\"id\":\"b\",\"embedding\":[1e300,0]}", "x.jsonl line 4: "),
        (
            "{\"id\":[],\"embedding\":[1,0]}",
            "x.jsonl line 4: expected an id that is a string or a number, got []",
        ),
        ("{\"id\":\"b\"", "x.jsonl line 4: expected an object with `id` and `embedding`"),
        ("{\"id\":\"a\",\"embedding\":[1,1]}", "id \"a\" stands twice, in rows 0 and 2"),
    ] {
        fs::write(&lines, format!("{good}{bad}\n")).expect("written");
        let output = index(folder.path(), &build);
        assert_eq!(output.status.code(), Some(1));
        assert!(told(&output).contains(expected), "{}", told(&output));
        assert_eq!(
            fs::read(folder.path().join("x.index")).expect("it is there"),
            kept,
            "the old index stands"
        );
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let folder = folder();
    let path = folder.path();
    assert!(index(path, &["build", "rows.npy", "--out", "x.index"]).status.success());
    fs::write(path.join("few.txt"), "a\nb\n").expect("written");
    fs::write(path.join("many.txt"), "a\nb\nc\nd\ne\n").expect("written");
    fs::write(path.join("empty.jsonl"), "\n").expect("written");
    let whole = fs::read(path.join("x.index")).expect("it is there");
    fs::write(path.join("cut.index"), &whole[..whole.len() - 1]).expect("written");
    for (arguments, status, expected) in [
        (
            &["build", "rows.npy", "--ids", "few.txt", "--out", "y.index"][..],
            1,
            "expected 4 ids, one for each row",
        ),
        (&["build", "rows.npy", "--ids", "many.txt", "--out", "y.index"], 1, "expected 4 ids, got more"),
        (&["build", "empty.jsonl", "--out", "y.index"], 1, "expected at least one embedding, got none"),
        (&["build", "ids.txt", "--out", "y.index"], 2, "expected a .npy or .jsonl file or a run's folder"),
        (&["build", "rows.npy", "--modality", "image", "--out", "y.index"], 2, "go with the folder of a run"),
        (&["build", "x.jsonl", "--ids", "ids.txt", "--out", "y.index"], 2, "`--ids` goes with a .npy file"),
        (&["build", ".", "--out", "y.index"], 2, "say which"),
        (&["build", "rows.npy", "--out", "no/such/y.index"], 1, "y.index: "),
        (&["query", "x.index", "wide.npy"], 1, "wide.npy gives 3 columns: the index x.index has 2"),
        (&["query", "x.index", "query.npy", "--top", "0"], 2, "--top"),
        (&["query", "x.index", "query.npy", "--top", "2", "--candidates", "4"], 1, "no originals"),
        (&["query", "x.index", "red heart"], 2, "`--run` to search by words or media"),
        (&["query", "cut.index", "query.npy"], 1, "the index is cut off or damaged"),
        (&["query", "rows.npy", "query.npy"], 1, "expected an index of `triptych index build`"),
        (&["info", "no-such.index"], 1, "no-such.index: "),
    ] {
        let output = index(path, arguments);
        let message = told(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    assert!(!path.join("y.index").exists());
    let unfinished = |name: String| name.starts_with(".unfinished");
    let names = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    assert!(!names.map(|name| name.to_string_lossy().into_owned()).any(unfinished));
}
