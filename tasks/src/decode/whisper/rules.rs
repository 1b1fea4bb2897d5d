//! What Whisper may write next.

use super::WhisperTokens;
use crate::decode::Rules;
use crate::decode::logits::log_softmax;

/// The logit filters of Whisper, in their order: no blank first, suppressed tokens, timestamps.
///
/// Timestamps come in pairs, except directly before the end; they do not fall, and a segment is not empty; the first token is one of
/// at most `max_initial_timestamp`; and where all timestamps together are likelier than any text token, the next is one.
#[derive(Clone, Copy, Debug)]
pub struct WhisperRules<'a> {
    /// The vocabulary.
    pub tokens: &'a WhisperTokens,
    /// The latest first timestamp in steps of 0.02 s: 50 is one second.
    pub max_initial_timestamp: Option<u32>,
    /// Whether text and timestamps are mixed; otherwise there is text alone.
    pub has_timestamps: bool,
}

impl WhisperRules<'_> {
    /// Takes out what may not stand behind `written`.
    ///
    /// # Shapes
    /// `[n_vocab]`
    pub fn filter(&self, written: &[u32], logits: &mut [f32]) {
        let tokens = self.tokens;
        let mut forbid = |ids: &mut dyn Iterator<Item = u32>| {
            ids.for_each(|id| {
                if let Some(logit) = logits.get_mut(id as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            });
        };
        if written.is_empty() {
            forbid(&mut tokens.blank.iter().copied().chain([tokens.end]));
        }
        forbid(&mut tokens.suppressed.iter().copied());
        if self.has_timestamps {
            forbid(&mut [tokens.no_timestamps].into_iter());
            self.filter_timestamps(written, logits);
        }
    }

    fn filter_timestamps(&self, written: &[u32], logits: &mut [f32]) {
        let (begin, end) = (self.tokens.timestamp_begin as usize, self.tokens.end as usize);
        let is_time = |id: &u32| *id as usize >= begin;
        let last_is_time = written.last().is_some_and(is_time);
        let n = written.len();
        let last_but_one_is_time = n < 2 || is_time(&written[n - 2]);
        let n_vocab = logits.len();
        if last_is_time {
            // behind a pair stands text, behind a single one a second or the end
            let gone = if last_but_one_is_time { begin.min(n_vocab)..n_vocab } else { 0..end };
            logits[gone].fill(f32::NEG_INFINITY);
        }
        if let Some(time) = written.iter().rfind(|id| is_time(id)) {
            // a segment begins where the one before ends, and does not end where it begins
            let least = *time as usize + usize::from(!last_is_time || last_but_one_is_time);
            logits[begin.min(n_vocab)..least.min(n_vocab)].fill(f32::NEG_INFINITY);
        }
        if written.is_empty() {
            logits[..begin].fill(f32::NEG_INFINITY);
            if let Some(latest) = self.max_initial_timestamp {
                logits[(begin + latest as usize + 1).min(n_vocab)..].fill(f32::NEG_INFINITY);
            }
        }
        let mut scores = logits.to_vec();
        log_softmax(&mut scores);
        let all_times = scores[begin..].iter().map(|score| f64::from(*score).exp()).sum::<f64>().ln();
        let best_text = scores[..begin].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if all_times > f64::from(best_text) {
            logits[..begin].fill(f32::NEG_INFINITY);
        }
    }
}

impl Rules for WhisperRules<'_> {
    /// As Whisper's own search does.
    fn stops_early(&self) -> bool {
        true
    }

    /// What may not be written leaves its share to the rest.
    fn score(&self, written: &[u32], _: usize, logits: &mut [f32]) {
        self.filter(written, logits);
        log_softmax(logits);
    }
}
