//! What is done to transcripts before they are compared. A figure is printed with its normaliser's name and version,
//! since the same hypotheses score many percent apart under another one.

use std::borrow::Cow;
use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

mod basic;
mod english;
mod number;
mod numeral;

pub(crate) use basic::is_space;

/// A named way to normalise text; [`fmt::Display`] gives the name and version to print beside a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalizer {
    /// The text as it is.
    #[default]
    None,
    /// Lower case alone.
    Lowercase,
    /// For any language: lower case, `[...]`, `<...>` and `(...)` taken out with their content, NFKC, marks, symbols
    /// and punctuation to spaces, runs of white space to one space. Ends are not trimmed.
    ///
    /// # Reference
    /// openai/whisper 20250625 `normalizers/basic.py`, `BasicTextNormalizer()`.
    ///
    /// # Differences from the reference
    /// Character classes are of this build's Unicode version, not Python's.
    #[serde(rename = "whisper-basic", alias = "basic")]
    Basic,
    /// For English: what [`Normalizer::Basic`] does and more. Fillers (`um`) dropped, contractions and titles written out,
    /// numbers in digits with their currency before and percent after them, marks dropped from letters, British
    /// spelling made American.
    ///
    /// # Reference
    /// openai/whisper 20250625 `normalizers/english.py`, `EnglishTextNormalizer()`, quirks included.
    ///
    /// # Differences from the reference
    /// Character classes are of this build's Unicode version, not Python's. A number of more than 4,300 digits is one more
    /// number here and an exception there.
    #[serde(rename = "whisper-english")]
    English,
}

impl Normalizer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Lowercase, Self::Basic, Self::English];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lowercase => "lowercase",
            Self::Basic => "whisper-basic",
            Self::English => "whisper-english",
        }
    }

    /// Raised whenever some text would come out differently.
    pub fn version(self) -> u32 {
        match self {
            Self::None | Self::Lowercase | Self::Basic | Self::English => 1,
        }
    }

    /// The text to compare.
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(text),
            Self::Lowercase => Cow::Owned(text.to_lowercase()),
            Self::Basic => Cow::Owned(basic::normalize(text)),
            Self::English => Cow::Owned(english::normalize(text)),
        }
    }
}

impl fmt::Display for Normalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-v{}", self.name(), self.version())
    }
}

/// A pattern of this crate's own.
///
/// # Panics
/// When the pattern is not valid, which the first test to use it finds.
pub(crate) fn fixed(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("pattern of this crate: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn basic_takes_out_what_is_not_said() {
        let basic = |text| Normalizer::Basic.apply(text).into_owned();
        assert_eq!(basic("Hello, [noise] WORLD! (laughs)"), "hello world ");
        assert_eq!(basic("<unk>a</unk>"), "a");
        assert_eq!(basic("don't stop"), "don t stop");
        assert_eq!(basic("ＦＵＬＬ　ｗｉｄｔｈ ﬁsh"), "full width fish");
        assert_eq!(basic("()"), " ");
        assert_eq!(basic("BUSINESS™"), "businesstm");
        assert_eq!(basic(""), "");
    }

    #[test]
    fn names_carry_versions_and_round_trip() {
        assert_eq!(Normalizer::Basic.to_string(), "whisper-basic-v1");
        assert_eq!(serde_json::from_str::<Normalizer>("\"basic\"").ok(), Some(Normalizer::Basic));
        for normalizer in Normalizer::ALL {
            let json = serde_json::to_string(&normalizer).expect("a unit variant");
            assert_eq!(json, format!("\"{}\"", normalizer.name()));
            assert_eq!(serde_json::from_str::<Normalizer>(&json).expect("its own output"), normalizer);
        }
    }

    proptest! {
        #[test]
        fn none_changes_nothing(text in ".{0,40}") {
            prop_assert_eq!(Normalizer::None.apply(&text), text.as_str());
        }

        #[test]
        fn basic_leaves_single_spaces_and_no_ascii_punctuation(text in "[ -~\u{e9}\u{3b1}\u{1f600}\t]{0,60}") {
            let normalized = Normalizer::Basic.apply(&text);
            prop_assert!(!normalized.contains("  "));
            prop_assert!(!normalized.chars().any(|c| c.is_ascii_punctuation() || c.is_ascii_uppercase()));
            prop_assert_eq!(Normalizer::Basic.apply(&normalized), normalized.as_ref());
        }
    }
}
