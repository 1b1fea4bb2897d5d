//! Numbers in words to digits, as Whisper's English normaliser writes them: `twenty one` is `21`, `one oh one` is `101`,
//! `two dollars and seven cents` is `$2.07`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::basic::is_space;
use super::english::is_word;
use super::fixed;
use super::numeral::Numeral;

/// What a word can mean within a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Zero,
    /// 1 to 19, with the suffix that closes a number.
    One(u32, &'static str),
    /// 20, 30, ... 90.
    Ten(u32, &'static str),
    /// A power of ten by its number of zeros.
    Multiplier(usize, &'static str),
    /// A sign that the number after it takes.
    Sign(char),
    /// A currency that the number before it takes.
    Currency(char),
    Per,
    Percent,
    And,
    /// How often the next digit stands.
    Repeat(usize),
    Point,
}

const ONES: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const ORDINALS: [(&str, &str); 19] = [
    ("first", "st"),
    ("second", "nd"),
    ("third", "rd"),
    ("fourth", "th"),
    ("fifth", "th"),
    ("sixth", "th"),
    ("seventh", "th"),
    ("eighth", "th"),
    ("nineth", "th"),
    ("tenth", "th"),
    ("eleventh", "th"),
    ("twelfth", "th"),
    ("thirteenth", "th"),
    ("fourteenth", "th"),
    ("fifteenth", "th"),
    ("sixteenth", "th"),
    ("seventeenth", "th"),
    ("eighteenth", "th"),
    ("nineteenth", "th"),
];
/// Without the `y`, `ies` or `ieth` at their ends.
const TENS: [&str; 8] = ["twent", "thirt", "fort", "fift", "sixt", "sevent", "eight", "ninet"];
const MULTIPLIERS: [(&str, usize); 12] = [
    ("hundred", 2),
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
    ("sextillion", 21),
    ("septillion", 24),
    ("octillion", 27),
    ("nonillion", 30),
    ("decillion", 33),
];

fn meaning(word: &str) -> Option<Meaning> {
    use std::collections::HashMap;
    static MEANINGS: LazyLock<HashMap<String, Meaning>> = LazyLock::new(|| {
        let mut meanings = HashMap::new();
        let mut add = |word: &str, meaning: Meaning| {
            meanings.insert(word.to_owned(), meaning);
        };
        ["o", "oh", "zero"].iter().for_each(|word| add(word, Meaning::Zero));
        add("zeroth", Meaning::One(0, "th"));
        for (value, (one, (ordinal, suffix))) in (1..).zip(ONES.iter().zip(ORDINALS)) {
            add(one, Meaning::One(value, ""));
            add(&format!("{one}{}", if *one == "six" { "es" } else { "s" }), Meaning::One(value, "s"));
            add(ordinal, Meaning::One(value, suffix));
        }
        for (value, ten) in (20..).step_by(10).zip(TENS) {
            add(&format!("{ten}y"), Meaning::Ten(value, ""));
            add(&format!("{ten}ies"), Meaning::Ten(value, "s"));
            add(&format!("{ten}ieth"), Meaning::Ten(value, "th"));
        }
        for (multiplier, n_zeros) in MULTIPLIERS {
            add(multiplier, Meaning::Multiplier(n_zeros, ""));
            add(&format!("{multiplier}s"), Meaning::Multiplier(n_zeros, "s"));
            add(&format!("{multiplier}th"), Meaning::Multiplier(n_zeros, "th"));
        }
        ["minus", "negative"].iter().for_each(|word| add(word, Meaning::Sign('-')));
        ["plus", "positive"].iter().for_each(|word| add(word, Meaning::Sign('+')));
        for (word, currency) in
            [("pound", '\u{a3}'), ("euro", '\u{20ac}'), ("dollar", '$'), ("cent", '\u{a2}')]
        {
            add(word, Meaning::Currency(currency));
            add(&format!("{word}s"), Meaning::Currency(currency));
        }
        add("per", Meaning::Per);
        add("percent", Meaning::Percent);
        add("and", Meaning::And);
        add("double", Meaning::Repeat(2));
        add("triple", Meaning::Repeat(3));
        add("point", Meaning::Point);
        meanings
    });
    MEANINGS.get(word).copied()
}

/// Whether a decimal may go on with it after `point`.
fn is_decimal(meaning: Option<Meaning>) -> bool {
    matches!(meaning, Some(Meaning::Zero | Meaning::One(1.., "") | Meaning::Ten(_, "")))
}

/// Writes the numbers of a text, in lower case and without punctuation, in digits.
pub(super) fn in_digits(text: &str) -> String {
    let text = with_halves(text);
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    with_currencies(&Reader::read(&words))
}

/// `two and a half` is `two point five`; digits and letters part unless the letters are a number's suffix.
fn with_halves(text: &str) -> String {
    static HALF: LazyLock<Regex> = LazyLock::new(|| fixed(r"\band[\s\x1c-\x1f]+a[\s\x1c-\x1f]+half\b"));
    static LETTER_DIGIT: LazyLock<Regex> = LazyLock::new(|| fixed("([a-z])([0-9])"));
    static DIGIT_LETTER: LazyLock<Regex> = LazyLock::new(|| fixed("([0-9])([a-z])"));
    static SUFFIX: LazyLock<Regex> =
        LazyLock::new(|| fixed(r"([0-9])[\s\x1c-\x1f]+(st|nd|rd|th|s)($|[^\p{L}\p{N}_])"));

    let segments: Vec<&str> = HALF.split(text).collect();
    let mut parts = Vec::with_capacity(2 * segments.len());
    for (segment_idx, segment) in segments.iter().enumerate() {
        let Some(last) = segment.split(is_space).rfind(|word| !word.is_empty()) else { continue };
        parts.push(*segment);
        if segment_idx + 1 < segments.len() {
            let meaning = meaning(last);
            let is_number = is_decimal(meaning) || matches!(meaning, Some(Meaning::Multiplier(_, "")));
            parts.push(if is_number { "point five" } else { "and a half" });
        }
    }
    let text = parts.join(" ");
    let text = LETTER_DIGIT.replace_all(&text, "${1} ${2}");
    let text = DIGIT_LETTER.replace_all(&text, "${1} ${2}");
    SUFFIX.replace_all(&text, "${1}${2}${3}").into_owned()
}

/// `$2 and ¢7` is `$2.07`, `$0.07` is `¢7`, `1` alone is `one`.
fn with_currencies(text: &str) -> String {
    static CENTS: LazyLock<Regex> =
        LazyLock::new(|| fixed(r"([\u{20ac}\u{a3}$])([0-9]+) (?:and )?\u{a2}([0-9]{1,2})\b"));
    // any character may stand for the point
    static CENTS_ALONE: LazyLock<Regex> = LazyLock::new(|| fixed(r"[\u{20ac}\u{a3}$]0.([0-9]{1,2})\b"));

    let text = CENTS.replace_all(text, |groups: &Captures<'_>| {
        format!("{}{}.{:0>2}", &groups[1], &groups[2], &groups[3])
    });
    let text = CENTS_ALONE.replace_all(&text, |groups: &Captures<'_>| {
        let cents = groups[1].trim_start_matches('0');
        format!("\u{a2}{}", if cents.is_empty() { "0" } else { cents })
    });
    with_ones_in_words(&text)
}

fn with_ones_in_words(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut is_inside = false;
    for (start, c) in text.char_indices() {
        let rest = &text[start..];
        let is_closed = |n: usize| !rest[n..].chars().next().is_some_and(is_word);
        let is_one = c == '1' && !is_inside && (is_closed(1) || rest[1..].starts_with('s') && is_closed(2));
        written.push_str(if is_one { "one" } else { &rest[..c.len_utf8()] });
        is_inside = is_word(c);
    }
    written
}

/// Reads words from left to right; a number is written once what follows cannot belong to it.
struct Reader<'a> {
    written: Vec<String>,
    words: &'a [&'a str],
    prefix: Option<char>,
    value: Option<Numeral>,
}

impl<'a> Reader<'a> {
    fn read(words: &'a [&'a str]) -> String {
        let mut reader = Self { written: Vec::with_capacity(words.len()), words, prefix: None, value: None };
        let mut word_idx = 0;
        while word_idx < words.len() {
            word_idx += if reader.take(word_idx) { 2 } else { 1 };
        }
        reader.write_value();
        reader.written.join(" ")
    }

    fn write(&mut self, text: &str) {
        let mut written = String::with_capacity(text.len() + 1);
        written.extend(self.prefix.take());
        written.push_str(text);
        self.written.push(written);
        self.value = None;
    }

    fn write_value(&mut self) {
        if let Some(value) = self.value.take() {
            self.write(value.as_str());
        }
    }

    /// Reads a word; true when the next one has been read too.
    fn take(&mut self, word_idx: usize) -> bool {
        let word = self.words[word_idx];
        let before = word_idx.checked_sub(1).and_then(|idx| meaning(self.words[idx]));
        let next_word = self.words.get(word_idx + 1).copied();
        let next = next_word.and_then(meaning);
        let next_is_number = next.is_some() || next_word.is_some_and(is_numeric);

        let prefix = word.chars().next().filter(|first| "+-$\u{a2}\u{20ac}\u{a3}".contains(*first));
        let unprefixed = &word[prefix.map_or(0, char::len_utf8)..];
        if is_numeric(unprefixed) {
            if let Some(value) = &mut self.value {
                if value.ends_with_point() {
                    value.append(word);
                    return false;
                }
                self.write_value();
            }
            self.prefix = prefix.or(self.prefix);
            self.value = Some(Numeral::of_digits(unprefixed));
            return false;
        }
        let Some(meaning) = meaning(word) else {
            self.write_value();
            self.write(word);
            return false;
        };
        match meaning {
            Meaning::Zero => self.value = Some(Numeral::appended(self.value.take(), "0")),
            Meaning::One(value, suffix) => {
                self.take_small(value, if value < 10 { 1 } else { 2 }, suffix, before);
            }
            Meaning::Ten(value, suffix) => self.take_small(value, 2, suffix, None),
            Meaning::Multiplier(n_zeros, suffix) => self.take_multiplier(n_zeros, suffix),
            Meaning::Sign(sign) => {
                self.write_value();
                if next_is_number {
                    self.prefix = Some(sign);
                } else {
                    self.write(word);
                }
            }
            Meaning::Currency(currency) => match self.value.take() {
                Some(value) => {
                    self.prefix = Some(currency);
                    self.write(value.as_str());
                }
                None => self.write(word),
            },
            Meaning::Per | Meaning::Percent => return self.take_percent(word, next_word),
            Meaning::And | Meaning::Repeat(_) | Meaning::Point if !next_is_number => {
                self.write_value();
                self.write(word);
            }
            Meaning::And => {
                if !matches!(before, Some(Meaning::Multiplier(_, ""))) {
                    self.write_value();
                    self.write(word);
                }
            }
            Meaning::Repeat(n_times) => {
                let digits = match next {
                    Some(Meaning::Zero) => 0,
                    Some(Meaning::One(value @ 1.., "")) => value,
                    _ => {
                        self.write_value();
                        self.write(word);
                        return false;
                    }
                };
                let digits = digits.to_string().repeat(n_times);
                self.value = Some(Numeral::appended(self.value.take(), &digits));
                return true;
            }
            Meaning::Point => {
                if is_decimal(next) || next_word.is_some_and(is_numeric) {
                    self.value = Some(Numeral::appended(self.value.take(), "."));
                }
            }
        }
        false
    }

    /// 0 to 99: added where the number so far ends in `n_digits` zeros, else written behind it.
    fn take_small(&mut self, small: u32, n_digits: usize, suffix: &'static str, before: Option<Meaning>) {
        let digits = small.to_string();
        let value = match self.value.take() {
            None => Numeral::of_digits(&digits),
            Some(mut value) => {
                let is_after_one = matches!(before, Some(Meaning::One(1.., "")));
                let is_after_ten = matches!(before, Some(Meaning::Ten(_, "")));
                if value.is_text() || is_after_one {
                    // twenty, then five: the ten's last zero makes place
                    if is_after_ten && small < 10 {
                        value.pop();
                    }
                    value.append(&digits);
                } else if value.ends_with_zeros(n_digits) {
                    value.add(small);
                } else {
                    value.append(&digits);
                }
                value
            }
        };
        self.keep_or_write(value, suffix);
    }

    fn take_multiplier(&mut self, n_zeros: usize, suffix: &'static str) {
        let one = Numeral::power_of_ten(n_zeros);
        let value = match self.value.take() {
            None => one,
            Some(value) if value.is_text() => match value.shifted(n_zeros) {
                Some(shifted) => shifted,
                None => {
                    self.write(value.as_str());
                    one
                }
            },
            Some(mut value) => {
                value.multiply_thousands(n_zeros);
                value
            }
        };
        self.keep_or_write(value, suffix);
    }

    fn keep_or_write(&mut self, value: Numeral, suffix: &'static str) {
        match suffix {
            "" => self.value = Some(value),
            suffix => self.write(&format!("{}{suffix}", value.as_str())),
        }
    }

    fn take_percent(&mut self, word: &str, next_word: Option<&str>) -> bool {
        let Some(value) = self.value.take() else {
            self.write(word);
            return false;
        };
        let is_parted = word == "per";
        if is_parted && next_word != Some("cent") {
            self.write(value.as_str());
            self.write(word);
            return false;
        }
        self.write(&format!("{}%", value.as_str()));
        is_parted
    }
}

/// Decimal digits of any script, perhaps with a point and more of them.
fn is_numeric(word: &str) -> bool {
    static NUMERIC: LazyLock<Regex> = LazyLock::new(|| fixed(r"\A\d+(\.\d+)?\z"));
    let first = word.chars().next();
    first.is_some_and(|first| first.is_ascii_digit() || !first.is_ascii()) && NUMERIC.is_match(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cases: &[(&str, &str)]) {
        for (text, digits) in cases {
            assert_eq!(in_digits(text), *digits, "{text:?}");
        }
    }

    #[test]
    fn number_words_become_digits() {
        check(&[
            ("twenty one", "21"),
            ("two thousand five hundred and six", "2506"),
            ("nineteen eighty four", "1984"),
            ("one oh one", "101"),
            ("double five triple oh seven", "550007"),
            ("three point one four million", "3140000"),
            ("two and a half million", "2500000"),
            ("the twenty first of may", "the 21st of may"),
            ("nineteen sixties", "1960s"),
            ("nine hundred decillion", &format!("9{}", "0".repeat(35))),
        ]);
    }

    #[test]
    fn signs_currencies_and_percent_stand_at_the_number() {
        check(&[
            ("minus five", "-5"),
            ("twenty dollars and seven cents", "$20.07"),
            ("seven cents", "\u{a2}7"),
            ("ten per cent of ten percent", "10% of 10%"),
            ("per person plus me", "per person plus me"),
        ]);
    }

    #[test]
    fn one_stays_a_word() {
        check(&[("one of the ones", "one of the ones"), ("1 and 11 and 1s", "one and 11 and ones")]);
    }

    #[test]
    fn digits_of_other_scripts_are_read() {
        check(&[("\u{663}\u{664} million", "34000000"), ("\u{e55}", "5")]);
    }
}
