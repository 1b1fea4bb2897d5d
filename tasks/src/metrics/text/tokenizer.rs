//! The tokens of BLEU for text: mteval-v13a's.

use std::sync::LazyLock;

use regex::Regex;

use crate::metrics::normalizer::{fixed, is_space};

/// The tokens of a text joined by single spaces: punctuation parts from words, points and commas stay inside numbers, case
/// and everything outside ASCII are left alone.
///
/// # Reference
/// sacrebleu 2.6 `tokenizers/tokenizer_13a.py`.
pub fn tokenize_13a(text: &str) -> String {
    static SYMBOL: LazyLock<Regex> = LazyLock::new(|| fixed(r"([\{-~\[-` -&\(-\+:-@/])"));
    static AFTER_OTHER: LazyLock<Regex> = LazyLock::new(|| fixed(r"([^0-9])([.,])"));
    static BEFORE_OTHER: LazyLock<Regex> = LazyLock::new(|| fixed(r"([.,])([^0-9])"));
    static AFTER_DIGIT: LazyLock<Regex> = LazyLock::new(|| fixed(r"([0-9])(-)"));

    let mut text =
        text.trim_end_matches(is_space).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if text.contains('&') {
        for (entity, symbol) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
            text = text.replace(entity, symbol);
        }
    }
    let text = format!(" {text} ");
    let text = SYMBOL.replace_all(&text, " ${1} ");
    let text = AFTER_OTHER.replace_all(&text, "${1} ${2} ");
    let text = BEFORE_OTHER.replace_all(&text, " ${1} ${2}");
    let text = AFTER_DIGIT.replace_all(&text, "${1} ${2} ");
    let tokens: Vec<&str> = text.split(is_space).filter(|token| !token.is_empty()).collect();
    tokens.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_parts_from_words_but_not_inside_numbers() {
        for (text, tokens) in [
            ("Hello, world! (1,000.50)", "Hello , world ! ( 1,000.50 )"),
            ("It's 5-6 o'clock.", "It's 5 - 6 o'clock ."),
            ("a &amp; b &lt;i&gt;", "a & b < i >"),
            ("na\u{ef}ve \u{2014} ok", "na\u{ef}ve \u{2014} ok"),
            ("", ""),
        ] {
            assert_eq!(tokenize_13a(text), tokens, "{text:?}");
        }
    }
}
