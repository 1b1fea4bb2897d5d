//! A number under construction, of any size, in decimal digits.

use std::sync::LazyLock;

use regex::Regex;

use super::fixed;

/// A whole number, or the text of one to which digits are appended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numeral {
    /// Of a whole number: digits without leading zeros.
    text: String,
    is_text: bool,
}

impl Numeral {
    /// Decimal digits of any script, perhaps with a point and more of them. Whole numbers lose leading zeros and
    /// decimals that are 0.
    pub(super) fn of_digits(digits: &str) -> Self {
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        if decimals.chars().any(|digit| digit_value(digit) != 0) {
            return Self::of_text(digits);
        }
        Self::of_whole(whole.chars().map(in_ascii).collect())
    }

    pub(super) fn power_of_ten(n_zeros: usize) -> Self {
        Self { text: format!("1{}", "0".repeat(n_zeros)), is_text: false }
    }

    /// The text of `value`, where there is one other than 0, with more behind it.
    pub(super) fn appended(value: Option<Self>, more: &str) -> Self {
        let mut text = value
            .filter(|value| value.is_text || value.text != "0")
            .map_or(String::new(), |value| value.text);
        text.push_str(more);
        Self::of_text(&text)
    }

    fn of_text(text: &str) -> Self {
        Self { text: text.to_owned(), is_text: true }
    }

    fn of_whole(digits: String) -> Self {
        let significant = digits.trim_start_matches('0');
        Self {
            text: if significant.is_empty() { "0".to_owned() } else { significant.to_owned() },
            is_text: false,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether digits are appended to it and nothing is added.
    pub(super) fn is_text(&self) -> bool {
        self.is_text
    }

    pub(super) fn ends_with_point(&self) -> bool {
        self.is_text && self.text.ends_with('.')
    }

    pub(super) fn append(&mut self, more: &str) {
        self.text.push_str(more);
        self.is_text = true;
    }

    pub(super) fn pop(&mut self) {
        self.text.pop();
    }

    /// Whether the whole number is a multiple of `10^n_zeros`.
    pub(super) fn ends_with_zeros(&self, n_zeros: usize) -> bool {
        self.text == "0" || self.text.bytes().rev().take_while(|&digit| digit == b'0').count() >= n_zeros
    }

    /// Adds less than 100 to a whole number.
    pub(super) fn add(&mut self, small: u32) {
        self.text = sum(&self.text, &small.to_string());
    }

    /// The whole number's last three digits times `10^n_zeros`, the rest as it is.
    pub(super) fn multiply_thousands(&mut self, n_zeros: usize) {
        let place = self.text.len().saturating_sub(3);
        let (before, residual) = self.text.split_at(place);
        let product = format!("{residual}{}", "0".repeat(n_zeros));
        *self = Self::of_whole(sum(&format!("{before}000"), &product));
    }

    /// The text's number times `10^n_zeros`; none when it is no number, or no whole one then.
    pub(super) fn shifted(&self, n_zeros: usize) -> Option<Self> {
        static DECIMAL: LazyLock<Regex> = LazyLock::new(|| fixed(r"\A(\d*)(?:\.(\d*))?\z"));
        let groups = DECIMAL.captures(&self.text)?;
        let whole = &groups[1];
        let decimals: String =
            groups.get(2).map_or("", |group| group.as_str()).chars().map(in_ascii).collect();
        if whole.is_empty() && decimals.is_empty() {
            return None;
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > n_zeros {
            return None;
        }
        let zeros = "0".repeat(n_zeros - decimals.len());
        Some(Self::of_whole(
            whole.chars().map(in_ascii).chain(decimals.chars()).chain(zeros.chars()).collect(),
        ))
    }
}

/// The sum of two whole numbers.
fn sum(left: &str, right: &str) -> String {
    let mut digits = Vec::with_capacity(left.len().max(right.len()) + 1);
    let (mut left, mut right) = (left.bytes().rev(), right.bytes().rev());
    let mut carry = 0;
    loop {
        let (one, other) = (left.next(), right.next());
        if one.is_none() && other.is_none() && carry == 0 {
            break;
        }
        let total = one.map_or(0, |digit| digit - b'0') + other.map_or(0, |digit| digit - b'0') + carry;
        digits.push(char::from(b'0' + total % 10));
        carry = total / 10;
    }
    let text: String = digits.iter().rev().collect();
    let significant = text.trim_start_matches('0');
    if significant.is_empty() { "0".to_owned() } else { significant.to_owned() }
}

fn in_ascii(digit: char) -> char {
    char::from_digit(digit_value(digit), 10).unwrap_or(digit)
}

/// Digits of a script stand in a row from 0 to 9, so the place in the row is the value.
fn digit_value(digit: char) -> u32 {
    static DIGIT: LazyLock<Regex> = LazyLock::new(|| fixed(r"\A\d\z"));
    if let Some(value) = digit.to_digit(10) {
        return value;
    }
    let is_digit = |c: &char| DIGIT.is_match(c.encode_utf8(&mut [0; 4]));
    let before =
        (1..100).map_while(|back| char::from_u32(u32::from(digit).checked_sub(back)?)).take_while(is_digit);
    before.count() as u32 % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_added_without_bounds() {
        assert_eq!(sum("999", "1"), "1000");
        assert_eq!(sum("0", "0"), "0");
        let mut long = Numeral::of_digits(&format!("1{}", "0".repeat(60)));
        long.add(19);
        assert_eq!(long.as_str(), format!("1{}19", "0".repeat(58)));
    }

    #[test]
    fn whole_numbers_and_texts_are_told_apart() {
        assert_eq!(Numeral::of_digits("007.00").as_str(), "7");
        assert!(!Numeral::of_digits("007.00").is_text());
        assert!(Numeral::of_digits("1.50").is_text());
        assert_eq!(Numeral::appended(Some(Numeral::of_digits("0")), "5").as_str(), "5");
    }

    #[test]
    fn decimals_move_with_a_multiplier() {
        let shifted = |text: &str, n_zeros| Numeral::of_text(text).shifted(n_zeros).map(|value| value.text);
        assert_eq!(shifted("3.14", 6).as_deref(), Some("3140000"));
        assert_eq!(shifted("3.14", 1), None);
        assert_eq!(shifted(".5", 2).as_deref(), Some("50"));
        assert_eq!(shifted("2.", 2).as_deref(), Some("200"));
        assert_eq!(shifted(".", 2), None);
        assert_eq!(shifted("1.2.3", 6), None);
    }
}
