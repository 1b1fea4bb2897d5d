//! The tokens of a window to segments, and to where the next window starts.

/// Part of a window's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// With their timestamps.
    pub(super) tokens: Vec<u32>,
    /// Its start in the window, in mel frames.
    pub(super) start: usize,
    /// Its end in the window, in mel frames.
    pub(super) end: usize,
}

/// Cuts the tokens of a window of `n_frames` mel frames at pairs of timestamps, and says by how many mel frames to go on: to the last
/// timestamp where a segment is unfinished behind it, else behind the window. Two mel frames are one step of a timestamp.
pub(super) fn split(tokens: &[u32], timestamp_begin: u32, n_frames: usize) -> (Vec<Piece>, usize) {
    let is_time = |id: &u32| *id >= timestamp_begin;
    let time = |id: u32| id.saturating_sub(timestamp_begin) as usize * MEL_FRAMES_PER_STEP;
    let n = tokens.len();
    let ends_in_single = n >= 2 && !is_time(&tokens[n - 2]) && is_time(&tokens[n - 1]);
    let mut cuts = (1..n).filter(|at| is_time(&tokens[at - 1]) && is_time(&tokens[*at])).collect::<Vec<_>>();
    if cuts.is_empty() {
        let last = tokens.iter().rfind(|id| is_time(id)).filter(|id| **id != timestamp_begin);
        let end = last.map_or(n_frames, |id| time(*id));
        return (vec![Piece { tokens: tokens.to_vec(), start: 0, end }], n_frames);
    }
    if ends_in_single {
        cuts.push(n);
    }
    let mut pieces = Vec::with_capacity(cuts.len());
    let mut first = 0;
    for cut in cuts {
        let tokens = tokens[first..cut].to_vec();
        // each has a token at least: cuts rise
        let (start, end) = (time(tokens[0]), time(tokens[tokens.len() - 1]));
        pieces.push(Piece { tokens, start, end });
        first = cut;
    }
    let on = if ends_in_single { n_frames } else { time(tokens[first - 1]) };
    (pieces, on)
}

/// Mel frames are 10 ms apart, timestamps 20 ms.
const MEL_FRAMES_PER_STEP: usize = 2;
