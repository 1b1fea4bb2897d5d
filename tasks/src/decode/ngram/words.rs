//! The sorted words of a language model, which tell whether any word begins with given letters.

use std::ops::Deref;

/// Sorted words in one string. A word's number is its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    text: String,
    /// Where each word begins, and the end of the last.
    starts: Vec<usize>,
}

/// Neighbouring words, which all begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    behind: u32,
}

impl Range {
    /// No word.
    pub const EMPTY: Self = Self { first: 0, behind: 0 };

    /// Whether there is no word.
    pub fn is_empty(self) -> bool {
        self.first >= self.behind
    }
}

impl Words {
    /// # Panics
    /// When the words are not sorted, or two are equal.
    pub(super) fn new<W: Deref<Target = str>>(words: &[W]) -> Self {
        assert!(words.windows(2).all(|pair| *pair[0] < *pair[1]), "words are sorted and differ");
        let mut sorted =
            Self { text: String::with_capacity(words.iter().map(|word| word.len()).sum()), starts: vec![0] };
        for word in words {
            sorted.text.push_str(word);
            sorted.starts.push(sorted.text.len());
        }
        sorted
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The word of a number.
    ///
    /// # Panics
    /// When there are fewer words.
    pub fn get(&self, word: u32) -> &str {
        &self.text[self.starts[word as usize]..self.starts[word as usize + 1]]
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.starts.windows(2).map(|ends| &self.text[ends[0]..ends[1]])
    }

    /// All words.
    pub fn all(&self) -> Range {
        Range { first: 0, behind: self.len() as u32 }
    }

    /// Those of `range` that go on with `letters` behind their first `n_bytes` bytes, which are alike.
    pub fn narrow(&self, range: Range, n_bytes: usize, letters: &str) -> Range {
        let rest = |word: u32| {
            let word = self.get(word).as_bytes();
            &word[n_bytes.min(word.len())..]
        };
        let letters = letters.as_bytes();
        let first = partition(range, |word| rest(word) < letters);
        let behind = partition(Range { first, behind: range.behind }, |word| {
            rest(word).starts_with(letters) || rest(word) < letters
        });
        Range { first, behind }
    }

    /// The word of `n_bytes` bytes in a range whose words share as many.
    pub fn exact(&self, range: Range, n_bytes: usize) -> Option<u32> {
        (!range.is_empty() && self.get(range.first).len() == n_bytes).then_some(range.first)
    }
}

/// The first word of the range for which `is_before` does not hold.
fn partition(range: Range, is_before: impl Fn(u32) -> bool) -> u32 {
    let (mut first, mut behind) = (range.first, range.behind.max(range.first));
    while first < behind {
        let middle = first + (behind - first) / 2;
        if is_before(middle) { first = middle + 1 } else { behind = middle }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_narrow_to_the_words_that_begin_with_them() {
        let words = Words::new(&["a", "an", "and", "ant", "bee", "über"]);
        let narrowed = |letters: &[&str]| {
            let mut n_bytes = 0;
            let range = letters.iter().fold(words.all(), |range, letters| {
                let narrowed = words.narrow(range, n_bytes, letters);
                n_bytes += letters.len();
                narrowed
            });
            let found = (range.first..range.behind).map(|word| words.get(word)).collect::<Vec<_>>();
            (found, words.exact(range, n_bytes).map(|word| words.get(word)))
        };
        assert_eq!(narrowed(&["an"]), (vec!["an", "and", "ant"], Some("an")));
        assert_eq!(narrowed(&["a", "n", "t"]), (vec!["ant"], Some("ant")));
        assert_eq!(narrowed(&["be"]), (vec!["bee"], None));
        assert_eq!(narrowed(&["ü", "b"]), (vec!["über"], None));
        assert_eq!(narrowed(&["an", "x", "y"]), (vec![], None));
        assert_eq!(narrowed(&["zz"]), (vec![], None));
        assert_eq!(narrowed(&["bee", "s"]), (vec![], None));
    }
}
