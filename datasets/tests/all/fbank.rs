//! Parity of the filterbank with torchaudio's Kaldi. `tests/golden/fbank.py` made the values.

use triptych_datasets::audio::{Fbank, FbankOptions};

use crate::golden;
use crate::log_mel::signal;

/// From the definition in float64. Values are natural logarithms of about -16 to 15; the quietest bands, where the
/// logarithm is steepest, lose most by float32: one of them 9.0e-4 in the order in which the transform across frames adds.
const FROM_DEFINITION: f32 = 1e-3;
/// From torchaudio, whose own float32 is up to 6.9e-4 from the definition in the quietest bands; both add up.
const FROM_TORCHAUDIO: f32 = 1.6e-3;
/// Nearly all values are as near as this to torchaudio's, in median and at the 97th percentile.
const NEARLY_ALL: f32 = 1e-4;

#[test]
fn frames_agree_with_torchaudios_kaldi() {
    let torchaudio = golden::floats(include_bytes!("../golden/fbank.npy"));
    let definition = golden::floats(include_bytes!("../golden/fbank_float64.npy"));
    let mut got = Vec::new();
    for (n_mels, n_samples, seed, snip_edges, scale) in [
        (80, 4800, 1, true, 1.0),
        (128, 3217, 2, true, 32768.0),
        (80, 3217, 2, false, 1.0),
        (23, 1600, 4, false, 32768.0),
        (40, 400, 5, true, 1.0),
        (80, 401, 6, false, 1.0),
    ] {
        let options = FbankOptions { scale, snip_edges, dither: 0.0 };
        got.extend(Fbank::new(n_mels, options).frames(&signal(n_samples, seed)).values);
    }
    let from_definition = golden::differences(&got, &definition);
    assert!(from_definition[got.len() - 1] < FROM_DEFINITION, "off by {}", from_definition[got.len() - 1]);
    let from_torchaudio = golden::differences(&got, &torchaudio);
    assert!(from_torchaudio[got.len() - 1] < FROM_TORCHAUDIO, "off by {}", from_torchaudio[got.len() - 1]);
    let most = from_torchaudio[got.len() * 97 / 100];
    assert!(most < NEARLY_ALL, "a value of 33 is off by {most}");
}
