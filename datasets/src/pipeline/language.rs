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

/// The language of texts taken together, if they have enough letters and the answer is sure enough.
pub(crate) fn detect(texts: &[String], min_characters: usize, min_confidence: f64) -> Option<String> {
    let joined = texts.join("\n");
    if joined.chars().filter(|c| c.is_alphabetic()).count() < min_characters {
        return None;
    }
    let info = whatlang::detect(&joined)?;
    (info.confidence() >= min_confidence).then(|| short_code(Lang::code(&info.lang())))
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
        let texts = |text: &str| vec![text.to_owned()];
        let english = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, and it was the season of light";
        assert_eq!(detect(&texts(english), 20, 0.1).as_deref(), Some("en"));
        let german = "Wer reitet so spät durch Nacht und Wind? Es ist der Vater mit seinem Kind; er hat den Knaben wohl in dem Arm, er fasst ihn sicher, er hält ihn warm";
        assert_eq!(detect(&texts(german), 20, 0.1).as_deref(), Some("de"));
        assert_eq!(detect(&texts("red apple"), 20, 0.5), None);
        assert_eq!(detect(&texts("12345 67890 12345 67890"), 20, 0.5), None);
    }
}
