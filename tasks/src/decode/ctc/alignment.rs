//! When each label and each word is said: the likeliest alignment of a text that is known.

use super::{CtcError, Frames, Vocabulary};

/// An alignment keeps a byte a cell; more than this many are refused.
const MAX_CELLS: usize = 1 << 30;

/// The frames that say a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The first.
    pub start_frame: usize,
    /// The one behind the last.
    pub end_frame: usize,
    /// Mean natural log-probability of the label in them.
    pub log_probability: f32,
}

/// A word and when it is said.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedWord {
    /// The word.
    pub text: String,
    /// Its start.
    pub start_s: f64,
    /// Its end.
    pub end_s: f64,
    /// Mean natural log-probability of its labels in their frames.
    pub confidence: f32,
}

/// The likeliest alignment of `labels`, one span a label (Viterbi). A label's span ends where a blank or the next begins; of equals,
/// the alignment that says the labels later.
///
/// # Errors
/// Labels outside the frames' vocabulary, blanks among them, too few frames, or no alignment of a probability above 0.
pub fn align(frames: &Frames<'_>, labels: &[u32], blank: u32) -> Result<Vec<Span>, CtcError> {
    frames.check(blank)?;
    for (place, &label) in labels.iter().enumerate() {
        frames.check(label)?;
        if label == blank {
            return Err(CtcError::WrittenBlank { label, place });
        }
    }
    let n_repeats = labels.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let (n_labels, n_frames) = (labels.len(), frames.len());
    if n_frames < n_labels + n_repeats {
        let expected = n_labels + n_repeats;
        return Err(CtcError::TooFewFrames { n_labels, n_repeats, expected, got: n_frames });
    }
    // a blank before, between and behind the labels
    let n_states = 2 * n_labels + 1;
    if n_states.saturating_mul(n_frames) > MAX_CELLS {
        return Err(CtcError::TooLong { n_frames, n_states, limit: MAX_CELLS });
    }
    let path = path(frames, labels, blank)?;
    let mut spans = vec![Span { start_frame: 0, end_frame: 0, log_probability: 0.0 }; n_labels];
    for (frame_idx, (state, frame)) in path.into_iter().zip(frames.iter()).enumerate() {
        if state % 2 == 0 {
            continue;
        }
        let span = &mut spans[state / 2];
        if span.end_frame == 0 {
            span.start_frame = frame_idx;
        }
        span.end_frame = frame_idx + 1;
        span.log_probability += frame[labels[state / 2] as usize];
    }
    for span in &mut spans {
        span.log_probability /= (span.end_frame - span.start_frame) as f32;
    }
    Ok(spans)
}

/// The state of every frame: even ones are blanks, odd ones labels.
fn path(frames: &Frames<'_>, labels: &[u32], blank: u32) -> Result<Vec<usize>, CtcError> {
    let n_states = 2 * labels.len() + 1;
    let label = |state: usize| if state.is_multiple_of(2) { blank } else { labels[state / 2] };
    let may_skip = |state: usize| state % 2 == 1 && state > 1 && labels[state / 2] != labels[state / 2 - 1];
    let mut scores = vec![f64::NEG_INFINITY; n_states];
    // by how many states the best way into a state of a frame goes on
    let mut steps = vec![0u8; n_states * frames.len()];
    for (frame_idx, frame) in frames.iter().enumerate() {
        if frame_idx == 0 {
            scores[0] = f64::from(frame[blank as usize]);
            if n_states > 1 {
                scores[1] = f64::from(frame[labels[0] as usize]);
            }
            continue;
        }
        let steps = &mut steps[frame_idx * n_states..(frame_idx + 1) * n_states];
        // backwards, so that what is read is still the last frame's
        for state in (0..n_states.min(2 * frame_idx + 2)).rev() {
            let (mut best, mut step) = (scores[state], 0);
            if state > 0 && scores[state - 1] > best {
                (best, step) = (scores[state - 1], 1);
            }
            if may_skip(state) && scores[state - 2] > best {
                (best, step) = (scores[state - 2], 2);
            }
            scores[state] = best + f64::from(frame[label(state) as usize]);
            steps[state] = step;
        }
    }
    let mut state = n_states - 1;
    if n_states > 1 && scores[state - 1] > scores[state] {
        state -= 1;
    }
    if scores[state] == f64::NEG_INFINITY {
        return Err(CtcError::Impossible);
    }
    let mut path = vec![0; frames.len()];
    for frame_idx in (0..frames.len()).rev() {
        path[frame_idx] = state;
        state -= steps[frame_idx * n_states + state] as usize;
    }
    Ok(path)
}

/// The words of aligned labels. A word lasts from the first frame of its first label that writes more than a space to the last frame
/// of its last.
///
/// # Panics
/// When there is not one span for every label.
pub fn words(vocabulary: &Vocabulary, labels: &[u32], spans: &[Span], frame_s: f64) -> Vec<TimedWord> {
    assert_eq!(labels.len(), spans.len(), "one span for every label");
    let mut words: Vec<TimedWord> = Vec::new();
    let (mut is_open, mut n_labels) = (false, 0);
    for (label, span) in labels.iter().zip(spans) {
        for (place, part) in vocabulary.text(*label).unwrap_or_default().split(' ').enumerate() {
            is_open &= place == 0;
            if part.is_empty() {
                continue;
            }
            let end_s = span.end_frame as f64 * frame_s;
            match words.last_mut().filter(|_| is_open) {
                Some(word) => {
                    n_labels += 1;
                    word.text.push_str(part);
                    word.end_s = end_s;
                    word.confidence += (span.log_probability - word.confidence) / n_labels as f32;
                }
                None => {
                    n_labels = 1;
                    words.push(TimedWord {
                        text: part.to_owned(),
                        start_s: span.start_frame as f64 * frame_s,
                        end_s,
                        confidence: span.log_probability,
                    });
                }
            }
            is_open = true;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames that are all but sure of a label each.
    fn sure_of(path: &[u32], n_labels: usize) -> Vec<f32> {
        path.iter()
            .flat_map(|sure| (0..n_labels as u32).map(move |label| if label == *sure { -0.1 } else { -4.0 }))
            .collect()
    }

    #[test]
    fn words_are_timed_by_their_letters() {
        let texts = ["", "a", "b", " "].map(|text| Some(text.to_owned()));
        let vocabulary = Vocabulary::new(texts.to_vec(), 0).unwrap();
        let values = sure_of(&[0, 1, 1, 0, 2, 3, 3, 0, 2, 2, 0, 2], 4);
        let frames = Frames::new(&values, 4).unwrap();
        let labels = [1, 2, 3, 2, 2];
        let spans = align(&frames, &labels, 0).unwrap();
        let ends = spans.iter().map(|span| (span.start_frame, span.end_frame)).collect::<Vec<_>>();
        assert_eq!(ends, [(1, 3), (4, 5), (5, 7), (8, 10), (11, 12)]);
        let words = words(&vocabulary, &labels, &spans, 0.5);
        let told =
            words.iter().map(|word| (word.text.as_str(), word.start_s, word.end_s)).collect::<Vec<_>>();
        assert_eq!(told, [("ab", 0.5, 2.5), ("bb", 4.0, 6.0)]);
        assert!(words.iter().all(|word| (word.confidence + 0.1).abs() < 1e-6));
    }

    #[test]
    fn pieces_that_start_a_word_are_timed_as_one() {
        let texts = ["", " the", "m", " "].map(|text| Some(text.to_owned()));
        let vocabulary = Vocabulary::new(texts.to_vec(), 0).unwrap();
        let span = |start_frame, end_frame| Span { start_frame, end_frame, log_probability: -1.0 };
        let words = words(
            &vocabulary,
            &[1, 2, 1, 3, 2],
            &[span(0, 1), span(1, 2), span(2, 3), span(3, 4), span(5, 9)],
            1.0,
        );
        let told =
            words.iter().map(|word| (word.text.as_str(), word.start_s, word.end_s)).collect::<Vec<_>>();
        assert_eq!(told, [("them", 0.0, 2.0), ("the", 2.0, 3.0), ("m", 5.0, 9.0)]);
    }

    #[test]
    fn what_cannot_be_aligned_is_named() {
        let values = sure_of(&[0, 1, 2], 3);
        let frames = Frames::new(&values, 3).unwrap();
        let message = |labels: &[u32], blank| align(&frames, labels, blank).unwrap_err().to_string();
        assert_eq!(message(&[3], 0), "label 3: expected one below 3");
        assert_eq!(message(&[1], 9), "label 9: expected one below 3");
        assert_eq!(message(&[1, 0], 0), "label 0 at place 1: expected a written label, got the blank");
        let expected = "expected at least 4 frames for 3 labels, of which 1 repeat the one before, got 3";
        assert_eq!(message(&[1, 1, 2], 0), expected);
        let impossible = [-0.1, f32::NEG_INFINITY].repeat(3);
        let impossible = Frames::new(&impossible, 2).unwrap();
        assert_eq!(align(&impossible, &[1], 0), Err(CtcError::Impossible));
        assert_eq!(align(&impossible, &[], 0), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn no_alignment_is_likelier(
            (n_frames, values) in (1usize..6).prop_flat_map(|n| (Just(n), prop::collection::vec(-5.0f32..0.0, n * 3))),
            labels in prop::collection::vec(1u32..3, 0..4),
        ) {
            let frames = Frames::new(&values, 3).unwrap();
            let score = |path: &[u32]| frames.iter().zip(path).map(|(frame, label)| f64::from(frame[*label as usize])).sum::<f64>();
            let mut best = f64::NEG_INFINITY;
            for number in 0..3u32.pow(n_frames as u32) {
                let path = (0..n_frames as u32).map(|place| number / 3u32.pow(place) % 3).collect::<Vec<_>>();
                let mut merged = path.clone();
                merged.dedup();
                merged.retain(|label| *label != 0);
                if merged == labels {
                    best = best.max(score(&path));
                }
            }
            match align(&frames, &labels, 0) {
                Ok(spans) => {
                    let mut path = vec![0; n_frames];
                    for (span, label) in spans.iter().zip(&labels) {
                        path[span.start_frame..span.end_frame].fill(*label);
                    }
                    prop_assert!((score(&path) - best).abs() < 1e-6);
                }
                Err(_) => prop_assert_eq!(best, f64::NEG_INFINITY),
            }
        }
    }
}
