//! The token ids of a Whisper vocabulary that decoding needs to know.

use crate::decode::DecodeError;

/// Special tokens and those that are never written. Ids below `end` are text, from `timestamp_begin` on they are times: 0.00 s,
/// 0.02 s and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhisperTokens {
    /// `<|endoftext|>`
    pub end: u32,
    /// `<|startoftranscript|>`
    pub start: u32,
    /// What every text begins with: `start`, and in a multilingual model the language and the task.
    pub start_sequence: Vec<u32>,
    /// `<|startofprev|>`, before the text of the windows before.
    pub previous: u32,
    /// `<|nospeech|>`
    pub no_speech: Option<u32>,
    /// `<|notimestamps|>`
    pub no_timestamps: u32,
    /// `<|0.00|>`
    pub timestamp_begin: u32,
    /// The tokens of `" "`, which may not come first, nor may `end`.
    pub blank: Vec<u32>,
    /// Never written: symbols that are not spoken (`non_speech_tokens`), and special tokens: `transcribe`, `translate`, `start`,
    /// `previous`, `<|startoflm|>` and `no_speech`.
    pub suppressed: Vec<u32>,
}

impl WhisperTokens {
    /// Checks that every id is among `n_vocab`, and the order of the vocabulary's parts.
    ///
    /// # Errors
    /// When one is not, or the text would begin with nothing.
    pub fn check(&self, n_vocab: usize) -> Result<(), DecodeError> {
        let named = [
            ("the end mark", self.end),
            ("the start mark", self.start),
            ("the mark of earlier text", self.previous),
            ("the mark of no timestamps", self.no_timestamps),
            ("the first timestamp", self.timestamp_begin),
        ];
        let no_speech = self.no_speech.iter().map(|id| ("the mark of no speech", *id));
        let start = self.start_sequence.iter().map(|id| ("a token that a text begins with", *id));
        let others = self.blank.iter().chain(&self.suppressed).map(|id| ("a suppressed token", *id));
        for (what, id) in named.into_iter().chain(no_speech).chain(start).chain(others) {
            if id as usize >= n_vocab {
                return Err(DecodeError::Vocabulary { what, id, n_vocab });
            }
        }
        let has_start = self.start_sequence.first() == Some(&self.start);
        let got = format!("{:?}", self.start_sequence);
        DecodeError::check("start_sequence", "the start mark first", has_start, got)?;
        let (is_good, got) =
            (self.end < self.timestamp_begin, format!("{} and {}", self.end, self.timestamp_begin));
        DecodeError::check("end and timestamp_begin", "the end mark before the timestamps", is_good, got)
    }
}
