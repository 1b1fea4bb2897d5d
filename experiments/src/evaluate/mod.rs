//! Evaluation: what a trained model scores on data that it never saw.

mod score_row;

pub use score_row::{ScoreRow, ScoresError, read_scores, write_scores};
