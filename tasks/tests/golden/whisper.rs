//! Whisper's logit filters, its choice among tries and its segments against openai-whisper.

use serde::Deserialize;
use triptych_tasks::decode::whisper::{LongForm, WhisperRules, WhisperTokens, WindowResult};

use crate::golden;

/// Times are sums of other terms.
const TIME_TOLERANCE_S: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    filters: Vec<Filter>,
    end: u32,
    timestamp_begin: u32,
    recordings: Vec<Recording>,
}

#[derive(Deserialize)]
struct Filter {
    written: Vec<u32>,
    latest: Option<u32>,
    logits: Vec<f32>,
    kept: Vec<usize>,
}

#[derive(Deserialize)]
struct Recording {
    n_frames: usize,
    is_conditioned: bool,
    calls: Vec<Call>,
    /// First frame of the window, start and end in seconds, whether there is text, temperature, number of tokens.
    segments: Vec<(usize, f64, f64, bool, f32, usize)>,
}

/// A try of the scripted model.
#[derive(Deserialize)]
struct Call {
    temperature: f32,
    n_prompt: usize,
    prompt_end: Vec<u32>,
    tokens: Vec<u32>,
    mean_log_probability: f64,
    no_speech: f64,
    compression_ratio: f64,
}

fn tokens(end: u32, timestamp_begin: u32) -> WhisperTokens {
    WhisperTokens {
        end,
        start: end + 1,
        start_sequence: vec![end + 1],
        previous: 14,
        no_speech: Some(15),
        no_timestamps: 16,
        timestamp_begin,
        blank: vec![9],
        suppressed: vec![4, 11, 14, 15],
    }
}

#[test]
fn logits_are_filtered_as_in_whisper() {
    let tokens = tokens(10, 20);
    for Filter { written, latest, mut logits, kept } in golden::<Golden>("whisper.json").filters {
        let rules = WhisperRules { tokens: &tokens, max_initial_timestamp: latest, has_timestamps: true };
        let before = logits.clone();
        rules.filter(&written, &mut logits);
        let ours = (0..logits.len()).filter(|id| logits[*id] > f32::NEG_INFINITY).collect::<Vec<_>>();
        assert_eq!(ours, kept, "behind {written:?}");
        assert!(ours.iter().all(|id| logits[*id] == before[*id]));
    }
}

#[test]
fn recordings_are_cut_tried_and_conditioned_as_in_whisper() {
    let Golden { end, timestamp_begin, recordings, .. } = golden("whisper.json");
    let tokens = tokens(end, timestamp_begin);
    for Recording { n_frames, is_conditioned, calls, segments } in recordings {
        let mut calls = calls.into_iter();
        let form = LongForm { is_conditioned, ..LongForm::default() };
        let decode = |ids: &[u32]| if ids.is_empty() { String::new() } else { "text".to_owned() };
        let found = form.run_windows(n_frames, &tokens, decode, |_, prompt, temperature| {
            let call = calls.next().expect("no more tries than whisper makes");
            assert!((temperature - call.temperature).abs() < 1e-6);
            assert_eq!(prompt.len(), call.n_prompt);
            assert!(prompt.ends_with(&call.prompt_end));
            Ok(WindowResult {
                tokens: call.tokens,
                text: "text".to_owned(),
                mean_log_probability: call.mean_log_probability,
                no_speech: Some(call.no_speech),
                compression_ratio: call.compression_ratio,
                temperature,
            })
        });
        let found = found.expect("segments").segments;
        assert_eq!(calls.count(), 0, "whisper tries as often");
        assert_eq!(found.len(), segments.len());
        for (ours, (first_frame, start_s, end_s, has_text, temperature, n_tokens)) in
            found.iter().zip(segments)
        {
            assert_eq!((ours.first_frame, ours.tokens.len()), (first_frame, n_tokens));
            assert!((ours.start_s - start_s).abs() < TIME_TOLERANCE_S, "{ours:?}, expected {start_s}");
            assert!((ours.end_s - end_s).abs() < TIME_TOLERANCE_S, "{ours:?}, expected {end_s}");
            assert_eq!(!ours.text.is_empty(), has_text);
            assert!((ours.temperature - temperature).abs() < 1e-6);
        }
    }
}
