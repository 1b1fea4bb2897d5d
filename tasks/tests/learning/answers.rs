//! Answers come from the question and from what it is about, and from both together.

use burn::module::Module;
use burn::prelude::*;
use triptych_datasets::batch::{HostBatch, QuestionBatch, TextBatch};
use triptych_datasets::loader::text_batch;
use triptych_encoders::{AudioInput, ImageInput, TextInput};
use triptych_tasks::decode::causal::{Marks, search};
use triptych_tasks::model::Model;
use triptych_tasks::objectives::find;

use crate::adam::Adam;
use crate::fixture::{TOKEN_IDS, batch, loss, loss_value, tiny_model};

/// At most.
const N_STEPS: usize = 1000;
const LR: f32 = 5e-3;

fn texts(rows: &[Vec<u32>]) -> TextBatch {
    text_batch(&rows.iter().cloned().map(Some).collect::<Vec<_>>()).expect("at least one row")
}

/// Rows 2k and 2k + 1 have the same picture and sound; every even row is asked one thing, every odd row another. No
/// answer can be told by the question or the medium alone.
fn crossed(n: usize) -> HostBatch {
    let mut batch = batch(n);
    if let Some(image) = &mut batch.image {
        let size = image.height * image.width * 3;
        (1..n).step_by(2).for_each(|row| image.pixels.copy_within((row - 1) * size..row * size, row * size));
    }
    if let Some(audio) = &mut batch.audio {
        let size = audio.n_frames * audio.n_mels;
        (1..n).step_by(2).for_each(|row| {
            audio.frames.copy_within((row - 1) * size..row * size, row * size);
            audio.lengths[row] = audio.lengths[row - 1];
        });
    }
    let first = TOKEN_IDS.first_ordinary;
    let asked = QuestionBatch {
        questions: texts(&(0..n).map(|row| vec![first + 1 + row as u32 % 2, first]).collect::<Vec<_>>()),
        answers: texts(&(0..n).map(|row| vec![first + 3 + row as u32, first + 2]).collect::<Vec<_>>()),
    };
    HostBatch { image_questions: Some(asked.clone()), audio_questions: Some(asked), ..batch }
}

/// How many rows of the batch a model answers rightly, token by token.
fn n_right(model: &Model, batch: &HostBatch, of_pictures: bool) -> usize {
    let device = Device::flex();
    let asked = batch.image_questions.as_ref().expect("they were made");
    let question = model.encode_text(&TextInput::new(&asked.questions, &device));
    let medium = if of_pictures {
        model.encode_image(&ImageInput::new(batch.image.as_ref().expect("all have one"), &device))
    } else {
        model.encode_audio(&AudioInput::new(batch.audio.as_ref().expect("all have one"), &device))
    };
    let marks = Marks { begin: TOKEN_IDS.begin, end: TOKEN_IDS.end, forbidden: vec![0, TOKEN_IDS.mask] };
    let written = search(&model.backbone, &[question, medium], &marks, 1).expect("marks that fit");
    let expected = asked.answers.ids.chunks(asked.answers.n_tokens);
    written.iter().zip(expected).filter(|(text, expected)| text.ids == *expected).count()
}

#[test]
fn what_is_learned_from_question_and_medium_is_answered_to_them() {
    const N: usize = 6;
    let device = Device::flex().autodiff();
    let batch = crossed(N);
    for name in ["answer", "answer_audio"] {
        let objective = find(name).expect("it is registered");
        let (mut model, mut adam) = (tiny_model(&device), Adam::new(LR));
        // half of them can be told by the medium alone, and which half only by the question
        let mut best = 0;
        for step in 1..=N_STEPS {
            let loss = loss(&model, &batch, objective, (1, 1), &device).expect("there are questions");
            model = adam.step(model, &loss.backward());
            if step % 50 == 0 {
                best = best.max(n_right(&model.valid(), &batch, name == "answer"));
            }
            if best == N {
                break;
            }
        }
        assert_eq!(best, N, "{name}");
    }
}

#[test]
fn a_loss_is_of_the_answers_tokens_and_their_ends_alone() {
    let model = tiny_model(&Device::flex());
    let objective = find("answer")
        .expect("it is registered")
        .with(&serde_json::from_value(serde_json::json!({"label_smoothing": 0.0})).expect("a table"));
    let objective = objective.expect("an option that it has");
    let value = |batch: &HostBatch| loss_value(&model, batch, &*objective).expect("there are questions");
    let whole = crossed(4);
    // the mean over 4 answers of 3 tokens each is the mean of the rows' means
    let row = |row: usize| {
        let mut alone = whole.clone();
        let asked = alone.image_questions.as_mut().expect("they were made");
        for text in [&mut asked.questions, &mut asked.answers] {
            text.ids = text.ids[row * text.n_tokens..][..text.n_tokens].to_vec();
            (text.rows, text.lengths) = (vec![row], vec![text.lengths[row]]);
        }
        value(&alone)
    };
    let mean = (0..4).map(row).sum::<f32>() / 4.0;
    assert!((value(&whole) - mean).abs() < 1e-5, "{}, not {mean}", value(&whole));
    // another question changes it through what the answer sees alone
    let mut other = whole.clone();
    other.image_questions.as_mut().expect("they were made").questions.ids.rotate_left(1);
    assert_ne!(value(&whole), value(&other));
    let captions = HostBatch { image_questions: None, ..whole };
    assert_eq!(loss_value(&model, &captions, &*objective), None);
}
