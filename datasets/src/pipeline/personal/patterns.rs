//! Forms. Each is narrow on purpose: plain prose with its dates, prices and years must pass untouched.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex::Regex;

use super::Personal;
use super::numbers::{iban_prefix, is_card};

/// Compiled once.
pub(crate) struct Patterns {
    email: Regex,
    keys: Regex,
    said_keys: Regex,
    iban_start: Regex,
    card: Regex,
    ipv4: Regex,
    ipv6: Regex,
    telephones: Vec<Regex>,
    said_telephone: Regex,
}

/// Prefixes that services give to their keys, JSON web tokens, and private keys in PEM.
const KEYS: &str = r"(?x)
    \b(?: sk-[A-Za-z0-9_-]{16,} | (?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{16,}
    | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_[A-Za-z0-9_]{30,} | glpat-[A-Za-z0-9_-]{16,}
    | (?:AKIA|ASIA)[A-Z0-9]{16} | AIza[A-Za-z0-9_-]{35} | xox[abeprs]-[A-Za-z0-9-]{10,}
    | hf_[A-Za-z0-9]{30,} | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{30,}
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,} )
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----(?s:.*?)(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----|$)
";

/// What a word before it calls a secret. The value is the first group that took part.
const SAID_KEYS: &str = r#"(?ix)
    \b(?: api[\ _-]?key | (?:access|auth|secret|refresh)[\ _-]?(?:key|token) | client[\ _-]?secret | password | passwd )
    ["']? \s* (?: [:=] | \bis\b ) \s* (?: "([^"\s]{6,})" | '([^'\s]{6,})' | ([^\s"',;]*[0-9][^\s"',;]{4,} | [^\s"',;]{5,}[0-9][^\s"',;]*) )
    | \b bearer \s+ ([a-z0-9._~+/-]{16,}=*)
"#;

/// `+` and the country, or a spaced national form; only then digits are taken for a telephone number.
const TELEPHONES: &[&str] = &[
    r"\+[0-9](?:[ .\-/]?\(?[0-9]{1,5}\)?){2,7}",
    r"\(0[0-9]{1,5}\)[ ]?[0-9]{2,5}(?:[ .\-/]?[0-9]{2,5}){1,3}",
    r"\b0[0-9]{1,4}(?:[ \-/][0-9]{2,5}){2,4}\b",
    r"\b0[0-9]{2,4}[/\-][0-9]{5,8}\b",
    r"\b0[0-9](?:\.[0-9]{2}){4}\b",
    r"(?:\([2-9][0-9]{2}\)[ ]?|\b[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}\b",
];

const SAID_TELEPHONE: &str = r"(?i)\b(?:tel|telephone|phone|mobile|cell|fax|call|telefon|handy|mobil|whatsapp)\b[.:]?(?: (?:no|number|me|us|at|on)\b[.:]?){0,2}\s*([0-9][0-9 ()./\-]{5,18}[0-9])";

impl Patterns {
    pub(crate) fn new() -> Self {
        let regex =
            |pattern: &str| Regex::new(pattern).expect("the pattern is a constant that a test compiles");
        Self {
            email: regex(
                r"(?i)[a-z0-9\p{L}][a-z0-9\p{L}._%+\-]*@(?:[a-z0-9\p{L}](?:[a-z0-9\p{L}\-]*[a-z0-9\p{L}])?\.)+[a-z\p{L}]{2,24}",
            ),
            keys: regex(KEYS),
            said_keys: regex(SAID_KEYS),
            iban_start: regex(r"\b[A-Za-z]{2}[0-9]{2}[ \-]?[A-Za-z0-9]"),
            card: regex(r"[0-9](?:[ \-]?[0-9]){12,18}"),
            ipv4: regex(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"),
            ipv6: regex(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{0,3}(?:\.[0-9]{1,3}){3})?"),
            telephones: TELEPHONES.iter().map(|pattern| regex(pattern)).collect(),
            said_telephone: regex(SAID_TELEPHONE),
        }
    }

    /// Where values of a kind stand; names are not its business.
    pub(crate) fn find(&self, kind: Personal, text: &str) -> Vec<Range<usize>> {
        match kind {
            Personal::Key => self.keys(text),
            Personal::Email => self.email.find_iter(text).map(|found| found.range()).collect(),
            Personal::Iban => self.ibans(text),
            Personal::Card => {
                // behind a plus sign it is a telephone number
                let is_card =
                    |span: &Range<usize>| !text[..span.start].ends_with('+') && is_card(&text[span.clone()]);
                self.numbers(&self.card, text).into_iter().filter(is_card).collect()
            }
            Personal::Ip => self.addresses(text),
            Personal::Telephone => self.telephones(text),
            Personal::Name => Vec::new(),
        }
    }

    fn keys(&self, text: &str) -> Vec<Range<usize>> {
        let said = self
            .said_keys
            .captures_iter(text)
            .filter_map(|found| found.iter().skip(1).flatten().next().map(|value| value.range()));
        self.keys.find_iter(text).map(|found| found.range()).chain(said).collect()
    }

    fn ibans(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        while let Some(found) = self.iban_start.find_at(text, from) {
            let upper = text[found.start()..].get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
            let candidate = format!("{upper}{}", &text[found.start() + 2..]);
            match iban_prefix(&candidate) {
                Some(length) => {
                    spans.push(found.start()..found.start() + length);
                    from = found.start() + length;
                }
                // the next candidate may begin inside this one
                None => from = found.start() + 2,
            }
        }
        spans
    }

    /// Matches that are not a part of a longer number.
    fn numbers(&self, regex: &Regex, text: &str) -> Vec<Range<usize>> {
        let is_more = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric());
        regex
            .find_iter(text)
            .map(|found| found.range())
            .filter(|span| {
                !is_more(text[..span.start].chars().next_back()) && !is_more(text[span.end..].chars().next())
            })
            .collect()
    }

    fn addresses(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for span in self.numbers(&self.ipv6, text) {
            let found = &text[span.clone()];
            // `::` and the like stand in programs too; a digit makes them an address
            let is_address = found.parse::<Ipv6Addr>().is_ok() && found.bytes().any(|b| b.is_ascii_digit());
            if is_address && found.bytes().filter(u8::is_ascii_hexdigit).count() > 2 {
                spans.push(span);
            }
        }
        for span in self.numbers(&self.ipv4, text) {
            let before = text[..span.start].chars().next_back();
            let after = text[span.end..].strip_prefix('.').and_then(|rest| rest.chars().next());
            let is_longer = before == Some('.') || after.is_some_and(|c| c.is_ascii_digit());
            if !is_longer && text[span.clone()].parse::<Ipv4Addr>().is_ok() {
                spans.push(span);
            }
        }
        spans
    }

    fn telephones(&self, text: &str) -> Vec<Range<usize>> {
        let n_digits = |span: &Range<usize>| text[span.clone()].bytes().filter(u8::is_ascii_digit).count();
        let said = self.said_telephone.captures_iter(text).filter_map(|found| Some(found.get(1)?.range()));
        let formed = self.telephones.iter().flat_map(|regex| self.numbers(regex, text));
        // ITU-T E.164: at most 15 digits
        formed.chain(said).filter(|span| (7..=15).contains(&n_digits(span))).collect()
    }
}
