//! Counted n-grams of a tokenised caption, n from 1 to 4.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::metrics::normalizer::is_space;

/// The longest n-grams counted.
pub(super) const MAX_N: usize = 4;

/// The words of an n-gram by their numbers, the first in the lowest 32 bits. Numbers begin at 1, so that n-grams of
/// different n differ.
pub(super) type Gram = u128;

/// The words of all captions, numbered from 1 on as they first appear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Vocabulary {
    numbers: HashMap<String, u32>,
    words: Vec<String>,
}

impl Vocabulary {
    /// The numbers of a caption's words, new words included.
    pub(super) fn intern(&mut self, caption: &str) -> Vec<u32> {
        words(caption).map(|word| self.number(word)).collect()
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        self.words.push(word.to_owned());
        let number = self.words.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// The n-gram of words joined by a space; none when a word is in no caption.
    pub(super) fn gram(&self, text: &str) -> Option<Gram> {
        let mut gram = 0;
        for (place, word) in words(text).enumerate() {
            if place == MAX_N {
                return None;
            }
            gram |= Gram::from(*self.numbers.get(word)?) << (32 * place);
        }
        Some(gram)
    }

    /// The words of an n-gram joined by a space.
    pub(super) fn text(&self, gram: Gram) -> String {
        let numbers = (0..MAX_N).map(|place| (gram >> (32 * place)) as u32).take_while(|&number| number > 0);
        let words: Vec<&str> = numbers.map(|number| self.words[number as usize - 1].as_str()).collect();
        words.join(" ")
    }
}

fn words(caption: &str) -> impl Iterator<Item = &str> {
    caption.split(is_space).filter(|word| !word.is_empty())
}

/// The n-grams of one caption.
#[derive(Debug)]
pub(super) struct NGrams {
    /// For n = 1 to 4: each n-gram with its count, sorted, so that sums run in the same order every time.
    pub(super) counts: [Vec<(Gram, u32)>; MAX_N],
    /// How many words there are.
    pub(super) n_words: usize,
}

impl NGrams {
    pub(super) fn of(words: &[u32]) -> Self {
        let counts = std::array::from_fn(|order| {
            let mut grams: Vec<Gram> = words.windows(order + 1).map(gram_of).collect();
            grams.sort_unstable();
            let runs = grams.chunk_by(|one, other| one == other);
            runs.map(|run| (run[0], run.len() as u32)).collect()
        });
        Self { counts, n_words: words.len() }
    }
}

fn gram_of(words: &[u32]) -> Gram {
    words.iter().rev().fold(0, |gram, &word| gram << 32 | Gram::from(word))
}

/// Pairs what two sorted lists have in common.
pub(super) fn shared<'a, A: Copy, B: Copy>(
    left: &'a [(Gram, A)],
    right: &'a [(Gram, B)],
) -> impl Iterator<Item = (A, B)> + 'a {
    let mut right = right.iter().peekable();
    left.iter().filter_map(move |(gram, own)| {
        while right.next_if(|(other, _)| other < gram).is_some() {}
        right.next_if(|(other, _)| other == gram).map(|&(_, other)| (*own, other))
    })
}

/// A hash of n-grams, whose word numbers an input cannot choose: two multiplications are enough.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GramHasher(u64);

impl Hasher for GramHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u128(u128::from(byte)));
    }

    fn write_u128(&mut self, gram: u128) {
        let (low, high) = (gram as u64 ^ self.0, (gram >> 64) as u64);
        let product = u128::from(low ^ 0x9E37_79B9_7F4A_7C15) * u128::from(high ^ 0xD1B5_4A32_D192_ED03);
        let folded = product as u64 ^ (product >> 64) as u64;
        self.0 = (folded ^ low.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// Something an n-gram.
pub(super) type GramMap<V> = HashMap<Gram, V, BuildHasherDefault<GramHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_grams_are_counted_in_order() {
        let mut vocabulary = Vocabulary::default();
        let grams = NGrams::of(&vocabulary.intern("a b  a b c"));
        assert_eq!(grams.n_words, 5);
        let listed = |order: usize| -> Vec<(String, u32)> {
            grams.counts[order].iter().map(|&(gram, count)| (vocabulary.text(gram), count)).collect()
        };
        assert_eq!(listed(0), [("a".to_owned(), 2), ("b".to_owned(), 2), ("c".to_owned(), 1)]);
        assert_eq!(listed(3), [("a b a b".to_owned(), 1), ("b a b c".to_owned(), 1)]);
        assert_eq!(vocabulary.gram("b a b c"), Some(grams.counts[3][1].0));
        assert_eq!((vocabulary.gram("a x"), vocabulary.gram("a a a a a")), (None, None));
        assert!(NGrams::of(&[1]).counts[1].is_empty());
        assert_eq!(NGrams::of(&[]).n_words, 0);
    }

    #[test]
    fn shared_n_grams_are_found_by_merging() {
        let mut vocabulary = Vocabulary::default();
        let (left, right) = (vocabulary.intern("a b d e"), vocabulary.intern("b c d d"));
        let (left, right) = (NGrams::of(&left), NGrams::of(&right));
        assert_eq!(shared(&left.counts[0], &right.counts[0]).collect::<Vec<_>>(), [(1, 1), (1, 2)]);
    }
}
