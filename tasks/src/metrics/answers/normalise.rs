//! The one form that answers are compared in.
//!
//! Reference: `vqaEval.py` of the VQA evaluation tools (github.com/GT-Vision-Lab/VQA, revision a013f00), whose lists of
//! contractions, numbers, articles and punctuation these are. Its `re` patterns are of Python 2, where `\d` is an ASCII digit.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A word without its apostrophe and with it, one pair a line.
const CONTRACTIONS: &str = include_str!("contractions.txt");

const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];
const ARTICLES: [&str; 3] = ["a", "an", "the"];
const PUNCTUATION: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!',
];
/// The reference hands a flag of this value to `re.sub` as the number of replacements.
const MAX_FULL_STOPS: usize = 32;

static WORDS: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| CONTRACTIONS.lines().filter_map(|line| line.split_once(' ')).collect());

/// Lower case without articles and most punctuation, numbers up to ten in digits, contractions with their apostrophes.
pub fn normalise_answer(answer: &str) -> String {
    let answer = without_full_stops(&without_punctuation(answer)).to_lowercase();
    let words = answer.split(is_space).filter(|word| !word.is_empty()).map(|word| {
        let number = NUMBERS.iter().find(|(name, _)| *name == word);
        number.map_or(word, |(_, digits)| digits)
    });
    let words = words.filter(|word| !ARTICLES.contains(word));
    words.map(|word| WORDS.get(word).copied().unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

/// Line breaks and tabs become spaces, and those at the ends go.
pub(super) fn trimmed(answer: &str) -> String {
    answer.replace(['\n', '\t'], " ").trim_matches(is_space).to_owned()
}

/// A mark beside a space goes, others become a space; all go where a comma stands between digits.
fn without_punctuation(answer: &str) -> String {
    let characters = answer.chars().collect::<Vec<_>>();
    let has_grouped_digits = characters.windows(3).any(
        |window| matches!(window, [before, ',', after] if before.is_ascii_digit() && after.is_ascii_digit()),
    );
    let is_beside_space =
        |mark: char| characters.windows(2).any(|window| window == [mark, ' '] || window == [' ', mark]);
    let goes = PUNCTUATION.map(|mark| has_grouped_digits || is_beside_space(mark));
    let changed = characters.iter().filter_map(|&character| {
        match PUNCTUATION.iter().position(|mark| *mark == character) {
            Some(place) => (!goes[place]).then_some(' '),
            None => Some(character),
        }
    });
    changed.collect()
}

/// Full stops go that no digit follows.
fn without_full_stops(answer: &str) -> String {
    let mut rest = answer.chars().peekable();
    let (mut kept, mut n_removed) = (String::with_capacity(answer.len()), 0);
    while let Some(character) = rest.next() {
        let is_last = rest.peek().is_none_or(|next| !next.is_ascii_digit());
        if character == '.' && is_last && n_removed < MAX_FULL_STOPS {
            n_removed += 1;
        } else {
            kept.push(character);
        }
    }
    kept
}

/// What Python takes for a space.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_mean_the_same_take_one_form() {
        for (answer, expected) in [
            ("The Red one.", "red 1"),
            ("  an  apple\t", "apple"),
            ("dont know", "don't know"),
            ("10,000", "10000"),
            ("black/white", "black white"),
            ("black / white", "black white"),
            ("2.5", "2.5"),
            ("U.S.", "us"),
            ("none", "0"),
            ("a", ""),
            ("", ""),
        ] {
            assert_eq!(normalise_answer(answer), expected, "{answer:?}");
        }
        let (stops, rest) = (".".repeat(40), ".".repeat(8));
        assert_eq!(normalise_answer(&stops), rest);
    }
}
