//! One way to write each text, before it is cut into tokens or compared.

use unicode_normalization::UnicodeNormalization;

/// Marks the start of a word inside the tokenizer; in a text it becomes an underscore.
pub(super) const WORD_START: char = '\u{2581}';

/// Lower case, NFC, single spaces, none at the ends, no control characters. Doing it twice changes nothing more.
pub fn normalise(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // lower case can take a character apart, and composing can make an upper-case one
    let mut folded: String = text.nfc().flat_map(char::to_lowercase).nfc().collect();
    loop {
        let again: String = folded.nfc().flat_map(char::to_lowercase).nfc().collect();
        if again == folded {
            break;
        }
        folded = again;
    }
    for c in folded.chars() {
        if c.is_whitespace() || c.is_control() {
            if !plain.is_empty() && !plain.ends_with(' ') {
                plain.push(' ');
            }
        } else {
            plain.push(if c == WORD_START { '_' } else { c });
        }
    }
    plain.truncate(plain.trim_end_matches(' ').len());
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_case_and_composition_become_one() {
        assert_eq!(normalise("  Red\t\nAPPLE "), "red apple");
        assert_eq!(normalise("Cafe\u{301}"), "caf\u{e9}");
        assert_eq!(normalise("a\u{2581}b\u{0}c"), "a_b c");
        assert_eq!(normalise(" \n "), "");
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "\\PC{0,40}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
