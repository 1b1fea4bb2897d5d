//! Recordings that are longer than a model hears at once.

use std::fs::File;
use std::path::Path;

use triptych_datasets::audio::{
    AudioError, AudioPipeline, PieceLengths, RATE_HZ, SAMPLES_PER_FRAME, SoundPiece, SoundPieces,
};

use super::inference::Inference;
use super::media::{MediaError, Recording, batch_of_recordings};

/// What is left behind the last whole piece is heard from this length on.
const LEAST_S: f64 = 0.1;

/// What a piece hears at either end besides what is written of it, at most an eighth of the piece.
const OVERLAP_S: f64 = 2.0;

/// Opens a recording, to be heard in pieces.
fn open(path: &Path, lengths: PieceLengths) -> Result<SoundPieces<'static>, MediaError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    Ok(SoundPieces::open(Box::new(File::open(path)?), &extension, lengths)?)
}

/// A piece as the model hears it.
fn recording(piece: SoundPiece, pipeline: &AudioPipeline) -> Recording {
    let duration_s = piece.samples.len() as f64 / f64::from(RATE_HZ);
    Recording { frames: pipeline.frames(piece.samples, None), duration_s }
}

/// The embedding of a recording of any length, of length 1: the mean over pieces of at most `max_s`, each as heavy as it is
/// long.
///
/// # Errors
/// When it cannot be read or is no recording.
pub(crate) fn embed_recording(
    inference: &Inference<'_>,
    path: &Path,
    pipeline: &AudioPipeline,
    max_s: f64,
) -> Result<Vec<f32>, MediaError> {
    let lengths = PieceLengths { heard: ((max_s * f64::from(RATE_HZ)) as usize).max(1), overlap: 0 };
    let mut pieces = open(path, lengths)?;
    let mut sum: Vec<f64> = Vec::new();
    while let Some(piece) = pieces.read()? {
        let is_first = piece.start == 0;
        let recording = recording(piece, pipeline);
        if !is_first && recording.duration_s < LEAST_S {
            continue;
        }
        let weight = recording.duration_s;
        let Some(batch) = batch_of_recordings(vec![recording]) else { continue };
        let embedding = inference.embed_sounds(&batch).into_iter().flatten();
        let weighted = embedding.map(|value| f64::from(value) * weight).collect::<Vec<_>>();
        sum.resize(weighted.len(), 0.0);
        sum.iter_mut().zip(weighted).for_each(|(sum, value)| *sum += value);
    }
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    Ok(sum.into_iter().map(|value| (value / length) as f32).collect())
}

/// What CTC hears of a recording of any length.
pub(crate) struct LongLabels {
    /// `[n_tokens, n_labels]`, natural log-probabilities; each piece gives those that have heard enough to both sides.
    pub(crate) labels: Vec<f32>,
    /// Length of the recording.
    pub(crate) duration_s: f64,
}

/// What CTC hears of a recording of any length, in pieces of at most `max_s`, by a model of one token for `frames_per_token`
/// frames and of `n_labels` labels.
///
/// # Errors
/// When it cannot be read or is no recording, or pieces would be shorter than a few tokens.
///
/// # Panics
/// When the model has no CTC head.
pub(crate) fn long_labels(
    inference: &Inference<'_>,
    path: &Path,
    pipeline: &AudioPipeline,
    max_s: f64,
    [frames_per_token, n_labels]: [usize; 2],
) -> Result<LongLabels, MediaError> {
    let step = frames_per_token.max(1) * SAMPLES_PER_FRAME;
    let rounded = |duration_s: f64| (duration_s * f64::from(RATE_HZ)) as usize / step * step;
    let heard = rounded(max_s).max(step);
    let lengths = PieceLengths { heard, overlap: rounded(OVERLAP_S.min(max_s / 8.0)) };
    let mut pieces = open(path, lengths)?;
    let mut long = LongLabels { labels: Vec::new(), duration_s: 0.0 };
    while let Some(piece) = pieces.read()? {
        let is_last = piece.kept.end == piece.samples.len();
        let (kept, [_, end_s]) = (piece.kept.clone(), piece.kept_s());
        let Some(batch) = batch_of_recordings(vec![recording(piece, pipeline)]) else { continue };
        let rows = inference.hear(&batch).labels.expect("a model with a CTC head");
        let labels = rows.into_iter().next().unwrap_or_default();
        let n_tokens = labels.len() / n_labels.max(1);
        // pieces begin where tokens do
        let last = if is_last { n_tokens } else { (kept.end / step).min(n_tokens) };
        let first = (kept.start / step).min(last);
        long.labels.extend_from_slice(&labels[first * n_labels..last * n_labels]);
        long.duration_s = end_s;
    }
    if long.labels.is_empty() {
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        return Err(AudioError::Silent { extension }.into());
    }
    Ok(long)
}
