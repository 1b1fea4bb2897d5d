//! Whisper's normaliser for English: contractions written out, fillers dropped, numbers in digits, American spelling.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::basic::{is_space, with_single_spaces, without_brackets};
use super::{fixed, number};

/// Sounds that are no words.
const FILLERS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

/// What is written out, in this order: the text, whether a word must begin with it, what takes its place.
/// A word must end with each.
#[rustfmt::skip]
const CONTRACTIONS: [(&str, bool, &str); 49] = [
    ("won't", true, "will not"), ("can't", true, "can not"), ("let's", true, "let us"), ("ain't", true, "aint"),
    ("y'all", true, "you all"), ("wanna", true, "want to"), ("gotta", true, "got to"), ("gonna", true, "going to"),
    ("i'ma", true, "i am going to"), ("imma", true, "i am going to"), ("woulda", true, "would have"),
    ("coulda", true, "could have"), ("shoulda", true, "should have"), ("ma'am", true, "madam"),
    ("mr", true, "mister "), ("mrs", true, "missus "), ("st", true, "saint "), ("dr", true, "doctor "),
    ("prof", true, "professor "), ("capt", true, "captain "), ("gov", true, "governor "), ("ald", true, "alderman "),
    ("gen", true, "general "), ("sen", true, "senator "), ("rep", true, "representative "),
    ("pres", true, "president "), ("rev", true, "reverend "), ("hon", true, "honorable "),
    ("asst", true, "assistant "), ("assoc", true, "associate "), ("lt", true, "lieutenant "),
    ("col", true, "colonel "), ("jr", true, "junior "), ("sr", true, "senior "), ("esq", true, "esquire "),
    ("'d been", false, " had been"), ("'s been", false, " has been"), ("'d gone", false, " had gone"),
    ("'s gone", false, " has gone"), ("'d done", false, " had done"), ("'s got", false, " has got"),
    ("n't", false, " not"), ("'re", false, " are"), ("'s", false, " is"), ("'d", false, " would"),
    ("'ll", false, " will"), ("'t", false, " not"), ("'ve", false, " have"), ("'m", false, " am"),
];

/// Symbols that belong to numbers.
const KEPT: &str = ".%$\u{a2}\u{20ac}\u{a3}";

static SPELLINGS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("spelling.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('\t')).collect()
});

pub(super) fn normalize(text: &str) -> String {
    static SPACED_APOSTROPHE: LazyLock<Regex> = LazyLock::new(|| fixed(r"[\s\x1c-\x1f]+'"));
    static DIGIT_COMMA: LazyLock<Regex> = LazyLock::new(|| fixed(r"(\d),(\d)"));
    static FULL_STOP: LazyLock<Regex> = LazyLock::new(|| fixed(r"\.([^0-9]|$)"));
    static LONE_PREFIX: LazyLock<Regex> = LazyLock::new(|| fixed(r"[.$\u{a2}\u{20ac}\u{a3}]([^0-9])"));
    static LONE_PERCENT: LazyLock<Regex> = LazyLock::new(|| fixed("([^0-9])%"));

    let mut text = without_brackets(&text.to_lowercase());
    for filler in FILLERS {
        replace_word(&mut text, filler, true, "");
    }
    let mut text = SPACED_APOSTROPHE.replace_all(&text, "'").into_owned();
    for (contraction, begins_word, written_out) in CONTRACTIONS {
        replace_word(&mut text, contraction, begins_word, written_out);
    }
    let text = DIGIT_COMMA.replace_all(&text, "${1}${2}");
    let text = FULL_STOP.replace_all(&text, " ${1}");
    let text = number::in_digits(&without_symbols(&text));
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| SPELLINGS.get(word).copied().unwrap_or(word)).collect();
    let text = words.join(" ");
    let text = LONE_PREFIX.replace_all(&text, " ${1}");
    let text = LONE_PERCENT.replace_all(&text, "${1} ");
    with_single_spaces(&text)
}

/// Whether words are made of it, as Python's `\w` has it.
pub(super) fn is_word(c: char) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| fixed(r"[\p{L}\p{N}]"));
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '_',
        false => WORD.is_match(c.encode_utf8(&mut [0; 4])),
    }
}

/// Replaces `word` wherever a word ends with it and, if asked for, begins with it.
fn replace_word(text: &mut String, word: &str, begins_word: bool, replacement: &str) {
    let Some(first) = text.find(word) else { return };
    let mut replaced = String::with_capacity(text.len() + 16);
    let mut done = 0;
    let mut place = Some(first);
    while let Some(start) = place {
        let end = start + word.len();
        let is_inside = begins_word && text[..start].chars().next_back().is_some_and(is_word);
        if is_inside || text[end..].chars().next().is_some_and(is_word) {
            // the next may begin inside of this one
            let next = start + text[start..].chars().next().map_or(1, char::len_utf8);
            place = text[next..].find(word).map(|offset| next + offset);
            continue;
        }
        replaced.push_str(&text[done..start]);
        replaced.push_str(replacement);
        done = end;
        place = text[end..].find(word).map(|offset| end + offset);
    }
    if done > 0 {
        replaced.push_str(&text[done..]);
        *text = replaced;
    }
}

/// Marks dropped from their letters, letters that no decomposition parts written in ASCII, symbols to spaces.
fn without_symbols(text: &str) -> String {
    static DROPPED: LazyLock<Regex> = LazyLock::new(|| fixed(r"\p{Mn}"));
    static SPACED: LazyLock<Regex> = LazyLock::new(|| fixed(r"[\p{M}\p{S}\p{P}]"));

    let mut plain = String::with_capacity(text.len());
    for c in text.nfkd() {
        if c.is_ascii() {
            plain.push(if c.is_ascii_punctuation() && !KEPT.contains(c) { ' ' } else { c });
            continue;
        }
        let mut buffer = [0; 4];
        let c = &*c.encode_utf8(&mut buffer);
        if KEPT.contains(c) {
            plain.push_str(c);
        } else if let Some(letters) = in_ascii(c) {
            plain.push_str(letters);
        } else if DROPPED.is_match(c) {
        } else if SPACED.is_match(c) {
            plain.push(' ');
        } else {
            plain.push_str(c);
        }
    }
    plain
}

/// Letters with a stroke and ligatures.
fn in_ascii(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "\u{153}" => "oe",
        "\u{152}" => "OE",
        "\u{f8}" => "o",
        "\u{d8}" => "O",
        "\u{e6}" => "ae",
        "\u{c6}" => "AE",
        "\u{df}" => "ss",
        "\u{1e9e}" => "SS",
        "\u{111}" | "\u{f0}" => "d",
        "\u{110}" | "\u{d0}" => "D",
        "\u{fe}" | "\u{de}" => "th",
        "\u{142}" => "l",
        "\u{141}" => "L",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cases: &[(&str, &str)]) {
        for (text, normalized) in cases {
            assert_eq!(normalize(text), *normalized, "{text:?}");
        }
    }

    #[test]
    fn contractions_are_written_out() {
        check(&[
            ("Let's go, I can't!", "let us go i can not"),
            ("he's been there; they'd done it", "he has been there they had done it"),
            ("Mr. Park visited St. John", "mister park visited saint john"),
            ("stop the mrsa", "stop the mrsa"),
        ]);
    }

    #[test]
    fn fillers_and_notes_are_dropped() {
        check(&[("Uh, um, yes [noise] (laughs) umbrella hmm", "yes umbrella")]);
    }

    #[test]
    fn spelling_is_american_and_letters_are_plain() {
        check(&[("The colour of the caf\u{e9} in \u{141}\u{f3}d\u{17a}", "the color of the cafe in lodz")]);
        assert_eq!(SPELLINGS.len(), 1_739);
    }

    #[test]
    fn symbols_stay_with_their_numbers_alone() {
        check(&[
            ("$20 million, 50% off. A % $ b", "$20000000 50% off a b"),
            ("1,000,000.50 dollars", "$1000000.50"),
        ]);
    }
}
