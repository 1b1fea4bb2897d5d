//! Text: normalisation, tokens, the language.

pub(crate) mod language;
mod normalise;
mod tokenizer;

pub use normalise::normalise;
pub use tokenizer::{BOS, EOS, MASK, N_SPECIALS, PAD, Tokenizer, TokenizerError, TokenizerKind, UNK};
