//! What can be wrong with a model's configuration.

/// Sizes that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
}

impl ConfigError {
    /// `message`: what, expected, got.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
