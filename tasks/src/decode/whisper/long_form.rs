//! Window after window through a recording.

use super::segments::split;
use super::{WhisperRules, WhisperTokens, WindowResult, WindowSearch};
use crate::decode::{DecodeError, NextToken};

/// Mel frames of a window: 30 s.
pub(super) const WINDOW_FRAMES: usize = 3000;
/// A mel frame is 10 ms.
const FRAME_S: f64 = 0.01;
/// Text drawn at a higher temperature is no good beginning for the next window.
const MAX_PROMPT_TEMPERATURE: f32 = 0.5;

/// What a Whisper model has to implement besides [`NextToken`]: a recording's encoded windows, and a decoder's start on one. Its
/// [`NextToken::State`] holds the encoded window's keys and values (cross-attention) and those of the tokens read so far; its
/// [`NextToken::max_tokens`] is the text context (448), its `prefill` had better read a prompt at once.
pub trait Windows: NextToken {
    /// A window that went through the encoder.
    type Window;

    /// Mel frames of the recording, without padding.
    fn n_frames(&self) -> usize;

    /// Encodes the mel frames of a place, padded with silence to 30 s.
    fn encode(&self, place: WindowPlace) -> Self::Window;

    /// One row that has read nothing yet.
    fn start(&self, window: &Self::Window) -> Self::State;
}

/// Where a window lies, in mel frames of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPlace {
    /// Its first frame.
    pub first_frame: usize,
    /// Its frames within the recording, 3000 at most.
    pub n_frames: usize,
}

/// How a recording is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct LongForm {
    /// How each window is.
    pub search: WindowSearch,
    /// Whether a window reads the text of those before.
    pub is_conditioned: bool,
    /// Tokens that the first window reads as if they had been said before.
    pub initial_prompt: Vec<u32>,
    /// The latest first timestamp in steps of 0.02 s.
    pub max_initial_timestamp: Option<u32>,
}

impl Default for LongForm {
    /// As in `transcribe.py`.
    fn default() -> Self {
        Self {
            search: WindowSearch::default(),
            is_conditioned: true,
            initial_prompt: Vec::new(),
            max_initial_timestamp: Some(50),
        }
    }
}

/// A part of a recording, and what is said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// First mel frame of its window.
    pub first_frame: usize,
    /// Its start in the recording.
    pub start_s: f64,
    /// Its end in the recording.
    pub end_s: f64,
    /// What is said, spaces included; empty where it is nothing or takes no time.
    pub text: String,
    /// With timestamps; empty where the text is.
    pub tokens: Vec<u32>,
    /// Of the window.
    pub temperature: f32,
    /// Of the window.
    pub mean_log_probability: f64,
    /// Of the window.
    pub compression_ratio: f64,
    /// Of the window.
    pub no_speech: Option<f64>,
}

/// What a recording says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recognition {
    /// In their order. Silent windows have none.
    pub segments: Vec<Segment>,
}

impl Recognition {
    /// The whole text.
    pub fn text(&self) -> String {
        self.segments.iter().map(|segment| segment.text.as_str()).collect()
    }
}

impl LongForm {
    /// Decodes a recording. `decode` makes text of tokens below the end mark.
    ///
    /// # Errors
    /// A recording without frames, scores that are NaN, tokens outside the vocabulary, and settings that make no sense.
    pub fn run<M: Windows>(
        &self,
        model: &M,
        tokens: &WhisperTokens,
        decode: impl Fn(&[u32]) -> String,
    ) -> Result<Recognition, DecodeError> {
        self.run_watched(model, tokens, decode, |_| {})
    }

    /// The same, telling `reaches` the first frame of each window before it is decoded.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_watched<M: Windows>(
        &self,
        model: &M,
        tokens: &WhisperTokens,
        decode: impl Fn(&[u32]) -> String,
        mut reaches: impl FnMut(usize),
    ) -> Result<Recognition, DecodeError> {
        let max_initial_timestamp = self.max_initial_timestamp;
        let rules = WhisperRules { tokens, max_initial_timestamp, has_timestamps: true };
        let mut encoded = None;
        self.run_windows(model.n_frames(), tokens, &decode, |place, prompt, temperature| {
            // the tries of a window share what the encoder made of it
            let window = match encoded.take() {
                Some((at, window)) if at == place => window,
                _ => {
                    reaches(place.first_frame);
                    model.encode(place)
                }
            };
            let state = model.start(&window);
            encoded = Some((place, window));
            let key = place.first_frame.to_string();
            self.search.attempt(model, state, prompt, &rules, &decode, &key, temperature)
        })
    }

    /// Decodes a recording of `n_frames` mel frames by whatever decodes a window once, of a place, the tokens before it, and a temperature.
    ///
    /// # Errors
    /// A recording without frames, those of the tries, and settings that make no sense.
    pub fn run_windows(
        &self,
        n_frames: usize,
        tokens: &WhisperTokens,
        decode: impl Fn(&[u32]) -> String,
        mut attempt: impl FnMut(WindowPlace, &[u32], f32) -> Result<WindowResult, DecodeError>,
    ) -> Result<Recognition, DecodeError> {
        DecodeError::check("recording", "at least one frame", n_frames > 0, "none")?;
        let mut read = self.initial_prompt.clone();
        let mut prompt_from = 0;
        let mut recognition = Recognition::default();
        let mut seek = 0;
        while seek < n_frames {
            let place = WindowPlace { first_frame: seek, n_frames: WINDOW_FRAMES.min(n_frames - seek) };
            let result =
                self.search.fall_back(|temperature| attempt(place, &read[prompt_from..], temperature))?;
            if self.search.is_silence(&result) {
                seek += place.n_frames;
                continue;
            }
            let (pieces, on) = split(&result.tokens, tokens.timestamp_begin, place.n_frames);
            // a model that goes on by nothing would go on for ever
            seek += if on > 0 { on } else { place.n_frames };
            for piece in pieces {
                let time_s = |frame: usize| (place.first_frame + frame) as f64 * FRAME_S;
                let written = piece.tokens.iter().copied().filter(|id| *id < tokens.end).collect::<Vec<_>>();
                let text = decode(&written);
                let is_empty = piece.start == piece.end || text.trim().is_empty();
                let (text, kept) = if is_empty { (String::new(), Vec::new()) } else { (text, piece.tokens) };
                read.extend(&kept);
                recognition.segments.push(Segment {
                    first_frame: place.first_frame,
                    start_s: time_s(piece.start),
                    end_s: time_s(piece.end),
                    text,
                    tokens: kept,
                    temperature: result.temperature,
                    mean_log_probability: result.mean_log_probability,
                    compression_ratio: result.compression_ratio,
                    no_speech: result.no_speech,
                });
            }
            if !self.is_conditioned || result.temperature > MAX_PROMPT_TEMPERATURE {
                prompt_from = read.len();
            }
        }
        Ok(recognition)
    }
}
