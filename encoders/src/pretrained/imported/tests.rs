//! What belongs to a checkpoint stays with it, unchanged.

use serde_json::json;

use super::*;

const TOKENIZER: &str = r#"{"added_tokens":[{"id":0,"content":"[PAD]"}],"model":{"type":"WordPiece","vocab":{"[PAD]":0,"a":1,"b":2}}}"#;

/// A published folder with a tokenizer.
fn published(tokenizer: &str) -> (tempfile::TempDir, PublishedFolder) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
    write("config.json", r#"{"model_type":"bert","torch_dtype":"float16"}"#);
    write("tokenizer.json", tokenizer);
    write("unrelated.py", "print()");
    fs::create_dir(dir.path().join("1_Pooling")).expect("a folder");
    write("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens":true}"#);
    let folder = PublishedFolder::open(dir.path()).expect("it is a folder");
    (dir, folder)
}

fn create(out: &Path, source: &PublishedFolder, n_vocab: usize) -> Result<ImportedFolder, CheckpointError> {
    let config = PublishedConfig::open(source)?;
    let description = ModelDescription { family: "bert", model: json!({}), config, n_vocab: Some(n_vocab) };
    ImportedFolder::create(out, source, description, |path| {
        fs::write(path, "weights").map_err(|e| CheckpointError::io("write", path, e))
    })
}

fn names(path: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names = fs::read_dir(path).expect("a folder").map(name).collect::<Vec<_>>();
    names.sort();
    names
}

#[test]
fn what_belongs_to_the_weights_comes_along_and_leaves_as_it_came() {
    let (dir, source) = published(TOKENIZER);
    let out = dir.path().join("models/bert");
    let imported = create(&out, &source, 3).expect("it is imported");
    assert_eq!(imported.family(), "bert");
    assert_eq!(names(&out), ["1_Pooling", "tokenizer.json", "triptych.json", "weights.safetensors"]);
    assert_eq!(names(&dir.path().join("models")), ["bert"]);
    assert_eq!(imported.file("tokenizer.json"), Some(out.join("tokenizer.json")));
    assert_eq!(imported.file("preprocessor_config.json"), None);

    let back = dir.path().join("back");
    imported
        .publish(&back, |path| fs::write(path, "w").map_err(|e| CheckpointError::io("write", path, e)))
        .expect("it is published");
    assert_eq!(names(&back), ["1_Pooling", "config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read_to_string(back.join("tokenizer.json")).expect("a copy"), TOKENIZER);
    let config = fs::read_to_string(back.join("config.json")).expect("a config");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config, json!({ "model_type": "bert", "torch_dtype": "float32" }));
}

#[test]
fn a_file_that_was_exchanged_after_the_import_is_told() {
    let (dir, source) = published(TOKENIZER);
    let out = dir.path().join("bert");
    create(&out, &source, 3).expect("it is imported");
    let said = || ImportedFolder::open(&out).expect_err("it was changed").to_string();
    let tokenizer = out.join("tokenizer.json");
    fs::write(&tokenizer, TOKENIZER.replace("\"b\"", "\"c\"")).expect("a file");
    assert!(said().contains("tokenizer.json, itself: expected 106 bytes of blake3 "), "{}", said());
    fs::remove_file(&tokenizer).expect("it was there");
    assert!(said().ends_with("file `tokenizer.json`: expected the one of import, got none"), "{}", said());
    fs::write(&tokenizer, TOKENIZER).expect("a file");
    ImportedFolder::open(&out).expect("it is as it was");
    fs::write(out.join("weights.safetensors"), "weight").expect("a file");
    assert!(said().ends_with("weights.safetensors, itself: expected 7 bytes, got 6 bytes"), "{}", said());
    fs::write(out.join("triptych.json"), r#"{"format":"triptych-model-9"}"#).expect("a file");
    assert!(
        said().ends_with("key `format`: expected `triptych-model-2`, got `triptych-model-9`"),
        "{}",
        said()
    );
}

#[test]
fn a_manifest_cannot_name_files_outside_its_folder() {
    let (dir, source) = published(TOKENIZER);
    let out = dir.path().join("bert");
    create(&out, &source, 3).expect("it is imported");
    let manifest = fs::read_to_string(out.join("triptych.json")).expect("a manifest");
    for name in ["../config.json", "/etc/passwd", "1_Pooling/../../config.json"] {
        fs::write(out.join("triptych.json"), manifest.replace("tokenizer.json", name)).expect("a file");
        let error = ImportedFolder::open(&out).expect_err("it leads outside").to_string();
        assert!(error.contains("expected the name of a file in that folder"), "{error}");
    }
}

#[test]
fn the_tokenizer_of_another_checkpoint_is_refused() {
    let told = |tokenizer: &str| {
        let (dir, source) = published(tokenizer);
        let out = dir.path().join("bert");
        let error = create(&out, &source, 3).expect_err("it is another's").to_string();
        assert!(!out.exists());
        error
    };
    let larger = told(&TOKENIZER.replace("\"b\":2", "\"b\":3"));
    assert!(
        larger.ends_with("token `b`: expected a number below 3, the `vocab_size` of config.json, got 3"),
        "{larger}"
    );
    let added = told(&TOKENIZER.replace("\"id\":0", "\"id\":77"));
    assert!(added.contains("token `[PAD]`: expected a number below 3"), "{added}");
    let unigram = told(r#"{"model":{"vocab":[["a",0.0],["b",0.0],["c",0.0],["d",-1.5]]}}"#);
    assert!(unigram.contains("token `d`: expected a number below 3"), "{unigram}");
    assert!(told("{}").contains("key `model.vocab`: expected a vocabulary, got `null`"));
    assert!(told("{").contains("tokenizer.json, line 1: expected JSON"));
}

#[test]
fn a_folder_with_files_in_it_is_left_as_it_is() {
    let (dir, source) = published(TOKENIZER);
    let error = create(dir.path(), &source, 3).expect_err("it is not empty");
    assert!(
        error.to_string().ends_with("expected no such folder yet, or an empty one, got one with files in it")
    );
    assert!(dir.path().join("config.json").exists());
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    create(&empty, &source, 3).expect("an empty folder is taken");
}
