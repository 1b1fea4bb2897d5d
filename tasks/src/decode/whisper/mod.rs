//! Whisper's decoding of long recordings, as host logic over [`NextToken`](super::NextToken): what may be written, windows of 30 s, tries at higher
//! temperatures, and where the next window starts.
//!
//! # Reference
//! openai-whisper 20250625: `decoding.py`, `transcribe.py` (Radford et al. 2022, section 4.5).
//!
//! # Differences from the reference
//! Draws are a function of the seed, the window, the try and the place, not of a global generator. Words have no times of their
//! own, and there are no clips: a recording is one. See [`WhisperRecording`] too.

mod long_form;
mod recording;
mod rules;
mod segments;
mod tokens;
mod vocabulary;
mod window;

pub use long_form::{LongForm, Recognition, Segment, WindowPlace, Windows};
pub use recording::{WhisperRecording, WhisperState};
pub use rules::WhisperRules;
pub use tokens::WhisperTokens;
pub use vocabulary::{WhisperTask, WhisperVocabulary, WhisperVocabularyError};
pub use window::{WindowResult, WindowSearch, compression_ratio};

#[cfg(test)]
mod tests;
