//! A recording before a published Whisper model: what the decoding of windows needs of it.

use std::cell::RefCell;

use burn::prelude::*;
use triptych_datasets::audio::{Frames, LogMel, RATE_HZ};
use triptych_encoders::layers::transformer::KeyValueCache;
use triptych_encoders::pretrained::families::{Whisper, WhisperConfig};
use triptych_encoders::{AudioInput, TokenSequence};

use super::long_form::WINDOW_FRAMES;
use super::{WhisperVocabulary, WindowPlace, Windows};
use crate::decode::logits::log_softmax;
use crate::decode::{DecodeError, NextToken};

/// Seconds of a window.
const WINDOW_S: usize = 30;

/// A recording and the model that writes it down.
///
/// # Differences from the reference
/// Silence stands behind the recording in every window, as in those that the models were trained on; openai-whisper and
/// transformers put frames of value 0 behind the last window of recordings of more than 30 s.
#[derive(Debug)]
pub struct WhisperRecording<'a> {
    model: &'a Whisper,
    config: &'a WhisperConfig,
    /// Those of the recording, and 30 s of silence.
    frames: Frames,
    n_frames: usize,
    device: Device,
    /// The window that was encoded last: a language is found in the one that is written down next.
    encoded: RefCell<Option<(WindowPlace, TokenSequence)>>,
}

/// Texts that are being written about a window.
#[derive(Clone, Debug)]
pub struct WhisperState {
    encoded: TokenSequence,
    /// None before anything is read.
    cache: Option<KeyValueCache>,
    n_read: usize,
}

impl<'a> WhisperRecording<'a> {
    /// Computes the log-mel frames of samples at 16 kHz.
    ///
    /// # Errors
    /// When the model's windows are not of 30 s.
    pub fn new(
        model: &'a Whisper,
        config: &'a WhisperConfig,
        samples: &[f32],
        device: &Device,
    ) -> Result<Self, DecodeError> {
        let is_whole = 2 * config.max_audio_tokens == WINDOW_FRAMES;
        let expected = "1500, of 30 s together";
        DecodeError::check("max_source_positions", expected, is_whole, config.max_audio_tokens)?;
        let mut padded = Vec::with_capacity(samples.len() + WINDOW_S * RATE_HZ as usize);
        padded.extend_from_slice(samples);
        padded.resize(samples.len() + WINDOW_S * RATE_HZ as usize, 0.0);
        let frames = LogMel::new(config.n_mels).frames(&padded);
        let n_frames = frames.n_frames - WINDOW_FRAMES;
        // what is shorter than a frame is one all the same
        let n_frames = if samples.is_empty() { 0 } else { n_frames.max(1) };
        Ok(Self { model, config, frames, n_frames, device: device.clone(), encoded: RefCell::default() })
    }

    /// The languages of the recording's first 30 s, the likeliest first, each with its probability among them.
    ///
    /// # Errors
    /// A recording without frames, and scores that are NaN.
    pub fn languages(&self, vocabulary: &WhisperVocabulary) -> Result<Vec<(String, f64)>, DecodeError> {
        DecodeError::check("recording", "at least one frame", self.n_frames > 0, "none")?;
        let place = WindowPlace { first_frame: 0, n_frames: self.n_frames.min(WINDOW_FRAMES) };
        let mut state = self.start(&self.encode(place));
        let logits = self.step(&[vocabulary.start()], &mut state);
        let languages = vocabulary.languages();
        let mut scores = languages.values().map(|&id| logits[id as usize]).collect::<Vec<_>>();
        if let Some(idx) = scores.iter().position(|score| !score.is_finite()) {
            return Err(DecodeError::Score { row: 0, step: 0, id: idx, value: scores[idx] });
        }
        log_softmax(&mut scores);
        let probabilities = scores.iter().map(|&score| f64::from(score).exp());
        let mut found = languages.keys().cloned().zip(probabilities).collect::<Vec<_>>();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(found)
    }

    /// `[n_rows, n_new]` of the same tokens in each row -> `[n_rows, n_vocab]` behind the last.
    fn read(&self, ids: Vec<i64>, n_rows: usize, state: &mut WhisperState) -> Vec<f32> {
        let n_new = ids.len() / n_rows.max(1);
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [n_rows, n_new]), &self.device);
        let logits = match &mut state.cache {
            Some(cache) => {
                let mut logits = None;
                for at in 0..n_new {
                    let id = ids.clone().narrow(1, at, 1);
                    logits = Some(self.model.next(id, state.n_read + at, cache));
                }
                logits
            }
            none => {
                let (logits, cache) = self.model.prefill(&state.encoded, ids);
                *none = Some(cache);
                Some(logits.narrow(1, n_new - 1, 1))
            }
        };
        state.n_read += n_new;
        let logits = logits.map(|logits| logits.into_data().iter::<f32>().collect());
        logits.unwrap_or_default()
    }
}

impl NextToken for WhisperRecording<'_> {
    type State = WhisperState;

    fn n_vocab(&self) -> usize {
        self.config.n_vocab
    }

    fn max_tokens(&self) -> usize {
        self.config.max_text_tokens
    }

    fn step(&self, ids: &[u32], state: &mut WhisperState) -> Vec<f32> {
        self.read(ids.iter().map(|&id| i64::from(id)).collect(), ids.len(), state)
    }

    fn prefill(&self, prompt: &[u32], n_rows: usize, state: &mut WhisperState) -> Vec<f32> {
        let row = prompt.iter().map(|&id| i64::from(id)).collect::<Vec<_>>();
        self.read(row.repeat(n_rows), n_rows, state)
    }

    fn select(&self, state: &WhisperState, rows: &[usize]) -> WhisperState {
        let rows = rows.iter().map(|&row| row as i64).collect::<Vec<_>>();
        let n_rows = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [n_rows]), &self.device);
        WhisperState {
            // what was encoded is in the cache once anything has been read
            encoded: state.encoded.clone(),
            cache: state.cache.as_ref().map(|cache| cache.select(&rows)),
            n_read: state.n_read,
        }
    }
}

impl Windows for WhisperRecording<'_> {
    type Window = TokenSequence;

    fn n_frames(&self) -> usize {
        self.n_frames
    }

    fn encode(&self, place: WindowPlace) -> TokenSequence {
        if let Some((at, encoded)) = &*self.encoded.borrow()
            && *at == place
        {
            return encoded.clone();
        }
        let n_mels = self.frames.n_mels;
        let window = &self.frames.values[place.first_frame * n_mels..][..WINDOW_FRAMES * n_mels];
        let data = TensorData::new(window.to_vec(), [1, WINDOW_FRAMES, n_mels]);
        let input =
            AudioInput { frames: Tensor::from_data(data, &self.device), lengths: vec![WINDOW_FRAMES] };
        let encoded = self.model.encode(&input);
        *self.encoded.borrow_mut() = Some((place, encoded.clone()));
        encoded
    }

    fn start(&self, window: &TokenSequence) -> WhisperState {
        WhisperState { encoded: window.clone(), cache: None, n_read: 0 }
    }
}
