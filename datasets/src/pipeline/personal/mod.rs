//! What in a text says who someone is, or opens something of theirs: found by form and, where there is one, by checksum.

mod numbers;
mod patterns;

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::{Deserialize, Serialize};

pub(crate) use patterns::Patterns;

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Personal {
    /// Keys, tokens, passwords that say that they are.
    Key,
    /// Addresses of electronic mail.
    Email,
    /// International bank account numbers, by their check digits.
    Iban,
    /// Payment card numbers, by Luhn's check digit.
    Card,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// Telephone numbers in an international or a spaced national form.
    Telephone,
    /// Names of the list.
    Name,
}

impl Personal {
    /// All, the surest first: where two overlap, the first is taken.
    pub const ALL: [Personal; 7] =
        [Self::Key, Self::Email, Self::Iban, Self::Card, Self::Ip, Self::Telephone, Self::Name];

    /// What stands in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Key => "<KEY>",
            Self::Email => "<EMAIL>",
            Self::Iban => "<IBAN>",
            Self::Card => "<CARD>",
            Self::Ip => "<IP>",
            Self::Telephone => "<TELEPHONE>",
            Self::Name => "<NAME>",
        }
    }
}

/// Finds and replaces.
pub(crate) struct Redactor {
    kinds: Vec<Personal>,
    patterns: Patterns,
    names: Option<AhoCorasick>,
}

impl Redactor {
    /// # Errors
    /// A list of names that is too large, in words.
    pub(crate) fn new(kinds: &[Personal], names: &[String]) -> Result<Self, String> {
        let names = if names.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(names);
            Some(built.map_err(|e| e.to_string())?)
        };
        let kinds = Personal::ALL.into_iter().filter(|kind| kinds.contains(kind)).collect();
        Ok(Self { kinds, patterns: Patterns::new(), names })
    }

    /// The text with placeholders, and how many values of which kind they stand for.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> (Cow<'t, str>, Vec<Personal>) {
        let mut found: Vec<(Range<usize>, Personal)> = Vec::new();
        for kind in &self.kinds {
            let spans = match kind {
                Personal::Name => self.names(text),
                kind => self.patterns.find(*kind, text),
            };
            for span in spans {
                if found.iter().all(|(other, _)| span.end <= other.start || other.end <= span.start) {
                    found.push((span, *kind));
                }
            }
        }
        if found.is_empty() {
            return (Cow::Borrowed(text), Vec::new());
        }
        found.sort_by_key(|(span, _)| span.start);
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for (span, kind) in &found {
            redacted.push_str(&text[end..span.start]);
            redacted.push_str(kind.placeholder());
            end = span.end;
        }
        redacted.push_str(&text[end..]);
        (Cow::Owned(redacted), found.into_iter().map(|(_, kind)| kind).collect())
    }

    /// Whole words of the list, as they are written there.
    fn names(&self, text: &str) -> Vec<Range<usize>> {
        let Some(names) = &self.names else { return Vec::new() };
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        names
            .find_iter(text)
            .map(|found| found.range())
            .filter(|span| {
                !is_word(text[..span.start].chars().next_back()) && !is_word(text[span.end..].chars().next())
            })
            .collect()
    }
}
