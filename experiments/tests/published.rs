//! `triptych model import` and `model export`, as a user runs them.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;

fn triptych() -> Command {
    Command::new(cargo_bin!("triptych"))
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

/// What `triptych model describe` prints of a path.
fn described(path: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    triptych().args(["model", "describe"]).arg(path).args(more).assert()
}

#[test]
fn a_published_models_tensors_are_shown_with_what_belongs_to_them() {
    for family in ["bert", "vit", "clip", "siglip", "whisper", "wav2vec2", "sentence_bert"] {
        let output = described(&published(family), &["--json"]).success();
        let told: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
        let expected = family.strip_prefix("sentence_").unwrap_or(family);
        assert_eq!(
            (&told["family"], &told["problem"]),
            (&expected.into(), &serde_json::Value::Null),
            "{family}"
        );
        assert!(told["cost"]["cost"]["flops"].as_u64() > Some(0), "{family}: {told}");
        let file = &told["files"][0];
        let on_disk = std::fs::metadata(published(family).join(file["name"].as_str().expect("a name")));
        assert_eq!(file["bytes"].as_u64(), Some(on_disk.expect("a file").len()), "{family}");
        let list = described(&published(family), &["--parameters", "--json"]).success();
        let list: serde_json::Value = serde_json::from_slice(&list.get_output().stdout).expect("JSON");
        assert_eq!(told["weights"]["tensors"].as_u64(), list.as_array().map(|rows| rows.len() as u64));
    }
    let page = described(&published("sentence_bert"), &[]).success();
    page.stdout(
        predicate::str::contains("family        bert, BERT and sentence models of its kind")
            .and(predicate::str::contains("layer"))
            .and(predicate::str::contains("sentences     the mean of the tokens")),
    );
}

#[test]
fn a_model_of_no_known_family_is_listed_all_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let weights = dir.path().join("model.safetensors");
    std::fs::copy(published("vit").join("model.safetensors"), &weights).expect("a copy");
    let rows = || predicate::str::contains("embeddings").and(predicate::str::contains("F32"));
    described(dir.path(), &[]).success().stdout(rows());
    described(&weights, &[]).success().stdout(rows());
    std::fs::write(dir.path().join("config.json"), "{\"model_type\": \"llama\"}").expect("a file");
    let known =
        predicate::str::contains("none of ours: ").and(predicate::str::contains("expected one of `bert`"));
    described(dir.path(), &[]).success().stdout(rows().and(known));
    // a size of another world
    let config = std::fs::read_to_string(published("vit").join("config.json")).expect("a config");
    let huge = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 2000000000");
    assert_ne!(config, huge);
    std::fs::write(dir.path().join("config.json"), huge).expect("a file");
    let told = predicate::str::contains("size `depth`: expected at most 1024");
    described(dir.path(), &[]).success().stdout(rows().and(told));
    described(dir.path(), &["--set", "train.steps=1"]).code(2);
    std::fs::write(&weights, "cut off").expect("a file");
    described(dir.path(), &[]).code(1).stderr(predicate::str::contains("model.safetensors, header"));
    std::fs::remove_file(&weights).expect("it is there");
    described(dir.path(), &[]).code(1).stderr(predicate::str::contains("weights: expected one of"));
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
            .and(predicate::str::contains("[1, 5, 16]     [1, 10, 16]"))
            .and(predicate::str::contains("hint: `--partial` takes what fits")),
    );
    assert!(!model.exists());
    let left = "left at random: vit.positions, vit.projection.weight";
    import().arg("--partial").assert().success().stdout(predicate::str::contains(left));
}

#[test]
fn sources_that_are_no_folder_are_told() {
    let import = |source: &str| triptych().args(["model", "import", source, "--out", "/nowhere"]).assert();
    #[cfg(not(feature = "hub"))]
    import("hf:OWNER/NAME").code(1).stderr(predicate::str::contains("hint: build it with the hub"));
    #[cfg(not(feature = "hub"))]
    import("no/folder").code(1).stderr(predicate::str::contains("cannot open no/folder"));
    import("/no/such/folder").code(1).stderr(predicate::str::contains("cannot open /no/such/folder"));
    let export = triptych().args(["model", "export", "/", "--out", "/nowhere"]).assert();
    export
        .code(1)
        .stderr(predicate::str::contains("expected an imported model with its triptych.json, got none"));
}

/// A model in the hub's cache, as other programs leave it there.
#[cfg(all(unix, feature = "hub"))]
#[test]
fn a_model_of_the_hub_is_imported_from_its_cache() {
    let (dir, commit) =
        (tempfile::tempdir().expect("a temporary folder"), "0123456789abcdef0123456789abcdef01234567");
    let repository = dir.path().join("hub/models--owner--name");
    let snapshot = repository.join("snapshots").join(commit);
    for folder in [repository.join("refs"), snapshot.join("1_Pooling")] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    std::fs::write(repository.join("refs/main"), commit).expect("a file");
    for name in ["config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"] {
        std::fs::copy(published("sentence_bert").join(name), snapshot.join(name)).expect("a copy");
    }
    let import = |source: &str, out: &str| {
        let mut command = triptych();
        command.args(["model", "import", source, "--out"]).arg(dir.path().join(out));
        command.env("HF_HOME", dir.path()).env("HF_HUB_OFFLINE", "1").env_remove("HF_HUB_CACHE").assert()
    };
    let origin = format!("from hf:owner/name, commit {commit}, licence not named by its card");
    import("hf:owner/name", "a").success().stdout(predicate::str::contains(&origin));
    import("owner/name", "b").success().stdout(predicate::str::contains(&origin));
    assert!(dir.path().join("b/triptych.json").is_file());
    let absent = "offline (HF_HUB_OFFLINE is set), and ";
    import("owner/other", "c").code(1).stderr(predicate::str::contains(absent));
}
