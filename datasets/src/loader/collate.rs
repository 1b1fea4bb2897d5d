//! Rows to batches. A row's values never depend on its neighbours, only the width of its padding does.

use crate::audio::Frames;
use crate::batch::{AudioBatch, ImageBatch, QuestionBatch, TextBatch};
use crate::text::PAD;

/// Stems halve the frames up to twice.
pub(super) const FRAMES_MULTIPLE: usize = 4;

/// Token rows to a batch; `None` rows are absent.
///
/// # Shapes
/// Rows of `[n_tokens]` become `[batch, n_tokens]` of the longest row, at least 1, padded with [`PAD`].
pub fn text_batch(rows: &[Option<Vec<u32>>]) -> Option<TextBatch> {
    let present = present(rows)?;
    let n_tokens = present.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0).max(1);
    let mut batch = TextBatch { n_tokens, ..TextBatch::default() };
    for (row, ids) in present {
        batch.rows.push(row);
        batch.lengths.push(ids.len());
        batch.ids.extend_from_slice(ids);
        batch.ids.resize(batch.rows.len() * n_tokens, PAD);
    }
    Some(batch)
}

/// Questions and their answers in tokens to a batch; `None` rows are absent.
///
/// # Shapes
/// As of [`text_batch`], questions and answers each.
pub fn question_batch(rows: Vec<Option<[Vec<u32>; 2]>>) -> Option<QuestionBatch> {
    let pairs = rows.into_iter().map(|row| row.map(|[question, answer]| (question, answer)).unzip());
    let (questions, answers) = pairs.unzip::<_, _, Vec<_>, Vec<_>>();
    Some(QuestionBatch { questions: text_batch(&questions)?, answers: text_batch(&answers)? })
}

/// Normalised pictures of one side to a batch; `None` rows are absent.
///
/// # Shapes
/// Rows of `[side, side, 3]` become `[batch, side, side, 3]`.
///
/// # Panics
/// If a row has another size.
pub fn image_batch(rows: &[Option<Vec<f32>>], side: usize) -> Option<ImageBatch> {
    let present = present(rows)?;
    let mut batch = ImageBatch { height: side, width: side, ..ImageBatch::default() };
    batch.pixels.reserve_exact(present.len() * side * side * 3);
    for (row, pixels) in present {
        assert_eq!(pixels.len(), side * side * 3, "a picture of another side than {side}");
        batch.rows.push(row);
        batch.pixels.extend_from_slice(pixels);
    }
    Some(batch)
}

/// Log-mel clips to a batch; `None` rows are absent.
///
/// # Shapes
/// Rows of `[n_frames, n_mels]` become `[batch, n_frames, n_mels]` of the longest row, rounded up to a multiple of
/// 4, padded with 0.
///
/// # Panics
/// If the rows differ in `n_mels`.
pub fn audio_batch(rows: &[Option<Frames>]) -> Option<AudioBatch> {
    sounds_batch(&present(rows)?)
}

/// The same of clips with the numbers of their rows, which rise and may repeat.
pub(super) fn sounds_batch(present: &[(usize, &Frames)]) -> Option<AudioBatch> {
    let n_mels = present.first()?.1.n_mels;
    let longest = present.iter().map(|(_, clip)| clip.n_frames).max().unwrap_or(0);
    let n_frames = longest.next_multiple_of(FRAMES_MULTIPLE).max(FRAMES_MULTIPLE);
    let mut batch = AudioBatch { n_frames, n_mels, ..AudioBatch::default() };
    batch.frames.reserve_exact(present.len() * n_frames * n_mels);
    for &(row, clip) in present {
        assert_eq!(clip.n_mels, n_mels, "clips of different mel bands");
        batch.rows.push(row);
        batch.lengths.push(clip.n_frames);
        batch.frames.extend_from_slice(&clip.values);
        batch.frames.resize(batch.rows.len() * n_frames * n_mels, 0.0);
    }
    Some(batch)
}

/// The rows that are there with their numbers; `None` if there is none.
fn present<T>(rows: &[Option<T>]) -> Option<Vec<(usize, &T)>> {
    let present: Vec<(usize, &T)> =
        rows.iter().enumerate().filter_map(|(row, value)| value.as_ref().map(|value| (row, value))).collect();
    (!present.is_empty()).then_some(present)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_rows_are_left_out_and_named() {
        let batch = text_batch(&[Some(vec![7, 8]), None, Some(vec![9])]).expect("two rows are there");
        assert_eq!((batch.rows, batch.lengths, batch.n_tokens), (vec![0, 2], vec![2, 1], 2));
        assert_eq!(batch.ids, [7, 8, 9, PAD]);
        assert_eq!(text_batch(&[None, None]), None);
        assert_eq!(image_batch(&[None], 2), None);
    }

    #[test]
    fn frames_are_padded_to_a_multiple_of_four() {
        let clip = |n_frames| Some(Frames { values: vec![1.0; n_frames * 3], n_frames, n_mels: 3 });
        let batch = audio_batch(&[clip(5), clip(2)]).expect("two rows are there");
        assert_eq!((batch.n_frames, batch.n_mels, batch.lengths), (8, 3, vec![5, 2]));
        assert_eq!(batch.frames.len(), 2 * 8 * 3);
        assert_eq!(batch.frames.iter().filter(|v| **v == 1.0).count(), 7 * 3);
        assert!(batch.frames[30..].iter().all(|v| *v == 0.0));
    }
}
