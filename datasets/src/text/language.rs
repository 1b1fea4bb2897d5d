//! Which language a text is in, as far as that can be told.

use whatlang::Lang;

/// ISO 639-1 and 639-3 codes of the languages that are told apart.
const CODES: &[(&str, &str)] = &[
    ("af", "afr"),
    ("am", "amh"),
    ("ar", "ara"),
    ("az", "aze"),
    ("be", "bel"),
    ("bg", "bul"),
    ("bn", "ben"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("cy", "cym"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("eo", "epo"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "pes"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("gu", "guj"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("hy", "hye"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("jv", "jav"),
    ("ka", "kat"),
    ("km", "khm"),
    ("kn", "kan"),
    ("ko", "kor"),
    ("la", "lat"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("mk", "mkd"),
    ("ml", "mal"),
    ("mr", "mar"),
    ("my", "mya"),
    ("nb", "nob"),
    ("ne", "nep"),
    ("nl", "nld"),
    ("or", "ori"),
    ("pa", "pan"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("si", "sin"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sn", "sna"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("ta", "tam"),
    ("te", "tel"),
    ("th", "tha"),
    ("tk", "tuk"),
    ("tl", "tgl"),
    ("tr", "tur"),
    ("ak", "aka"),
    ("uk", "ukr"),
    ("ur", "urd"),
    ("uz", "uzb"),
    ("vi", "vie"),
    ("yi", "yid"),
    ("zh", "cmn"),
    ("zu", "zul"),
];

/// The two-letter code where there is one, the three-letter one else; also of tags such as `en-GB`.
pub(crate) fn short_code(code: &str) -> String {
    let base = code.split(['-', '_']).next().unwrap_or(code).to_lowercase();
    match CODES.iter().find(|(_, long)| *long == base) {
        Some((short, _)) => (*short).to_owned(),
        None if base == "no" || base == "nor" => "nb".to_owned(),
        None => base,
    }
}

/// Whether a code is one that can be found in texts.
pub(crate) fn is_known(code: &str) -> bool {
    CODES.iter().any(|(short, _)| *short == short_code(code))
}

/// The most that is looked at: more of a text does not change the guess.
const MAX_CHARACTERS: usize = 2000;

/// What the language of a text seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// By its letters and their runs of three.
    Language {
        /// ISO 639-1.
        code: &'static str,
        /// In English.
        name: &'static str,
    },
    /// Fewer letters than asked for.
    Short,
    /// Other languages are nearly as likely.
    Unsure,
}

/// The language of a text, if it has enough letters and the answer is sure enough, of a confidence from 0 to 1.
pub(crate) fn guess(text: &str, min_letters: usize, min_confidence: f64) -> Guess {
    let end = text.char_indices().nth(MAX_CHARACTERS).map_or(text.len(), |(end, _)| end);
    let text = &text[..end];
    if text.chars().filter(|c| c.is_alphabetic()).take(min_letters).count() < min_letters {
        return Guess::Short;
    }
    let found = whatlang::detect(text).filter(|info| info.confidence() >= min_confidence);
    let named = |lang: Lang| {
        let (code, _) = CODES.iter().find(|(_, long)| *long == lang.code())?;
        Some(Guess::Language { code, name: lang.eng_name() })
    };
    found.and_then(|info| named(info.lang())).unwrap_or(Guess::Unsure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_that_is_found_has_a_short_code() {
        for lang in Lang::all() {
            assert_eq!(short_code(lang.code()).len(), 2, "{}", lang.code());
        }
        assert_eq!(CODES.len(), Lang::all().len());
        assert_eq!(short_code("en-GB"), "en");
    }

    #[test]
    fn sentences_are_recognised_and_words_are_not_guessed_at() {
        let code = |text: &str| match guess(text, 20, 0.1) {
            Guess::Language { code, .. } => Some(code),
            Guess::Short | Guess::Unsure => None,
        };
        let english = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, and it was the season of light";
        assert_eq!(code(english), Some("en"));
        let german = "Wer reitet so spät durch Nacht und Wind? Es ist der Vater mit seinem Kind; er hat den Knaben wohl in dem Arm, er fasst ihn sicher, er hält ihn warm";
        assert_eq!(code(german), Some("de"));
        assert_eq!(
            guess("Съешь же ещё этих мягких французских булок, да выпей чаю", 20, 0.9),
            Guess::Language { code: "ru", name: "Russian" }
        );
        assert_eq!(guess("red apple", 20, 0.5), Guess::Short);
        assert_eq!(guess("12345 67890 12345 67890", 20, 0.5), Guess::Short);
        assert_eq!(guess("ra ra ra la la la ra ra ra la la la", 20, 1.0), Guess::Unsure);
    }

    #[test]
    fn what_stands_behind_two_thousand_characters_does_not_count() {
        let english = "It was the best of times, it was the worst of times. ".repeat(50);
        let mixed = format!("{english}{}", "Съешь же ещё этих мягких французских булок. ".repeat(500));
        assert_eq!(guess(&mixed, 20, 0.9), guess(&english, 20, 0.9));
        assert_eq!(guess(&format!("{}{english}", " ".repeat(2000)), 20, 0.9), Guess::Short);
    }
}
