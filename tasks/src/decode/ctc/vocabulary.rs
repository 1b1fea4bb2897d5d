//! What the labels of CTC write, and where words start.

use std::collections::HashSet;

use super::CtcError;
use crate::decode::ngram::NGram;

/// The text of every label. A space in it parts words, wherever it stands: vocabularies of characters have a label `" "`, those of
/// word pieces have pieces such as `" the"`, whose space says that a word starts there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    texts: Vec<Option<String>>,
    blank: u32,
    characters: HashSet<char>,
}

impl Vocabulary {
    /// `None` is a label that is never written: padding, marks, unknowns. The blank never is, whatever its text.
    ///
    /// # Errors
    /// A blank outside the vocabulary.
    pub fn new(texts: Vec<Option<String>>, blank: u32) -> Result<Self, CtcError> {
        let mut texts = texts;
        let n_labels = texts.len();
        *texts.get_mut(blank as usize).ok_or(CtcError::UnknownLabel { label: blank, n_labels })? = None;
        let characters = texts.iter().flatten().flat_map(|text| text.chars()).collect();
        Ok(Self { texts, blank, characters })
    }

    /// Of pieces that mark the start of a word by `word_start`, such as `\u{2581}`.
    ///
    /// # Errors
    /// A blank outside the vocabulary.
    pub fn of_pieces(
        pieces: impl IntoIterator<Item = Option<String>>,
        word_start: char,
        blank: u32,
    ) -> Result<Self, CtcError> {
        let spaced = |piece: String| piece.replace(word_start, " ");
        Self::new(pieces.into_iter().map(|piece| piece.map(spaced)).collect(), blank)
    }

    /// Labels, the blank included.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The label that writes nothing.
    pub fn blank(&self) -> u32 {
        self.blank
    }

    /// What a label writes; `None` where it is never written.
    pub fn text(&self, label: u32) -> Option<&str> {
        self.texts.get(label as usize)?.as_deref()
    }

    /// What labels write, with single spaces between words and none at the ends.
    pub fn spell(&self, labels: &[u32]) -> String {
        let written = labels.iter().filter_map(|label| self.text(*label)).collect::<String>();
        written.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The first character of a text that no label has.
    pub(super) fn missing(&self, text: &str) -> Option<char> {
        text.chars().find(|character| !character.is_whitespace() && !self.characters.contains(character))
    }

    /// Whether any of a language model's words can be written.
    pub(super) fn fits(&self, model: &NGram) -> Result<(), CtcError> {
        let is_written = |word: &str| self.missing(word).is_none() && model.word(word) != model.unknown();
        if model.words().iter().any(is_written) { Ok(()) } else { self.coverage(model).map(|_| ()) }
    }

    /// The share of a language model's words, from 0 to 1, whose characters all stand in some label.
    ///
    /// # Errors
    /// When there are words and not one can be written: another language, or another case.
    pub fn coverage(&self, model: &NGram) -> Result<f64, CtcError> {
        let marks = 3;
        let n_words = model.words().len().saturating_sub(marks);
        let is_word = |word: &&str| {
            model.known(model.words().narrow(model.words().all(), 0, word), word.len()).is_some()
        };
        let n_covered =
            model.words().iter().filter(|word| self.missing(word).is_none()).filter(is_word).count();
        if n_covered > 0 || n_words == 0 {
            return Ok(n_covered as f64 / n_words.max(1) as f64);
        }
        let example = model.words().iter().find(is_word).unwrap_or_default().to_owned();
        Err(CtcError::LanguageModel { n_words, example })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Vocabulary {
        Vocabulary::of_pieces(texts.iter().map(|text| Some((*text).to_owned())), '\u{2581}', 0).unwrap()
    }

    #[test]
    fn characters_and_pieces_spell_words() {
        assert_eq!(of(&["<pad>", "a", "b", " "]).spell(&[3, 1, 2, 3, 3, 0, 1, 3]), "ab a");
        assert_eq!(of(&["<pad>", "\u{2581}the", "\u{2581}", "m"]).spell(&[1, 3, 2, 3, 3]), "them mm");
    }

    #[test]
    fn a_blank_outside_is_named() {
        let message = Vocabulary::new(vec![None], 1).unwrap_err().to_string();
        assert_eq!(message, "label 1: expected one below 1");
    }

    #[test]
    fn a_language_model_of_another_case_is_refused() {
        let arpa = "\\data\\\nngram 1=4\n\\1-grams:\n-1 <s>\n-1 </s>\n-1 AB\n-1 A\n\\end\\\n";
        let model = NGram::read_arpa(arpa.as_bytes()).unwrap();
        let message = of(&["", "a", "b"]).coverage(&model).unwrap_err().to_string();
        assert!(message.contains("none of the language model's 2 words can be written"), "{message}");
        assert_eq!(of(&["", "A"]).coverage(&model), Ok(0.5));
    }
}
