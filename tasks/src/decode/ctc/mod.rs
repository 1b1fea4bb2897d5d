//! Decoding of CTC label scores: the best label of every frame, prefix beam search with a language model and hot words, and when
//! each word is said.

mod alignment;
mod error;
mod frames;
mod fusion;
mod hot_words;
mod prefix;
mod prefix_score;
mod vocabulary;

use burn::prelude::*;
use burn::tensor::activation::log_softmax;

pub use alignment::{Span, TimedWord, align, words};
pub use error::CtcError;
pub use frames::Frames;
pub use fusion::{Fusion, LanguageModel};
pub use hot_words::HotWords;
pub use prefix::{Hypothesis, PrefixSearch};
pub use prefix_score::{PrefixScorer, PrefixState};
pub use vocabulary::Vocabulary;

use super::Decoded;

/// The best label of every frame, repetitions merged and blanks dropped (Graves et al. 2006, section 3.2).
///
/// # Shapes
/// `logits` is `[batch, n_frames, n_labels]`; `lengths` counts the frames of each row that carry sound.
///
/// # Errors
/// A row without a frame, or scores that are NaN.
pub fn greedy(logits: Tensor<3>, lengths: &[usize], blank: u32) -> Result<Vec<Decoded>, CtcError> {
    let [_, _, n_labels] = logits.dims();
    let rows = log_probabilities(logits, lengths);
    rows.iter().map(|row| best_path(&Frames::new(row, n_labels)?, blank)).collect()
}

/// Natural log-probabilities of the frames that carry sound, for every row.
///
/// # Shapes
/// `[batch, n_frames, n_labels]` -> `batch` times `[length, n_labels]`
///
/// # Panics
/// When a length is longer than the frames.
pub fn log_probabilities(logits: Tensor<3>, lengths: &[usize]) -> Vec<Vec<f32>> {
    let [_, n_frames, n_labels] = logits.dims();
    let scores = log_softmax(logits, 2).into_data().convert::<f32>();
    let scores = scores.as_slice::<f32>().expect("converted to float32");
    let row = |(row, length): (usize, &usize)| {
        let start = row * n_frames * n_labels;
        scores[start..start + length * n_labels].to_vec()
    };
    lengths.iter().enumerate().map(row).collect()
}

/// The best label of every frame of one row, repetitions merged and blanks dropped. Its confidence is the mean over frames.
///
/// # Errors
/// A blank outside the vocabulary.
pub fn best_path(frames: &Frames<'_>, blank: u32) -> Result<Decoded, CtcError> {
    frames.check(blank)?;
    let (mut ids, mut previous, mut total) = (Vec::new(), blank, 0.0);
    for frame in frames.iter() {
        let (label, score) = best(frame);
        total += score;
        if label != blank && label != previous {
            ids.push(label);
        }
        previous = label;
    }
    Ok(Decoded { ids, confidence: total / frames.len() as f32 })
}

/// The first of the highest scores.
fn best(scores: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (label, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (label as u32, score);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_merge_unless_a_blank_parts_them_and_padding_is_not_read() {
        let path = [1, 1, 0, 1, 2, 2, 0, 3];
        let mut scores = vec![0.0f32; path.len() * 4];
        for (frame, label) in path.iter().enumerate() {
            scores[frame * 4 + label] = 5.0;
        }
        let logits = Tensor::<3>::from_data(TensorData::new(scores, [1, path.len(), 4]), &Device::flex());
        assert_eq!(greedy(logits.clone(), &[8], 0).unwrap()[0].ids, [1, 1, 2, 3]);
        assert_eq!(greedy(logits.clone(), &[6], 0).unwrap()[0].ids, [1, 1, 2]);
        assert_eq!(greedy(logits.clone(), &[0], 0), Err(CtcError::NoFrames));
        let nan = greedy(logits * f32::NAN, &[8], 0).unwrap_err().to_string();
        assert!(nan.starts_with("frame 0, label 0: expected a natural log-probability, got NaN"), "{nan}");
    }
}
