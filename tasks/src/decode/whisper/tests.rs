use std::cell::RefCell;

use super::*;
use crate::decode::{DecodeError, NextToken};

const N_VOCAB: usize = 30;

/// 0 to 9 are text, of which 9 is a space; then marks; times begin at 20.
fn tokens() -> WhisperTokens {
    WhisperTokens {
        end: 10,
        start: 11,
        start_sequence: vec![11, 12, 13],
        previous: 14,
        no_speech: Some(15),
        no_timestamps: 16,
        timestamp_begin: 20,
        blank: vec![9],
        suppressed: vec![11, 14, 15],
    }
}

fn decode(ids: &[u32]) -> String {
    ids.iter().map(|id| format!(" {id}")).collect()
}

/// Writes what a script says, whatever it reads; each try is a line of the script.
struct Scripted {
    n_frames: usize,
    script: Vec<Vec<u32>>,
    n_tries: RefCell<usize>,
    read: RefCell<Vec<Vec<u32>>>,
    encoded: RefCell<Vec<WindowPlace>>,
    margin: f32,
}

impl Scripted {
    fn new(n_frames: usize, script: &[&[u32]]) -> Self {
        Self {
            n_frames,
            script: script.iter().map(|line| line.to_vec()).collect(),
            n_tries: RefCell::new(0),
            read: RefCell::default(),
            encoded: RefCell::default(),
            margin: 40.0,
        }
    }
}

impl NextToken for Scripted {
    /// The try, and what it has read.
    type State = Vec<(usize, Vec<u32>)>;

    fn n_vocab(&self) -> usize {
        N_VOCAB
    }

    fn max_tokens(&self) -> usize {
        40
    }

    fn step(&self, ids: &[u32], state: &mut Self::State) -> Vec<f32> {
        let mut logits = Vec::new();
        for ((attempt, read), id) in state.iter_mut().zip(ids) {
            read.push(*id);
            self.read.borrow_mut()[*attempt].clone_from(read);
            let start = read.iter().rposition(|id| *id == 11).map_or(read.len(), |start| start + 3);
            let mut row = vec![0.0; N_VOCAB];
            let written = read.len().saturating_sub(start);
            let next = self.script[*attempt].get(written).copied().unwrap_or(10);
            row[next as usize] = self.margin;
            logits.extend(row);
        }
        logits
    }

    fn select(&self, state: &Self::State, rows: &[usize]) -> Self::State {
        rows.iter().map(|row| state[*row].clone()).collect()
    }
}

impl Windows for Scripted {
    type Window = ();

    fn n_frames(&self) -> usize {
        self.n_frames
    }

    fn encode(&self, place: WindowPlace) {
        self.encoded.borrow_mut().push(place);
    }

    fn start(&self, (): &()) -> Self::State {
        let mut n_tries = self.n_tries.borrow_mut();
        *n_tries += 1;
        self.read.borrow_mut().push(Vec::new());
        vec![(*n_tries - 1, Vec::new())]
    }
}

fn long_form() -> LongForm {
    // a mean is taken over few tokens of a small vocabulary
    LongForm {
        search: WindowSearch { max_compression_ratio: Some(20.0), ..WindowSearch::default() },
        ..LongForm::default()
    }
}

#[test]
fn the_next_window_starts_where_a_segment_is_unfinished_and_reads_what_was_said() {
    // 0.00 one 0.08 | 0.08 two, cut: on by 0.08 s; then one segment to the end
    let model = Scripted::new(3005, &[&[20, 1, 24, 24, 2], &[20, 3, 25]]);
    let found = long_form().run(&model, &tokens(), decode).unwrap();
    let told =
        found.segments.iter().map(|segment| (segment.text.as_str(), segment.first_frame)).collect::<Vec<_>>();
    assert_eq!(told, [(" 1", 0), (" 3", 8)]);
    assert_eq!(found.text(), " 1 3");
    let times = found.segments.iter().map(|segment| (segment.start_s, segment.end_s)).collect::<Vec<_>>();
    assert_eq!(times.len(), 2);
    assert!((times[1].0 - 0.08).abs() < 1e-9 && (times[1].1 - 0.18).abs() < 1e-9, "{times:?}");
    let places = [(0, 3000), (8, 2997)].map(|(first_frame, n_frames)| WindowPlace { first_frame, n_frames });
    assert_eq!(model.encoded.borrow()[..2], places);
    assert_eq!(model.read.borrow()[1][..7], [14, 20, 1, 24, 11, 12, 13]);
}

#[test]
fn guesses_are_tried_again_hotter_and_shared_by_one_encoding() {
    // so short that there is one window, whatever is drawn
    let mut model = Scripted::new(1, &[[20, 1, 24].as_slice(); 6]);
    model.margin = 0.5;
    let found = long_form().run(&model, &tokens(), decode).unwrap();
    assert_eq!(*model.n_tries.borrow(), 6);
    assert_eq!(model.encoded.borrow().len(), 1);
    assert!(found.segments.iter().all(|segment| segment.temperature == 1.0));
}

#[test]
fn a_pair_of_timestamps_is_followed_by_text_and_a_single_one_by_another() {
    let tokens = tokens();
    let rules = WhisperRules { tokens: &tokens, max_initial_timestamp: Some(3), has_timestamps: true };
    let allowed = |written: &[u32]| {
        let mut logits = vec![0.0; N_VOCAB];
        // so that timestamps together are not likelier than any text
        logits[20..].fill(-9.0);
        rules.filter(written, &mut logits);
        (0..N_VOCAB as u32).filter(|id| logits[*id as usize] > f32::NEG_INFINITY).collect::<Vec<_>>()
    };
    assert_eq!(allowed(&[]), [20, 21, 22, 23]);
    // text, or marks that are not suppressed
    assert_eq!(allowed(&[22]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 17, 18, 19]);
    assert_eq!(allowed(&[22, 1])[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(allowed(&[22, 1, 25]), [10, 12, 13, 17, 18, 19, 25, 26, 27, 28, 29]);
}

#[test]
fn silence_is_passed_over() {
    let search = WindowSearch::default();
    let result = |mean_log_probability, no_speech| WindowResult {
        tokens: vec![],
        text: String::new(),
        mean_log_probability,
        no_speech: Some(no_speech),
        compression_ratio: 1.0,
        temperature: 0.0,
    };
    // a sure text is kept, a guess over silence neither kept nor tried again
    assert!(!search.is_silence(&result(-0.5, 0.9)) && !search.looks_wrong(&result(-0.5, 0.9)));
    assert!(search.is_silence(&result(-2.0, 0.9)) && !search.looks_wrong(&result(-2.0, 0.9)));
    assert!(!search.is_silence(&result(-2.0, 0.1)) && search.looks_wrong(&result(-2.0, 0.1)));
}

#[test]
fn texts_that_repeat_themselves_are_made_smaller_by_more() {
    assert!(compression_ratio(&"la ".repeat(60)) > 2.4);
    assert!(compression_ratio("the quick brown fox jumps over the lazy dog") < 1.2);
    assert_eq!(compression_ratio(""), 0.0);
}

#[test]
fn bad_recordings_settings_and_vocabularies_are_named() {
    let message = |n_frames, form: LongForm, tokens: WhisperTokens| {
        form.run(&Scripted::new(n_frames, &[&[20, 1, 24]]), &tokens, decode).unwrap_err().to_string()
    };
    assert_eq!(message(0, long_form(), tokens()), "recording: expected at least one frame, got none");
    let search = WindowSearch { temperatures: vec![], ..WindowSearch::default() };
    let expected = "temperatures: expected at least one, all of at least 0, got []";
    assert_eq!(message(9, LongForm { search, ..LongForm::default() }, tokens()), expected);
    let foreign = WhisperTokens { suppressed: vec![99], ..tokens() };
    let expected = "vocabulary does not match: a suppressed token is token 99, the model has 30";
    assert_eq!(message(9, long_form(), foreign), expected);
    let nan = Scripted { margin: f32::NAN, ..Scripted::new(9, &[&[20]]) };
    let error = long_form().run(&nan, &tokens(), decode).unwrap_err();
    assert!(matches!(error, DecodeError::Score { .. }), "{error}");
}
