//! Text: normalisation, tokens, the language.

mod adopted;
pub(crate) mod language;
mod normalise;
mod published;
mod tokenizer;
mod vocabulary;
mod vocabulary_files;
mod words;

pub use normalise::normalise;
pub use published::PublishedTokenizer;
pub use tokenizer::{BOS, EOS, MASK, N_SPECIALS, PAD, Tokenizer, TokenizerError, TokenizerKind, UNK};
pub use words::WordBoundaries;
