//! Checkpoints as a user meets them: whole, damaged, interrupted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::json;
use tempfile::TempDir;
use triptych::diagnostic::render;
use triptych::run::checkpoint::{CheckpointError, TensorBytes, latest, list, load, prune, save};
use triptych::run::folder::RunFolder;

fn tensors() -> BTreeMap<String, TensorBytes> {
    let wave = |n: usize| (0..n).map(|i| (i as f32).sin()).collect();
    BTreeMap::from([
        ("encoder.weight".to_owned(), TensorBytes { shape: vec![3, 5], data: wave(15) }),
        ("empty".to_owned(), TensorBytes { shape: vec![0, 4], data: Vec::new() }),
        ("temperature".to_owned(), TensorBytes { shape: Vec::new(), data: vec![f32::MIN_POSITIVE / 2.0] }),
        // more than passes through memory at a time
        ("large".to_owned(), TensorBytes { shape: vec![40_000], data: wave(40_000) }),
    ])
}

fn small() -> BTreeMap<String, TensorBytes> {
    BTreeMap::from([(
        "w".to_owned(),
        TensorBytes { shape: vec![2, 3], data: vec![1.0, -2.0, 0.5, 0.0, -0.0, 1e-30] },
    )])
}

fn saved_at(steps: &[u64]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for step in steps {
        save(
            folder.path(),
            *step,
            "c0ffee",
            &small(),
            &json!({"position": step, "note": "a \"quoted\" word"}),
        )
        .unwrap();
    }
    folder
}

fn steps(folder: &Path) -> Vec<u64> {
    list(folder).unwrap().into_iter().map(|(step, _)| step).collect()
}

#[test]
fn a_checkpoint_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let state = json!({"position": 12, "best": 0.1, "names": ["a", "é"]});
    let path = save(folder.path(), 500, "c0ffee", &tensors(), &state).unwrap();
    assert_eq!(path, folder.path().join("step-000500.safetensors"));
    let checkpoint = load(&path).unwrap();
    assert_eq!((checkpoint.step, checkpoint.config.as_str()), (500, "c0ffee"));
    assert_eq!(checkpoint.state, state);
    let bits = |tensors: &BTreeMap<String, TensorBytes>| -> Vec<(String, Vec<usize>, Vec<u32>)> {
        let bits = |tensor: &TensorBytes| tensor.data.iter().map(|value| value.to_bits()).collect();
        tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone(), bits(tensor))).collect()
    };
    assert_eq!(bits(&checkpoint.tensors), bits(&tensors()));
}

#[test]
fn the_same_state_makes_the_same_bytes() {
    let (first, second) = (saved_at(&[7]), saved_at(&[7]));
    let read = |folder: &TempDir| fs::read(folder.path().join("step-000007.safetensors")).unwrap();
    assert_eq!(read(&first), read(&second));
}

#[test]
fn the_safetensors_library_reads_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(save(folder.path(), 1, "c0ffee", &tensors(), &json!({})).unwrap()).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.len(), 4);
    let view = read.tensor("encoder.weight").unwrap();
    assert_eq!(view.shape(), [3, 5]);
    assert_eq!(view.data()[4..8], 1f32.sin().to_le_bytes());
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["step"], "1");
}

#[test]
fn the_latest_is_the_highest_step_and_the_oldest_are_pruned() {
    let folder = saved_at(&[1_000_000, 999_999, 5]);
    assert_eq!(latest(folder.path()).unwrap().unwrap().step, 1_000_000);
    prune(folder.path(), 2).unwrap();
    assert_eq!(steps(folder.path()), [999_999, 1_000_000]);
    prune(folder.path(), 0).unwrap();
    assert_eq!(steps(folder.path()), [1_000_000]);
}

#[test]
fn a_folder_without_checkpoints_has_no_latest() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(latest(folder.path()).unwrap(), None);
    assert_eq!(latest(&folder.path().join("not-there")).unwrap(), None);
}

#[test]
fn a_kill_in_the_middle_of_saving_leaves_the_checkpoint_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    let whole = fs::read(save(&checkpoints, 400, "c0ffee", &small(), &json!({})).unwrap()).unwrap();
    // what a killed process leaves: the file under its unfinished name, cut anywhere
    let leftover = checkpoints.join(".unfinished-123-step-000500.safetensors");
    fs::write(&leftover, &whole[..whole.len() / 2]).unwrap();

    let run = RunFolder::open(folder.path()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(latest(&run.checkpoints()).unwrap().unwrap().step, 400);
}

#[test]
fn a_damaged_checkpoint_names_the_one_to_go_on_from() {
    let folder = saved_at(&[400, 500]);
    let path = folder.path().join("step-000500.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let shown =
        |error: &CheckpointError| render(error, false).replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(shown(&latest(folder.path()).unwrap_err()), @r"
    error: checkpoint step-000500.safetensors is damaged: its content does not match its checksum
      hint: remove it to go on from step-000400
    ");
    bytes.truncate(bytes.len() - 6);
    fs::write(&path, &bytes).unwrap();
    insta::assert_snapshot!(shown(&latest(folder.path()).unwrap_err()), @r"
    error: checkpoint step-000500.safetensors is damaged: 6 bytes are missing at its end
      hint: remove it to go on from step-000400
    ");

    fs::remove_file(&path).unwrap();
    assert_eq!(latest(folder.path()).unwrap().unwrap().step, 400);
}

#[test]
fn every_single_flipped_bit_is_found() {
    let folder = saved_at(&[3]);
    let whole = fs::read(folder.path().join("step-000003.safetensors")).unwrap();
    let damaged = folder.path().join("step-000009.safetensors");
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&damaged, &bytes).unwrap();
        let error = load(&damaged).expect_err("a flipped bit");
        assert!(matches!(error, CheckpointError::Damaged { older_step: Some(3), .. }), "bit {bit}: {error}");
    }
}

#[test]
fn every_truncation_is_found() {
    let folder = saved_at(&[3]);
    let path = folder.path().join("step-000003.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = load(&path).expect_err("a missing end");
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{length} bytes: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn overwritten_stretches_and_longer_files_are_found(
        start in any::<prop::sample::Index>(),
        stretch in proptest::collection::vec(any::<u8>(), 1..40),
        is_appended in any::<bool>(),
    ) {
        let folder = saved_at(&[3]);
        let path = folder.path().join("step-000003.safetensors");
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        if is_appended {
            bytes.extend(&stretch);
        } else {
            let start = start.index(bytes.len());
            let end = bytes.len().min(start + stretch.len());
            bytes[start..end].copy_from_slice(&stretch[..end - start]);
        }
        prop_assume!(bytes != whole);
        fs::write(&path, &bytes).unwrap();
        let error = load(&path).expect_err("not what was saved");
        prop_assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
    }
}
