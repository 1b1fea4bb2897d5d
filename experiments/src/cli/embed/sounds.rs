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
    let step = embedder.token_samples();
    // pieces begin where tokens do
    let samples = |duration_s: f64| ((duration_s * f64::from(RATE_HZ)) as usize / step).max(1) * step;
    let lengths = match chunk_s {
        Some(chunk_s) => PieceLengths { heard: samples(chunk_s), overlap: 0 },
        None => PieceLengths { heard: samples(MAX_SOUND_S), overlap: samples(OVERLAP_S) },
    };
    Ok(embed_pieces(embedder, path, lengths, chunk_s.is_some())?.0)
}

/// Its vectors, and over how many tokens the mean was taken where it was heard in several pieces.
fn embed_pieces(
    embedder: &Embedder,
    path: &Path,
    lengths: PieceLengths,
    is_chunked: bool,
) -> Result<(Vec<Heard>, usize), String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    lengths.check()?;
    let mut pieces = SoundPieces::open(Box::new(file), &super::extension(path), lengths)
        .map_err(|error| error.to_string())?;
    let (mut rows, mut sum, mut n_tokens) = (Vec::new(), Vec::<f64>::new(), 0);
    while let Some(piece) = pieces.read().map_err(|error| error.to_string())? {
        let is_whole = piece.start == 0 && piece.kept == (0..piece.samples.len());
        let kept_s = piece.kept_s();
        if is_chunked {
            match embedder.embed_sound(piece.samples) {
                Ok(vector) => rows.push((vector, Some(kept_s))),
                // too little is left behind the last whole chunk
                Err(_) if !rows.is_empty() => {}
                Err(problem) => return Err(problem),
            }
        } else if is_whole {
            return Ok((vec![(embedder.embed_sound(piece.samples)?, None)], 0));
        } else {
            let (of_piece, n) = embedder.sum_of_tokens(piece.samples, piece.kept)?;
            sum.resize(of_piece.len().max(sum.len()), 0.0);
            sum.iter_mut().zip(of_piece).for_each(|(sum, value)| *sum += f64::from(value));
            n_tokens += n;
        }
    }
    if !is_chunked {
        rows.push((sum.into_iter().map(|sum| (sum / n_tokens.max(1) as f64) as f32).collect(), None));
    }
    Ok((rows, n_tokens))
}

#[cfg(test)]
mod tests {
    use burn::prelude::Device;
    use triptych_datasets::audio::{Waveform, encode_wav};

    use super::*;

    #[test]
    fn every_token_of_a_long_sound_counts_once_and_a_short_one_is_heard_whole() {
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoders/tests/golden/published/wav2vec2");
        let embedder = Embedder::open(&golden, Device::flex()).expect("the golden model");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("sound.wav");
        let step = embedder.token_samples();
        let samples = (0..8123).map(|idx| (idx as f32 * 0.05).sin() * (idx % 700) as f32 / 700.0);
        let samples = samples.collect::<Vec<_>>();
        let wav = encode_wav(&Waveform { samples, rate_hz: RATE_HZ }).expect("a sound");
        std::fs::write(&path, wav).expect("a file");
        let embedded = |heard: usize, overlap: usize, is_chunked: bool| {
            let lengths = PieceLengths { heard: heard * step, overlap: overlap * step };
            embed_pieces(&embedder, &path, lengths, is_chunked).expect("it is a sound")
        };
        let (whole, _) = embedded(100_000, 20, false);
        assert_eq!((whole.len(), whole[0].1), (1, None));
        let samples =
            triptych_datasets::audio::decode_at_rate(&std::fs::read(&path).expect("a file"), "wav", 9.0);
        let samples = samples.expect("a sound");
        let n_samples = samples.len();
        let (_, n_tokens) = embedder.sum_of_tokens(samples.clone(), 0..n_samples).expect("it is long enough");
        assert_eq!(whole[0].0, embedder.embed_sound(samples).expect("it is long enough"));
        let (pieces, n_heard) = embedded(n_tokens / 3, n_tokens / 12, false);
        assert_eq!((pieces.len(), n_heard), (1, n_tokens), "no token is left out and none counts twice");
        let cosine = |a: &[f32], b: &[f32]| {
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            product(a, b) / (product(a, a) * product(b, b)).sqrt()
        };
        // attention hears less, and so a little else
        assert!(cosine(&pieces[0].0, &whole[0].0) > 0.9);
        let (chunks, _) = embedded(n_tokens / 3, 0, true);
        let parts = chunks.iter().filter_map(|(_, part_s)| *part_s).collect::<Vec<_>>();
        assert!(parts.len() >= 3 && parts[0][0] == 0.0);
        assert!(parts.windows(2).all(|pair| pair[0][1] == pair[1][0]), "{parts:?}");
    }
}
