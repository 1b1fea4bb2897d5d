//! The metrics against jiwer, pycocoevalcap, sacrebleu, CLIP_benchmark, scikit-learn, the VQA evaluation and Whisper's
//! normalisers, InfoNCE against open_clip's, the other objectives against PyTorch, those on pairs with their gradients, CTC
//! decoding against kenlm and pyctcdecode, logits and Whisper's decoding against transformers and openai-whisper: the scripts
//! beside this made the values.

mod answers;
mod captions;
mod contrastive;
mod ctc;
mod linear_probe;
mod logits;
mod objectives;
mod pairs;
mod retrieval;
mod scores;
mod transcripts;
mod whisper;
mod whisper_model;

use std::path::Path;

use serde::de::DeserializeOwned;

/// How far a score that is not a count may be off: what ten printed digits and another order of sums leave.
const TOLERANCE: f64 = 1e-9;

/// Reads a file of golden values.
fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn assert_near(ours: f64, golden: f64, what: &str) {
    let scale = golden.abs().max(1.0);
    assert!((ours - golden).abs() <= TOLERANCE * scale, "{what}: expected {golden}, got {ours}");
}
