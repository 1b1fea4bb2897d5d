//! The tokens that caption scores compare: Penn Treebank tokens, lower case, without punctuation.

use super::lexer::lex;

/// Name and version, to print beside a figure; the version rises whenever some text would come out differently.
pub const TOKENIZER: &str = "ptb-v1";

/// Tokens that are left out of captions. Brackets have become `-lrb-` and the like, in lower case, and are
/// not among them: the reference's list has them in capitals and so never meets them.
const PUNCTUATION: [&str; 13] = ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"];

/// The tokens of a caption joined by single spaces: contractions parted (`do n't`, `man 's`), brackets as `-lrb-`, lower case,
/// lone punctuation left out, symbols kept but for what the reference cannot tokenise (emoji, private use).
/// A token may hold a no-break space, as in `1 1/2` and phone numbers.
///
/// # Reference
/// pycocoevalcap 1.2 `PTBTokenizer`, written from its output: the tokenizer of Stanford CoreNLP 3.4.1 with
/// `-lowerCase`, then its list of punctuation.
///
/// # Differences from the reference
/// Abbreviations are those of English titles, months, states, companies and streets, not all that it knows; rare
/// emoticons, phone numbers and marks of scripts beyond the common ones may part elsewhere. A line separator in
/// a caption is a space here; there it breaks the file of captions.
pub fn tokenize(caption: &str) -> String {
    let mut tokens = String::with_capacity(caption.len() + 8);
    lex(caption, |token| {
        let token = token.to_lowercase();
        if PUNCTUATION.contains(&token.as_str()) {
            return;
        }
        if !tokens.is_empty() {
            tokens.push(' ');
        }
        tokens.push_str(&token);
    });
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(cases: &[(&str, &str)]) {
        for (caption, tokens) in cases {
            assert_eq!(tokenize(caption), *tokens, "{caption:?}");
        }
    }

    #[test]
    fn punctuation_goes_and_case_falls() {
        check(&[
            ("A man, a plan.", "a man a plan"),
            ("\"Hello,\" she said - 'no'...", "hello she said no"),
            ("what?! wait!!!", "what ?! wait !!!"),
            ("yes -- no \u{2014} \u{2026} -----", "yes no -----"),
            ("", ""),
            (" . , ", ""),
        ]);
    }

    #[test]
    fn brackets_survive_in_lower_case() {
        check(&[("a (small) [b] {c}", "a -lrb- small -rrb- -lsb- b -rsb- -lcb- c -rcb-")]);
    }

    #[test]
    fn contractions_are_parted() {
        check(&[
            ("A man's dog doesn't run; it can't", "a man 's dog does n't run it ca n't"),
            ("they're we\u{2019}ve i'd Don\u{2019}t", "they 're we 've i 'd do n't"),
            ("cannot gonna 'tis", "can not gon na 't is"),
            ("dogs' bowls", "dogs bowls"),
            ("O'Brien's o'clock", "o'brien 's o'clock"),
            ("rock'n'roll", "rock 'n' roll"),
        ]);
    }

    #[test]
    fn compounds_numbers_and_abbreviations_stay_whole() {
        check(&[
            ("well-known T-shirt and/or 1/2-inch", "well-known t-shirt and/or 1/2-inch"),
            ("1,000.50 at 12:30 -5 4x4 1990s '90s", "1,000.50 at 12:30 -5 4x4 1990s '90s"),
            ("Mr. Smith of the U.S. at 5 p.m.", "mr. smith of the u.s. at 5 p.m."),
            ("No. 5 no. fig. 3", "no. 5 no fig. 3"),
            ("50% $5 \u{a3}20 #1 a&b", "50 % $ 5 # 20 # 1 a & b"),
            ("1 1/2 cups", "1\u{a0}1/2 cups"),
        ]);
    }

    #[test]
    fn other_scripts_are_words_and_emoji_are_gone() {
        check(&[
            (
                "\u{645}\u{631}\u{62d}\u{628}\u{627}\u{60c} \u{643}\u{64a}\u{641}\u{61f}",
                "\u{645}\u{631}\u{62d}\u{628}\u{627} \u{60c} \u{643}\u{64a}\u{641} \u{61f}",
            ),
            (
                "\u{e20}\u{e32}\u{e29}\u{e32}\u{e44}\u{e17}\u{e22}",
                "\u{e20}\u{e32}\u{e29}\u{e32}\u{e44}\u{e17}\u{e22}",
            ),
            ("man\u{1f44d} ok \u{2764}\u{fe0f}", "man ok \u{2764}"),
        ]);
    }

    proptest! {
        #[test]
        fn any_text_gives_lower_case_tokens_between_single_spaces(caption in "\\PC{0,40}") {
            let tokens = tokenize(&caption);
            prop_assert_eq!(&tokens, &tokens.to_lowercase());
            prop_assert!(!tokens.contains("  ") && tokens.trim_matches(' ') == tokens);
        }

        #[test]
        fn plain_words_are_their_own_tokens(words in prop::collection::vec("[a-z]{2,3}x", 0..8)) {
            prop_assert_eq!(tokenize(&words.join(" ")), words.join(" "));
        }
    }
}
