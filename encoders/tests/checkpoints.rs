//! Checkpoints that PyTorch and safetensors wrote, and folders of them; `golden/checkpoints.py` made them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use triptych_encoders::pretrained::{Checkpoint, CheckpointError, PublishedFolder};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn file(name: &str) -> PathBuf {
    golden().join("checkpoints").join(name)
}

fn refusal(name: &str) -> CheckpointError {
    Checkpoint::open_file(&file(name)).expect_err(name)
}

/// A folder of copies of golden files under other names.
fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (source, name) in files {
        fs::copy(file(source), dir.path().join(name)).expect("a copy");
    }
    dir
}

fn open(dir: &Path) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(&PublishedFolder::open(dir)?)
}

fn message(dir: &Path) -> String {
    open(dir).expect_err("it is wrong").to_string()
}

#[test]
fn what_pytorch_and_safetensors_write_is_read_exactly() {
    let text = fs::read_to_string(golden().join("checkpoints.json")).expect("the golden file");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    for (name, tensors) in expected.as_object().expect("files by name") {
        let checkpoint = Checkpoint::open_file(&file(name)).unwrap_or_else(|error| panic!("{error}"));
        let tensors = tensors.as_object().expect("tensors by name");
        assert_eq!(checkpoint.tensors().count(), tensors.len(), "{name}");
        for (tensor, expected) in tensors {
            let stored = checkpoint.tensor(tensor).unwrap_or_else(|| panic!("{name}: {tensor} is missing"));
            let shape = serde_json::to_value(&stored.shape).expect("numbers");
            assert_eq!(shape, expected["shape"], "{name}: {tensor}");
            if ["int64", "boolean"].contains(&tensor.as_str()) {
                let error = checkpoint.read(tensor).expect_err("it holds no floats").to_string();
                assert!(error.contains("expected values of type F16, BF16, F32 or F64, got"), "{error}");
                continue;
            }
            let values = expected["values"].as_array().expect("values").iter();
            let values = values.map(|value| value.as_f64().expect("a number") as f32).collect::<Vec<_>>();
            assert_eq!(checkpoint.read(tensor).expect("floats"), values, "{name}: {tensor}");
        }
        assert!(checkpoint.read("absent").expect_err("none").to_string().contains("got none of that name"));
    }
}

#[test]
fn files_that_are_no_state_dict_are_refused_by_what_they_are() {
    let old = refusal("before_1.6.bin");
    assert!(
        old.to_string()
            .ends_with("expected the zip file that PyTorch writes since 1.6, got its older format")
    );
    assert!(old.hint().is_some_and(|hint| hint.contains("weights_only=True")));
    let module = refusal("whole_module.pt").to_string();
    assert!(module.contains("data.pkl, byte 2: ") && module.contains("got `torch.nn.modules"), "{module}");
}

#[test]
fn safetensors_are_preferred_and_a_folder_without_weights_is_told() {
    let dir = folder_of(&[("module.bin", "pytorch_model.bin")]);
    assert_eq!(open(dir.path()).expect("weights").tensors().count(), 4);
    fs::copy(file("plain.safetensors"), dir.path().join("model.safetensors")).expect("a copy");
    assert_eq!(open(dir.path()).expect("weights").tensors().count(), 8);
    assert!(message(folder_of(&[]).path()).contains("weights: expected one of model.safetensors, "));
}

#[test]
fn weights_in_several_files_are_read_by_their_index() {
    let dir = folder_of(&[("module.bin", "a.bin"), ("plain.bin", "b.bin")]);
    let index = dir.path().join("pytorch_model.bin.index.json");
    let write = |map: Value| {
        fs::write(
            &index,
            serde_json::json!({ "metadata": { "total_size": 1 }, "weight_map": map }).to_string(),
        )
        .expect("an index");
    };
    write(serde_json::json!({ "0.weight": "a.bin", "float16": "b.bin" }));
    let checkpoint = open(dir.path()).expect("two shards");
    assert_eq!(checkpoint.tensors().count(), 12);
    assert_eq!(checkpoint.read("0.weight").expect("floats").len(), 6);

    for (map, expected) in [
        (
            serde_json::json!({ "0.weight": "b.bin", "x": "a.bin" }),
            "tensor `0.weight`: expected it in `b.bin`, got in `a.bin`",
        ),
        (serde_json::json!({ "x": "a.bin" }), "tensor `x`: expected it in `a.bin`, got in no file"),
        (serde_json::json!({ "x": "c.bin" }), "file `c.bin`: expected a file beside the index, got none"),
        (
            serde_json::json!({ "x": "../a.bin" }),
            "expected the name of a file in that folder, got `../a.bin`",
        ),
        (
            serde_json::json!({ "x": "/etc/passwd" }),
            "expected the name of a file in that folder, got `/etc/passwd`",
        ),
        (serde_json::json!({ "x": 3 }), "tensor `x`: expected the name of a file, got `3`"),
        (serde_json::json!({}), "weights: expected at least one tensor, got none"),
        (serde_json::json!([]), "key `weight_map`: expected a table of file names by tensor, got `[]`"),
    ] {
        write(map);
        let message = message(dir.path());
        assert!(message.contains(expected), "{message}");
    }
    fs::copy(file("module.bin"), dir.path().join("b.bin")).expect("a copy");
    write(serde_json::json!({ "0.weight": "a.bin", "0.bias": "b.bin" }));
    assert!(message(dir.path()).ends_with("tensor `0.bias`: expected it in one file, got it in two"));
}

#[test]
fn cut_off_and_empty_files_are_errors() {
    for name in ["plain.safetensors", "plain.bin", "module.bin"] {
        let whole = fs::read(file(name)).expect("the golden file");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(name);
        // every cut near the ends, and some between
        let n = whole.len();
        let lengths = (0..64.min(n)).chain((64..n).step_by(97)).chain(n - 64..n);
        for length in lengths {
            fs::write(&path, &whole[..length]).expect("a file");
            let error = Checkpoint::open_file(&path).expect_err("it is cut off").to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
