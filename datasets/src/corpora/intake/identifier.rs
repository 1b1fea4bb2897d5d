//! Any words to a key: what a file in an archive may be called on every system.

use crate::shard::check_key;

const MAX_PLAIN_BYTES: usize = 160;

/// The words themselves where they can be a key. Else what cannot be in one becomes `_`, and a hash of the words
/// follows, so that two different words never get the same key.
pub(crate) fn identifier(words: &str) -> String {
    if check_key(words).is_ok() {
        return words.to_owned();
    }
    let is_kept = |c: char| !(c.is_control() || matches!(c, '\\' | ':' | '.' | '/'));
    let mut plain: String = words.chars().map(|c| if is_kept(c) { c } else { '_' }).collect();
    let end = (0..=MAX_PLAIN_BYTES.min(plain.len())).rev().find(|end| plain.is_char_boundary(*end));
    plain.truncate(end.unwrap_or(0));
    let hash = blake3::hash(words.as_bytes()).to_hex();
    format!("{plain}-{}", &hash[..12])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_told_apart() {
        assert_eq!(identifier("train/cat 1"), "train/cat 1");
        assert!(identifier("a.b").starts_with("a_b-"));
        assert_ne!(identifier("a.b"), identifier("a:b"));
    }

    proptest! {
        #[test]
        fn every_identifier_is_a_key(words in ".{0,300}") {
            prop_assert_eq!(check_key(&identifier(&words)), Ok(()));
        }
    }
}
