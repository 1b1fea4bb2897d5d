//! A batch cut into smaller ones.

use std::ops::Range;

use triptych_datasets::batch::{AudioBatch, HostBatch, ImageBatch, QuestionBatch, TextBatch};

/// Cuts a batch into at most `n_pieces` of rows that follow one another, as equal as can be and none empty. Rows are padded
/// as widely as they were, so that each stays what it is.
///
/// How pictures were blended is left out: it names rows of other pieces.
pub(super) fn pieces(batch: &HostBatch, n_pieces: usize) -> Vec<HostBatch> {
    let n = batch.ids.len();
    let n_pieces = n_pieces.clamp(1, n.max(1));
    (0..n_pieces).map(|piece| cut(batch, piece * n / n_pieces..(piece + 1) * n / n_pieces)).collect()
}

fn cut(batch: &HostBatch, rows: Range<usize>) -> HostBatch {
    let places = |all: &[usize]| {
        all.partition_point(|&row| row < rows.start)..all.partition_point(|&row| row < rows.end)
    };
    let own = |all: &[usize], places: &Range<usize>| {
        all[places.clone()].iter().map(|row| row - rows.start).collect::<Vec<_>>()
    };
    let values = |places: &Range<usize>, size: usize| places.start * size..places.end * size;
    let cut_text = |text: &TextBatch| {
        let places = places(&text.rows);
        TextBatch {
            rows: own(&text.rows, &places),
            ids: text.ids[values(&places, text.n_tokens)].to_vec(),
            lengths: text.lengths[places].to_vec(),
            n_tokens: text.n_tokens,
        }
    };
    let cut_questions = |asked: &QuestionBatch| QuestionBatch {
        questions: cut_text(&asked.questions),
        answers: cut_text(&asked.answers),
    };
    let questions = [&batch.image_questions, &batch.audio_questions]
        .map(|asked| asked.as_ref().map(cut_questions).filter(|asked| !asked.questions.rows.is_empty()));
    let [image_questions, audio_questions] = questions;
    let text = batch.text.as_ref().map(cut_text);
    let image = batch.image.as_ref().map(|image| {
        let (places, size) = (places(&image.rows), image.height * image.width * 3);
        ImageBatch {
            rows: own(&image.rows, &places),
            pixels: image.pixels[values(&places, size)].to_vec(),
            height: image.height,
            width: image.width,
        }
    });
    let audio = batch.audio.as_ref().map(|audio| {
        let (places, size) = (places(&audio.rows), audio.n_frames * audio.n_mels);
        AudioBatch {
            rows: own(&audio.rows, &places),
            frames: audio.frames[values(&places, size)].to_vec(),
            lengths: audio.lengths[places].to_vec(),
            n_frames: audio.n_frames,
            n_mels: audio.n_mels,
        }
    });
    HostBatch {
        ids: batch.ids[rows.clone()].to_vec(),
        // a modality that no row of a piece has is absent from it
        text: text.filter(|text| !text.rows.is_empty()),
        image: image.filter(|image| !image.rows.is_empty()),
        audio: audio.filter(|audio| !audio.rows.is_empty()),
        image_questions,
        audio_questions,
        mixup: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_lies_in_one_piece_with_what_it_has() {
        let batch = HostBatch {
            ids: ["a", "b", "c", "d", "e"].map(ToOwned::to_owned).to_vec(),
            text: Some(TextBatch {
                rows: vec![0, 1, 4],
                ids: vec![5, 0, 6, 7, 8, 0],
                lengths: vec![1, 2, 1],
                n_tokens: 2,
            }),
            image: None,
            audio: Some(AudioBatch {
                rows: vec![1, 1, 3],
                frames: vec![0.1, 0.2, 0.3],
                lengths: vec![1, 1, 1],
                n_frames: 1,
                n_mels: 1,
            }),
            image_questions: None,
            audio_questions: Some(QuestionBatch {
                questions: TextBatch { rows: vec![3], ids: vec![9], lengths: vec![1], n_tokens: 1 },
                answers: TextBatch { rows: vec![3], ids: vec![6, 5], lengths: vec![2], n_tokens: 2 },
            }),
            mixup: None,
        };
        let [first, second] = pieces(&batch, 2).try_into().expect("two pieces");
        assert_eq!((first.ids, second.ids.clone()), (batch.ids[..2].to_vec(), batch.ids[2..].to_vec()));
        let (text, audio) = (first.text.expect("its rows have texts"), first.audio.expect("and sounds"));
        assert_eq!((text.rows, text.ids, text.lengths), (vec![0, 1], vec![5, 0, 6, 7], vec![1, 2]));
        assert_eq!((audio.rows, audio.frames), (vec![1, 1], vec![0.1, 0.2]));
        let (text, audio) = (second.text.expect("its rows have texts"), second.audio.expect("and sounds"));
        assert_eq!((text.rows, text.ids), (vec![2], vec![8, 0]));
        assert_eq!((audio.rows, audio.frames), (vec![1], vec![0.3]));
        let asked = second.audio_questions.expect("its sound is asked about");
        assert_eq!((asked.questions.rows, asked.questions.ids), (vec![1], vec![9]));
        assert_eq!((asked.answers.rows, asked.answers.ids), (vec![1], vec![6, 5]));
        assert_eq!((first.audio_questions, second.image_questions), (None, None));
        assert_eq!(pieces(&batch, 99).len(), 5);
        assert!(pieces(&batch, 5)[0].audio.is_none());
        assert_eq!(pieces(&HostBatch::default(), 3).len(), 1);
    }
}
