//! Parity of the log-mel front end with Whisper's definition, whose values `tests/golden/log_mel.py` made, and with
//! Whisper itself, by `tests/golden/log_mel_whisper.py`.

use serde_json::Value;
use triptych_datasets::audio::LogMel;

use crate::golden;

/// float32 against float64; the quietest bands, where the logarithm is steepest, are 4.1e-5 apart. A log-mel value is
/// about -1.5 to 1.5.
const TOLERANCE: f32 = 1e-4;

pub(crate) fn signal(n_samples: usize, seed: usize) -> Vec<f32> {
    use std::f64::consts::TAU;
    let sample = |i: usize| {
        let t = i as f64 / 16_000.0;
        let noise = ((i * 1_103_515_245 + seed * 12_345) % 65_536) as f64 / 32_768.0 - 1.0;
        let rising = 0.4 * (TAU * (300.0 * t + 4000.0 * t * t)).sin();
        let steady = 0.2 * (TAU * 120.0 * seed as f64 * t).sin();
        (rising + steady + 0.01 * noise) as f32
    };
    (0..n_samples).map(sample).collect()
}

#[test]
fn frames_agree_with_whispers_definition() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/log_mel.json")).expect("the golden file is JSON");
    let cases = golden["cases"].as_array().expect("a list of cases");
    assert_eq!(cases.len(), 6);
    for case in cases {
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let (n_mels, n_samples, seed) = (number("n_mels"), number("n_samples"), number("seed"));
        let frames = LogMel::new(n_mels).frames(&signal(n_samples, seed));
        assert_eq!(frames.n_frames, number("n_frames"), "{n_samples} samples");
        let expected = case["values"].as_array().expect("a list of values");
        assert_eq!(frames.values.len(), expected.len());
        let errors = frames.values.iter().zip(expected).map(|(got, expected)| {
            let expected = expected.as_f64().expect("a number") as f32;
            (got - expected).abs()
        });
        let largest = errors.fold(0.0f32, f32::max);
        assert!(largest < TOLERANCE, "off by {largest} with {n_mels} bands and {n_samples} samples");
    }
}

#[test]
fn frames_agree_with_whisper_itself() {
    let golden = golden::floats(include_bytes!("../golden/log_mel_whisper.npy"));
    let mut rest = golden.as_slice();
    for (n_mels, n_samples, seed) in [(80, 4800, 1), (128, 4800, 1), (128, 3217, 2), (80, 401, 6)] {
        let frames = LogMel::new(n_mels).frames(&signal(n_samples, seed));
        let (expected, behind) = rest.split_at(frames.values.len());
        rest = behind;
        let largest = golden::largest_difference(&frames.values, expected);
        assert!(largest < TOLERANCE, "off by {largest} with {n_mels} bands and {n_samples} samples");
    }
    assert!(rest.is_empty(), "{} values too many", rest.len());
}
