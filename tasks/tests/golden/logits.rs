//! The processing of logits against transformers' logits processors.

use serde::Deserialize;
use triptych_tasks::decode::logits::{min_p, repetition_penalty, temperature, top_k, top_p};

use crate::golden;

/// Six printed decimals, and single precision.
const LOGIT_TOLERANCE: f32 = 2e-6;

#[derive(Deserialize)]
struct Case {
    processor: String,
    value: f32,
    written: Vec<u32>,
    logits: Vec<f32>,
    /// `None` where a token is taken out.
    after: Vec<Option<f32>>,
}

#[test]
fn logits_are_processed_as_in_transformers() {
    for Case { processor, value, written, mut logits, after } in golden::<Vec<Case>>("logits.json") {
        match processor.as_str() {
            "repetition_penalty" => repetition_penalty(&mut logits, &written, value),
            "temperature" => temperature(&mut logits, value),
            "top_k" => top_k(&mut logits, value as usize),
            "top_p" => top_p(&mut logits, value),
            "min_p" => min_p(&mut logits, value),
            _ => {
                repetition_penalty(&mut logits, &written, 1.2);
                temperature(&mut logits, 0.8);
                top_k(&mut logits, 12);
                top_p(&mut logits, 0.8);
                min_p(&mut logits, 0.1);
            }
        }
        assert_eq!(logits.len(), after.len());
        for (id, (ours, expected)) in logits.iter().zip(after).enumerate() {
            let expected = expected.unwrap_or(f32::NEG_INFINITY);
            let is_near =
                *ours == expected || (ours - expected).abs() <= LOGIT_TOLERANCE * expected.abs().max(1.0);
            assert!(is_near, "{processor} {value}, token {id}: expected {expected}, got {ours}");
        }
    }
}
