//! Recordings of any length as vectors, piece by piece.

use std::fs::File;
use std::path::Path;

use triptych_datasets::audio::{PieceLengths, RATE_HZ, SoundPieces};

use super::embedder::{Embedder, MAX_SOUND_S};

/// What a piece of a longer recording hears at either end besides what counts, in seconds.
const OVERLAP_S: f64 = 5.0;

/// The shortest chunk, in seconds.
pub(super) const MIN_CHUNK_S: f64 = 1.0;

/// A vector of a recording, and which part of it that is, in seconds, where it is one of several.
pub(super) type Heard = (Vec<f32>, Option<[f64; 2]>);

/// One vector of a recording: the mean over its tokens, or, with `chunk_s`, one for each of its chunks.
///
/// # Errors
/// A file that cannot be read or is no recording, and one that is too short.
pub(super) fn embed(embedder: &Embedder, path: &Path, chunk_s: Option<f64>) -> Result<Vec<Heard>, String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let step = embedder.token_samples();
    // pieces begin where tokens do
    let samples = |duration_s: f64| ((duration_s * f64::from(RATE_HZ)) as usize / step).max(1) * step;
    let lengths = match chunk_s {
        Some(chunk_s) => PieceLengths { heard: samples(chunk_s), overlap: 0 },
        None => PieceLengths { heard: samples(MAX_SOUND_S), overlap: samples(OVERLAP_S) },
    };
    lengths.check()?;
    let mut pieces = SoundPieces::open(Box::new(file), &super::extension(path), lengths)
        .map_err(|error| error.to_string())?;
    let (mut rows, mut sum, mut n_tokens) = (Vec::new(), Vec::<f64>::new(), 0);
    while let Some(piece) = pieces.read().map_err(|error| error.to_string())? {
        let is_whole = piece.start == 0 && piece.kept == (0..piece.samples.len());
        let kept_s = piece.kept_s();
        if chunk_s.is_some() {
            match embedder.embed_sound(piece.samples) {
                Ok(vector) => rows.push((vector, Some(kept_s))),
                // too little is left behind the last whole chunk
                Err(_) if !rows.is_empty() => {}
                Err(problem) => return Err(problem),
            }
        } else if is_whole {
            return Ok(vec![(embedder.embed_sound(piece.samples)?, None)]);
        } else {
            let (of_piece, n) = embedder.sum_of_tokens(piece.samples, piece.kept)?;
            sum.resize(of_piece.len().max(sum.len()), 0.0);
            sum.iter_mut().zip(of_piece).for_each(|(sum, value)| *sum += f64::from(value));
            n_tokens += n;
        }
    }
    if chunk_s.is_none() {
        rows.push((sum.into_iter().map(|sum| (sum / n_tokens.max(1) as f64) as f32).collect(), None));
    }
    Ok(rows)
}
