//! Evaluation: what a trained model scores on data that it never saw.

mod answers;
mod holdouts;
mod inference;
mod judge;
mod long_sounds;
mod media;
mod predictions;
mod recognition;
mod retrieval;
mod score_row;
mod zero_shot;

pub(crate) use answers::{answer_all, asked};
pub(crate) use holdouts::{Perceptions, measure, members};
pub use inference::InferenceError;
pub(crate) use inference::{Inference, Manner, Readout};
pub(crate) use judge::Judge;
pub(crate) use long_sounds::{LongLabels, embed_recording, long_labels};
pub(crate) use media::{
    Media, MediaError, batch_of_pictures, batch_of_recordings, picture, read_media, read_picture,
    read_recording, recording,
};
pub use predictions::{
    AnswerPrediction, CaptionPrediction, ClassOutcome, ClassificationPrediction, ClassifiedSample, Found,
    Item, Predictions, PredictionsError, SearchPrediction, TranscriptPrediction,
};
pub use recognition::Confusion;
pub(crate) use recognition::{Recognition, confusions, worst_first};
pub use score_row::{ScoreRow, ScoresError, read_scores, write_scores};
pub use zero_shot::ClassifyError;
pub(crate) use zero_shot::{Classes, classify};
