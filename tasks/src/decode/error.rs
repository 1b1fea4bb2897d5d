//! What can go wrong while a text is written token by token.

/// Why no text could be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Scores that cannot be compared.
    #[error("row {row}, step {step}: the score of token {id} is {value}: expected a number below infinity")]
    Score {
        /// The row of the batch.
        row: usize,
        /// Tokens written before.
        step: usize,
        /// The token.
        id: usize,
        /// Its score.
        value: f32,
    },
    /// A model that breaks its promise.
    #[error("expected scores of {n_rows} rows x {n_vocab} tokens, got {got} values")]
    Size {
        /// Rows that were asked for.
        n_rows: usize,
        /// Tokens of the vocabulary.
        n_vocab: usize,
        /// Values given.
        got: usize,
    },
    /// A token outside the vocabulary.
    #[error("vocabulary does not match: {what} is token {id}, the model has {n_vocab}")]
    Vocabulary {
        /// A mark, or a token of a phrase.
        what: &'static str,
        /// The token.
        id: u32,
        /// Tokens of the vocabulary.
        n_vocab: usize,
    },
    /// Nothing may be written.
    #[error("row {row}: no text that may be written fits into {n_tokens} tokens")]
    NoText {
        /// The row of the batch.
        row: usize,
        /// Tokens of the longest text.
        n_tokens: usize,
    },
    /// Sounds of which CTC says something else than is written.
    #[error("expected label scores of {expected}, got {got}")]
    Labels {
        /// In words.
        expected: String,
        /// In words.
        got: String,
    },
    /// No room for what a text begins with.
    #[error("expected a prompt of 1 to {max_tokens} tokens, got {got}")]
    Prompt {
        /// Tokens that the model can run.
        max_tokens: usize,
        /// Tokens of the prompt.
        got: usize,
    },
    /// Phrases to choose from of which there are none, or empty ones.
    #[error("expected phrases of at least one token each, got {got}")]
    Phrases {
        /// In words.
        got: String,
    },
    /// A setting that makes no sense.
    #[error("{setting}: expected {expected}, got {got}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// In words.
        expected: &'static str,
        /// As given.
        got: String,
    },
}

impl DecodeError {
    /// Checks a setting.
    pub(super) fn check(
        setting: &'static str,
        expected: &'static str,
        is_good: bool,
        got: impl ToString,
    ) -> Result<(), Self> {
        if is_good { Ok(()) } else { Err(Self::Setting { setting, expected, got: got.to_string() }) }
    }
}
