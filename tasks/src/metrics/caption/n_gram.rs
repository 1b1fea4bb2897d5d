//! Counted n-grams of a tokenised caption, n from 1 to 4.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rayon::prelude::*;

use super::{ImageCaptions, ImageWords};
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

/// Images whose words a thread numbers at a time.
const IMAGES: usize = 1024;

impl Vocabulary {
    /// The words of all captions, and each image's by their numbers: pieces number their own words at the same time, and
    /// then learn, in their order, what those are among all.
    pub(super) fn of(images: &[ImageCaptions]) -> (Self, Vec<ImageWords>) {
        let number = |images: &[ImageCaptions]| {
            let mut own = LocalVocabulary::default();
            let words = images.iter().map(|image| own.intern(image)).collect::<Vec<_>>();
            (own.words.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>(), words)
        };
        let pieces = images.par_chunks(IMAGES).map(number).collect::<Vec<_>>();
        let mut vocabulary = Self::default();
        let numbers =
            |words: &Vec<String>| words.iter().map(|word| vocabulary.number(word)).collect::<Vec<_>>();
        let numbers = pieces.iter().map(|(words, _)| words).map(numbers).collect::<Vec<_>>();
        let renumber = |((_, mut images), numbers): ((_, Vec<ImageWords>), Vec<u32>)| {
            let captions = images
                .iter_mut()
                .flat_map(|image| std::iter::once(&mut image.hypothesis).chain(&mut image.references));
            captions.flatten().for_each(|number| *number = numbers[*number as usize - 1]);
            images
        };
        let words = pieces.into_par_iter().zip(numbers).map(renumber).collect::<Vec<_>>();
        (vocabulary, words.into_iter().flatten().collect())
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

/// The words of some captions, where they stand.
#[derive(Default)]
struct LocalVocabulary<'a> {
    numbers: HashMap<&'a str, u32>,
    words: Vec<&'a str>,
}

impl<'a> LocalVocabulary<'a> {
    fn intern(&mut self, image: &'a ImageCaptions) -> ImageWords {
        ImageWords {
            hypothesis: self.caption(&image.hypothesis),
            references: image.references.iter().map(|reference| self.caption(reference)).collect(),
        }
    }

    fn caption(&mut self, caption: &'a str) -> Vec<u32> {
        let number = |word| {
            *self.numbers.entry(word).or_insert_with(|| {
                self.words.push(word);
                self.words.len() as u32
            })
        };
        words(caption).map(number).collect()
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
            let mut counts = grams(words, order).map(|gram| (gram, 1)).collect::<Vec<(Gram, u32)>>();
            counts.sort_unstable_by_key(|(gram, _)| *gram);
            counts.dedup_by(|again, first| {
                let is_same = again.0 == first.0;
                first.1 += u32::from(is_same);
                is_same
            });
            counts
        });
        Self { counts, n_words: words.len() }
    }
}

/// The n-grams of `order + 1` words, where they stand.
pub(super) fn grams(words: &[u32], order: usize) -> impl Iterator<Item = Gram> + '_ {
    words.windows(order + 1).map(gram_of)
}

fn gram_of(words: &[u32]) -> Gram {
    words.iter().rev().fold(0, |gram, &word| gram << 32 | Gram::from(word))
}

/// The n-grams of an image's captions.
#[derive(Debug)]
pub(super) struct ImageNGrams {
    pub(super) hypothesis: NGrams,
    pub(super) references: Vec<NGrams>,
}

impl ImageNGrams {
    pub(super) fn of(image: &ImageWords) -> Self {
        Self {
            hypothesis: NGrams::of(&image.hypothesis),
            references: image.references.iter().map(|reference| NGrams::of(reference)).collect(),
        }
    }
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

    /// One image's caption and its only reference by their numbers.
    fn numbered(hypothesis: &str, reference: &str) -> (Vocabulary, ImageNGrams) {
        let image =
            ImageCaptions { hypothesis: hypothesis.to_owned(), references: vec![reference.to_owned()] };
        let (vocabulary, words) = Vocabulary::of(&[image]);
        (vocabulary, ImageNGrams::of(&words[0]))
    }

    #[test]
    fn words_are_numbered_as_they_appear_whatever_the_pieces() {
        let image = |idx: usize| ImageCaptions {
            hypothesis: format!("w{} the", idx % 700),
            references: vec![format!("a w{}", idx / 3), String::new()],
        };
        let images = (0..3 * IMAGES + 5).map(image).collect::<Vec<_>>();
        let (vocabulary, words) = Vocabulary::of(&images);
        assert_eq!(vocabulary.words[..4], ["w0", "the", "a", "w1"]);
        let text = |numbers: &[u32]| {
            let words = numbers.iter().map(|number| vocabulary.words[*number as usize - 1].as_str());
            words.collect::<Vec<_>>().join(" ")
        };
        for (image, words) in images.iter().zip(&words) {
            assert_eq!(text(&words.hypothesis), image.hypothesis);
            assert_eq!(text(&words.references[0]), image.references[0]);
        }
        assert!(vocabulary.words.iter().zip(1..).all(|(word, number)| vocabulary.numbers[word] == number));
    }

    #[test]
    fn n_grams_are_counted_in_order() {
        let (vocabulary, image) = numbered("a b  a b c", "");
        let grams = image.hypothesis;
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
        let (_, image) = numbered("a b d e", "b c d d");
        let (left, right) = (&image.hypothesis.counts[0], &image.references[0].counts[0]);
        assert_eq!(shared(left, right).collect::<Vec<_>>(), [(1, 1), (1, 2)]);
    }
}
