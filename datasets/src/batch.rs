//! Batches on the host: flat vectors with shapes, built in worker threads and uploaded by the training thread.
//!
//! A modality that no sample of the batch has is `None`. Where only some samples have it, its batch holds those
//! rows alone and `rows` says which they are.

use crate::mixup::Mixup;

/// A batch of samples, any subset of three modalities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostBatch {
    /// The samples' groups, one a row of the batch.
    pub ids: Vec<String>,
    /// Tokenised captions or transcripts.
    pub text: Option<TextBatch>,
    /// Pictures.
    pub image: Option<ImageBatch>,
    /// Log-mel spectrograms.
    pub audio: Option<AudioBatch>,
    /// Questions about pictures of the batch.
    pub image_questions: Option<QuestionBatch>,
    /// Questions about sounds of the batch, a row's first.
    pub audio_questions: Option<QuestionBatch>,
    /// How the pictures were blended with one another, by their places in `image`; `None` where they were not.
    pub mixup: Option<Mixup>,
}

/// Token ids, padded at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextBatch {
    /// Which rows of the batch these are, rising.
    pub rows: Vec<usize>,
    /// `[batch, n_tokens]`, row by row, without begin and end marks.
    pub ids: Vec<u32>,
    /// Number of tokens of each row before the padding.
    pub lengths: Vec<usize>,
    /// Width of a row.
    pub n_tokens: usize,
}

/// Questions with the answers to them, the same rows in both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuestionBatch {
    /// What is asked.
    pub questions: TextBatch,
    /// What is to be answered.
    pub answers: TextBatch,
}

/// Pictures of one size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageBatch {
    /// Which rows of the batch these are, rising.
    pub rows: Vec<usize>,
    /// `[batch, height, width, 3]`, channels last, normalised to about zero mean and unit spread.
    pub pixels: Vec<f32>,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

/// Log-mel spectrograms, padded at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioBatch {
    /// Which rows of the batch these are, rising; a row stands here once for each of its sounds.
    pub rows: Vec<usize>,
    /// `[batch, n_frames, n_mels]`, frame by frame; padding is 0.
    pub frames: Vec<f32>,
    /// Number of frames of each row before the padding.
    pub lengths: Vec<usize>,
    /// Frames in a row.
    pub n_frames: usize,
    /// Mel bands in a frame.
    pub n_mels: usize,
}
