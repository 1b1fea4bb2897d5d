//! Long sounds in pieces.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::AudioEncoder;
use crate::input::AudioInput;
use crate::{ConfigError, Modality, TokenSequence};

/// How a sound that is too long for an encoder, or for memory, is cut: into pieces that overlap, of which each keeps the
/// tokens that have heard enough to both sides.
///
/// ```text
/// tokens      0 1 2 3 4 5 6 7 8 9
/// piece 0     k k k k o             n_tokens 5, n_overlap 1; k = kept, o = heard alone
/// piece 1           o k k k o
/// piece 2                 o k k k
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioChunks {
    /// Tokens of a piece.
    pub n_tokens: usize,
    /// Tokens at an inner end of a piece that are heard and not kept.
    pub n_overlap: usize,
}

/// Tokens that a piece hears, and those of them that it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    heard: [usize; 2],
    kept: [usize; 2],
}

impl AudioChunks {
    /// # Errors
    /// When a piece has nothing but overlap.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.n_tokens > self.n_overlap.saturating_mul(2) {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "pieces of sound must be longer than both overlaps: expected n_tokens above {}, got {}",
            self.n_overlap.saturating_mul(2),
            self.n_tokens
        )))
    }

    fn pieces(&self, n_tokens: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < n_tokens {
            let first = if start == 0 { 0 } else { start - self.n_overlap };
            let last = (first + self.n_tokens).min(n_tokens);
            let end = if last == n_tokens { last } else { last - self.n_overlap };
            pieces.push(Piece { heard: [first, last], kept: [start, end] });
            start = end;
        }
        pieces
    }

    /// The tokens of a sound of any length; `frames_per_token` are the encoder's.
    ///
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_tokens, d_model]`
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn forward(
        &self,
        encoder: &AudioEncoder,
        input: &AudioInput,
        frames_per_token: usize,
    ) -> Result<TokenSequence, ConfigError> {
        self.check()?;
        let n_frames = input.frames.dims()[1];
        let pieces = self.pieces(n_frames.div_ceil(frames_per_token.max(1)));
        if pieces.len() < 2 {
            return Ok(encoder.forward(input));
        }
        let encoded = pieces.into_iter().map(|Piece { heard: [first, last], kept: [start, end] }| {
            let first_frame = first * frames_per_token;
            let n_heard = (last * frames_per_token).min(n_frames) - first_frame;
            let piece = AudioInput {
                frames: input.frames.clone().narrow(1, first_frame, n_heard),
                lengths: input.lengths.iter().map(|n| n.saturating_sub(first_frame).min(n_heard)).collect(),
            };
            let TokenSequence { tokens, is_pad, .. } = encoder.forward(&piece);
            (tokens.narrow(1, start - first, end - start), is_pad.narrow(1, start - first, end - start))
        });
        let (tokens, is_pad): (Vec<Tensor<3>>, Vec<Tensor<2, Bool>>) = encoded.unzip();
        Ok(TokenSequence::new(Tensor::cat(tokens, 1), Tensor::cat(is_pad, 1), Modality::Audio))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_every_token_once() {
        for (n_tokens, n_overlap) in [(5, 1), (5, 2), (4, 0), (1, 0), (64, 8)] {
            let chunks = AudioChunks { n_tokens, n_overlap };
            chunks.check().expect("more than overlap");
            for n in 0..100 {
                let pieces = chunks.pieces(n);
                let kept = pieces.iter().flat_map(|piece| piece.kept[0]..piece.kept[1]).collect::<Vec<_>>();
                assert_eq!(kept, (0..n).collect::<Vec<_>>(), "{chunks:?}");
                for Piece { heard, kept } in pieces {
                    assert!(heard[1] - heard[0] <= n_tokens, "{chunks:?} of {n}");
                    assert!(kept[0] == 0 || kept[0] - heard[0] >= n_overlap, "{chunks:?} of {n}");
                    assert!(kept[1] == n || heard[1] - kept[1] >= n_overlap, "{chunks:?} of {n}");
                }
            }
        }
        let error = AudioChunks { n_tokens: 4, n_overlap: 2 }.check().expect_err("nothing is kept");
        assert!(error.to_string().contains("expected n_tokens above 4, got 4"), "{error}");
    }
}
