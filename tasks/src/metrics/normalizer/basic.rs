//! Whisper's normaliser for any language, and the character classes that both of Whisper's share.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::fixed;

/// White space as Python's `str.isspace` has it, which counts four separators that Unicode's property leaves out.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Takes out `[...]`, `<...>` and `(...)` with their content.
pub(super) fn without_brackets(text: &str) -> String {
    static BRACKETS: LazyLock<Regex> = LazyLock::new(|| fixed(r"[<\[][^>\]]*[>\]]"));
    static PARENTHESES: LazyLock<Regex> = LazyLock::new(|| fixed(r"\([^)]+?\)"));
    PARENTHESES.replace_all(&BRACKETS.replace_all(text, ""), "").into_owned()
}

/// Runs of white space become one space; the ends are not trimmed.
pub(super) fn with_single_spaces(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for c in text.chars() {
        match is_space(c) {
            false => collapsed.push(c),
            true if collapsed.ends_with(' ') => {}
            true => collapsed.push(' '),
        }
    }
    collapsed
}

pub(super) fn normalize(text: &str) -> String {
    static SYMBOLS: LazyLock<Regex> = LazyLock::new(|| fixed(r"[\p{M}\p{S}\p{P}]"));

    let text: String = without_brackets(&text.to_lowercase()).nfkc().collect();
    // lower case once more: NFKC brings capitals back (™ is TM)
    let text = SYMBOLS.replace_all(&text, " ").to_lowercase();
    with_single_spaces(&text)
}
