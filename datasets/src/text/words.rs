//! Where words begin and end among tokens, as their vocabulary marks it.
//!
//! | marks | vocabularies | a word |
//! |---|---|---|
//! | `▁` before a word | ours, SentencePiece (T5, SigLIP) | what stands between spaces |
//! | `Ġ` before a word | byte-level (GPT-2, Whisper) | what stands between spaces |
//! | `##` before what goes on | BERT | without the punctuation beside it, which is cut off before |
//! | `</w>` behind a word | CLIP's | the same |
//! | none | single characters | what stands between spaces, which are no part of it |

use std::ops::Range;

use super::normalise::WORD_START;

/// Before a token that goes on within a word, in BERT's vocabularies.
const GOES_ON: &str = "##";
/// A space, and behind it a line feed, a carriage return and a tab, as byte-level vocabularies write these bytes (GPT-2's
/// `bytes_to_unicode`).
const BYTE_SPACES: [char; 4] = ['\u{120}', '\u{10a}', '\u{10d}', '\u{109}'];
/// Behind the last token of a word, in CLIP's vocabulary.
const ENDS: &str = "</w>";

/// What a token is to the word that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Its beginning.
    Begins,
    /// What goes on, or begins a word where none has begun.
    GoesOn,
    /// The same, and its end.
    Ends,
    /// No part of a word: a mark, a space that is a token.
    Outside,
}

/// How a vocabulary marks words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marking {
    Before(&'static [char]),
    GoingOn,
    Behind,
    None,
}

/// What every token of a vocabulary is to the word that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordBoundaries {
    parts: Vec<Part>,
}

impl WordBoundaries {
    /// Of a vocabulary: each token as it is written there, in the order of their numbers, and whether it is a mark that no
    /// text holds. The marking is the one that most tokens bear. A number without a token is no part of a word.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (Option<&'a str>, bool)>) -> Self {
        let tokens = tokens.into_iter().collect::<Vec<_>>();
        let marking = marking(tokens.iter().filter(|(_, is_mark)| !is_mark).filter_map(|(token, _)| *token));
        let part = |(token, is_mark): &(Option<&str>, bool)| match token {
            Some(token) if !is_mark => marking.part(token),
            _ => Part::Outside,
        };
        Self { parts: tokens.iter().map(part).collect() }
    }

    /// The same, and the token `id` begins a word: an unknown word that is one token as a whole.
    #[must_use]
    pub fn with_beginning(mut self, id: u32) -> Self {
        if let Some(part) = self.parts.get_mut(id as usize) {
            *part = Part::Begins;
        }
        self
    }

    /// The same, and the token `id` goes on: an unknown character of a word.
    #[must_use]
    pub fn with_going_on(mut self, id: u32) -> Self {
        if let Some(part) = self.parts.get_mut(id as usize) {
            *part = Part::GoesOn;
        }
        self
    }

    /// The places of each word's tokens, in order. A text that was cut may begin or end within a word: what is left of it is
    /// one.
    pub fn words(&self, ids: &[u32]) -> Vec<Range<usize>> {
        let mut words = Vec::<Range<usize>>::new();
        let mut is_open = false;
        for (place, &id) in ids.iter().enumerate() {
            let part = self.parts.get(id as usize).copied().unwrap_or(Part::Outside);
            let goes_on = is_open && matches!(part, Part::GoesOn | Part::Ends);
            is_open = matches!(part, Part::Begins | Part::GoesOn);
            match words.last_mut().filter(|_| goes_on) {
                Some(word) => word.end = place + 1,
                None if part != Part::Outside => words.push(place..place + 1),
                None => {}
            }
        }
        words
    }
}

impl Marking {
    fn part(self, token: &str) -> Part {
        match self {
            Self::Before(marks) if token.starts_with(marks) => Part::Begins,
            Self::Before(_) => Part::GoesOn,
            Self::GoingOn if token.starts_with(GOES_ON) => Part::GoesOn,
            Self::GoingOn => Part::Begins,
            Self::Behind if token.ends_with(ENDS) => Part::Ends,
            Self::Behind => Part::GoesOn,
            Self::None if token.chars().all(char::is_whitespace) => Part::Outside,
            Self::None => Part::GoesOn,
        }
    }
}

fn marking<'a>(tokens: impl Iterator<Item = &'a str>) -> Marking {
    const KINDS: [Marking; 4] =
        [Marking::Before(&[WORD_START]), Marking::Before(&BYTE_SPACES), Marking::GoingOn, Marking::Behind];
    let mut counts = [0usize; KINDS.len()];
    for token in tokens {
        let is_marked = [
            token.starts_with(WORD_START),
            token.starts_with(BYTE_SPACES),
            token.len() > GOES_ON.len() && token.starts_with(GOES_ON),
            token.ends_with(ENDS),
        ];
        counts.iter_mut().zip(is_marked).for_each(|(count, is_marked)| *count += usize::from(is_marked));
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let kind = counts.iter().position(|count| *count == most && most > 0);
    kind.map_or(Marking::None, |kind| KINDS[kind])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The words of all tokens one behind the other, as they are written; the first token is a mark.
    fn words(tokens: &[&str]) -> Vec<String> {
        let vocabulary = tokens.iter().enumerate().map(|(place, token)| (Some(*token), place == 0));
        let ids = (0..tokens.len() as u32).collect::<Vec<_>>();
        let words = WordBoundaries::new(vocabulary).words(&ids);
        words.into_iter().map(|word| tokens[word].join(" ")).collect()
    }

    #[rstest]
    #[case(&["<s>", "▁red", "▁app", "le", "▁", "é", "x"], &["▁red", "▁app le", "▁ é x"])]
    #[case(&["<|end|>", "red", "Ġapp", "le", ".", "Ċ", "Ġtree"], &["red", "Ġapp le .", "Ċ", "Ġtree"])]
    #[case(&["[CLS]", "red", "app", "##le", "##s", ".", "tree"], &["red", "app ##le ##s", ".", "tree"])]
    #[case(&["<|s|>", "red</w>", "app", "le</w>", ".</w>", "tree"], &["red</w>", "app le</w>", ".</w>", "tree"])]
    #[case(&["<s>", "r", "e", "d", " ", "é", "x"], &["r e d", "é x"])]
    fn every_marking_cuts_words(#[case] tokens: &[&str], #[case] expected: &[&str]) {
        assert_eq!(words(tokens), expected);
    }

    #[test]
    fn a_text_that_was_cut_begins_with_what_is_left() {
        let boundaries = WordBoundaries::new([(Some("le"), false), (Some("▁tree"), false)]);
        assert_eq!(boundaries.words(&[0, 0, 1, 0]), [0..2, 2..4]);
    }

    #[test]
    fn marks_and_foreign_numbers_are_in_no_word() {
        let boundaries = WordBoundaries::new([(Some("<s>"), true), (None, false), (Some("a"), false)]);
        assert_eq!(boundaries.words(&[0, 2, 2, 9, 2, 1]), [1..3, 4..5]);
        assert!(boundaries.words(&[]).is_empty());
        assert!(WordBoundaries::new([]).words(&[7]).is_empty());
    }

    #[test]
    fn an_unknown_token_is_a_word_or_goes_on() {
        let vocabulary = [(Some("<unk>"), true), (Some("▁a"), false)];
        let boundaries = WordBoundaries::new(vocabulary);
        assert_eq!(boundaries.clone().with_beginning(0).words(&[1, 0, 0]), [0..1, 1..2, 2..3]);
        assert_eq!(boundaries.with_going_on(0).words(&[1, 0, 0, 1]), [0..3, 3..4]);
    }
}
