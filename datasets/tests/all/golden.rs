//! Reference values, as the scripts in `tests/golden/` left them.

use triptych_datasets::npy::{Values, read};

pub(crate) fn floats(file: &[u8]) -> Vec<f32> {
    match read(file).expect("the golden file is whole").values {
        Values::F32(values) => values,
        Values::U8(_) => panic!("the golden file holds bytes"),
    }
}

/// In rising order.
pub(crate) fn differences(got: &[f32], expected: &[f32]) -> Vec<f32> {
    assert_eq!(got.len(), expected.len());
    let mut differences: Vec<_> = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).collect();
    differences.sort_by(f32::total_cmp);
    differences
}

pub(crate) fn largest_difference(got: &[f32], expected: &[f32]) -> f32 {
    differences(got, expected).last().copied().expect("nothing was compared")
}

pub(crate) fn bytes(file: &[u8]) -> Vec<u8> {
    match read(file).expect("the golden file is whole").values {
        Values::U8(values) => values,
        Values::F32(_) => panic!("the golden file holds floats"),
    }
}
