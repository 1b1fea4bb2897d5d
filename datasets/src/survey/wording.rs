//! What a text is made of: characters, words, tokens, a language.

use std::path::Path;

use unicode_segmentation::UnicodeSegmentation;

use super::repeats;
use crate::text::language::{Guess, guess};
use crate::text::{Tokenizer, TokenizerError, normalise};

/// Below so many letters trigrams say little about the language.
const MIN_GUESSED_LETTERS: usize = 20;
/// What whatlang calls reliable.
const MIN_CONFIDENCE: f64 = 0.9;

/// Counts the tokens of a text.
#[derive(Clone, Debug)]
pub struct TokenCounter(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Ours(Box<Tokenizer>),
    Published(Box<tokenizers::Tokenizer>),
}

impl TokenCounter {
    /// Reads a tokenizer of this program's, or a `tokenizer.json` of Hugging Face.
    ///
    /// # Errors
    /// A file that cannot be read or is neither.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        match Tokenizer::load(path) {
            Ok(tokenizer) => Ok(Self(Inner::Ours(Box::new(tokenizer)))),
            Err(error @ TokenizerError::Malformed { .. }) => {
                let bytes = std::fs::read(path).map_err(|source| TokenizerError::Io {
                    action: "read",
                    path: path.to_owned(),
                    source,
                })?;
                match tokenizers::Tokenizer::from_bytes(&bytes) {
                    Ok(tokenizer) => Ok(Self(Inner::Published(Box::new(tokenizer)))),
                    Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Counts with a tokenizer that is at hand.
    pub fn new(tokenizer: Tokenizer) -> Self {
        Self(Inner::Ours(Box::new(tokenizer)))
    }

    /// Number of tokens, without marks of begin and end; 0 where the tokenizer refuses the text.
    pub fn count(&self, text: &str) -> usize {
        match &self.0 {
            Inner::Ours(tokenizer) => tokenizer.encode(text).len(),
            Inner::Published(tokenizer) => {
                tokenizer.encode_fast(text, false).map_or(0, |encoding| encoding.get_ids().len())
            }
        }
    }
}

/// What is known of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wording {
    /// Equal for texts that are equal once normalised.
    pub(super) key: u64,
    pub(super) is_empty: bool,
    pub(super) n_characters: usize,
    /// Lower case.
    pub(super) words: Vec<String>,
    pub(super) n_tokens: Option<usize>,
    pub(super) guess: Guess,
}

impl Wording {
    pub(super) fn of(text: &str, tokens: Option<&TokenCounter>) -> Self {
        let plain = normalise(text);
        Self {
            key: repeats::key(plain.as_bytes()),
            is_empty: plain.is_empty(),
            n_characters: text.chars().count(),
            words: plain.unicode_words().map(str::to_owned).collect(),
            n_tokens: tokens.map(|tokens| tokens.count(text)),
            guess: guess(text, MIN_GUESSED_LETTERS, MIN_CONFIDENCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TokenizerKind;

    #[test]
    fn words_are_those_of_the_text_and_characters_are_not_bytes() {
        let wording = Wording::of("Café-Bar, can't  WAIT! 32.5", None);
        assert_eq!(wording.words, ["café", "bar", "can't", "wait", "32.5"]);
        assert_eq!(wording.n_characters, 27);
        assert_eq!(wording.key, Wording::of("cafe\u{301}-bar, CAN'T wait! 32.5 ", None).key);
        assert!(Wording::of(" \t ", None).is_empty);
    }

    #[test]
    fn languages_are_guessed_where_there_is_enough_text() {
        let guess = |text| Wording::of(text, None).guess;
        let long = "The quick brown fox jumps over the lazy dog while the children are watching";
        assert_eq!(guess(long), Guess::Language { code: "en", name: "English" });
        assert_eq!(guess("red apple"), Guess::Short);
    }

    #[test]
    fn tokens_are_counted_by_a_saved_tokenizer() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        let tokenizer = Tokenizer::train(TokenizerKind::Characters, &["abc def"], 60).expect("plain text");
        tokenizer.save(&path).expect("the folder is writable");
        let counter = TokenCounter::load(&path).expect("it was just saved");
        assert_eq!(Wording::of("abc", Some(&counter)).n_tokens, Some(3));
        std::fs::write(&path, "{}").expect("the folder is writable");
        assert!(TokenCounter::load(&path).is_err());
    }
}
