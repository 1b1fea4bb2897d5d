//! `triptych model import` and `model export`, as a user runs them.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;

fn triptych() -> Command {
    Command::cargo_bin("triptych").expect("the program is built")
}

fn published(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoders/tests/golden/published").join(family)
}

#[test]
fn a_published_model_is_imported_and_exported() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (model, back) = (dir.path().join("model"), dir.path().join("back"));
    let output = triptych()
        .args(["model", "import", "--json"])
        .arg(published("sentence_bert"))
        .arg("--out")
        .arg(&model)
        .assert()
        .success();
    let report: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!((&report["family"], &report["tensors"]), (&"bert".into(), &39.into()));
    assert_eq!(report["files"][0], "1_Pooling/config.json");
    triptych().args(["model", "export"]).arg(&model).arg("--out").arg(&back).assert().success();
    for name in ["config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"] {
        assert!(back.join(name).is_file(), "{name}");
    }
    // what stands there already is left as it is
    let again = triptych().args(["model", "export"]).arg(&model).arg("--out").arg(&back).assert();
    again.code(1).stderr(predicate::str::contains("hint: name another one with `--out`"));
}

#[test]
fn what_does_not_fit_is_listed_and_taken_in_part_when_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (source, model) = (dir.path().join("source"), dir.path().join("model"));
    std::fs::create_dir(&source).expect("a folder");
    std::fs::copy(published("vit").join("model.safetensors"), source.join("model.safetensors"))
        .expect("a copy");
    let config = std::fs::read_to_string(published("vit").join("config.json")).expect("a config");
    std::fs::write(source.join("config.json"), config.replace("\"patch_size\": 4", "\"patch_size\": 6"))
        .expect("a file");
    let import = || {
        let mut command = triptych();
        command.args(["model", "import"]).arg(&source).arg("--out").arg(&model);
        command
    };
    import().assert().code(1).stderr(
        predicate::str::contains("38 of 40 tensors fit, 2 of another shape")
            .and(predicate::str::contains("[1, 5, 16]            [1, 10, 16]"))
            .and(predicate::str::contains("hint: `--partial` takes what fits")),
    );
    assert!(!model.exists());
    let left = "left at random: patches.positions, patches.projection.weight";
    import().arg("--partial").assert().success().stdout(predicate::str::contains(left));
}

#[test]
fn sources_that_are_no_folder_are_told() {
    let import = |source: &str| triptych().args(["model", "import", source, "--out", "/nowhere"]).assert();
    import("hf:OWNER/NAME").code(2).stderr(predicate::str::contains("got the hub's OWNER/NAME"));
    import("/no/such/folder").code(1).stderr(predicate::str::contains("cannot open /no/such/folder"));
    let export = triptych().args(["model", "export", "/", "--out", "/nowhere"]).assert();
    export
        .code(1)
        .stderr(predicate::str::contains("expected an imported model with its triptych.json, got none"));
}
