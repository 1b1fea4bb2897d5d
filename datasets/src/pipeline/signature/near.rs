//! Finding what is near without comparing everything with everything.

use std::collections::HashMap;
use std::io;

/// Fewer bits find strings further apart, and compare more that are not near.
const BITS_A_BAND: usize = 12;
/// A band's value is kept of so many strings, and a string is looked at closely with so many others, so that a million blank
/// pictures do not cost their number squared. A million strings at random are 244 a value.
const MAX_BUCKET: usize = 8192;
const MAX_ACCEPTED: usize = 512;

/// Number of differing bits.
pub(crate) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// Finds bit strings within a Hamming distance. Each is filed under every 12-bit band of it, and looked for under each
/// band as it is and with one bit flipped: with `n` bands, distances below `2 n` are
/// always found, 9 of 64 bits; not so where thousands of others share its bands.
///
/// Of strings of 64 bits it takes some 32 bytes each.
pub(crate) struct BitIndex {
    n_words: usize,
    buckets: HashMap<(u8, u16), Vec<u32>>,
    names: Vec<u32>,
    /// Word after word of what was filed.
    words: Vec<u64>,
}

impl BitIndex {
    pub(crate) fn new(n_words: usize) -> Self {
        Self { n_words, buckets: HashMap::new(), names: Vec::new(), words: Vec::new() }
    }

    /// The first filed string within `max_bits` that `accept` takes.
    pub(crate) fn find(
        &self,
        words: &[u64],
        max_bits: u32,
        mut accept: impl FnMut(u32) -> io::Result<bool>,
    ) -> io::Result<Option<u32>> {
        let mut first: Option<u32> = None;
        let mut n_left = MAX_ACCEPTED;
        let probes = bands(words).flat_map(|(band, value)| {
            let flipped = (0..BITS_A_BAND).map(move |bit| (band, value ^ 1 << bit));
            std::iter::once((band, value)).chain(flipped)
        });
        for idx in probes.filter_map(|probe| self.buckets.get(&probe)).flatten() {
            let start = *idx as usize * self.n_words;
            if first.is_some_and(|first| *idx >= first)
                || hamming(words, &self.words[start..start + self.n_words]) > max_bits
            {
                continue;
            }
            if accept(self.names[*idx as usize])? {
                first = Some(*idx);
            }
            n_left -= 1;
            if n_left == 0 {
                break;
            }
        }
        Ok(first.map(|idx| self.names[idx as usize]))
    }

    /// Files a string of `n_words`.
    pub(crate) fn file(&mut self, name: u32, words: &[u64]) {
        let idx = self.names.len() as u32;
        self.names.push(name);
        self.words.extend(words.iter().copied().chain(std::iter::repeat(0)).take(self.n_words));
        for (band, value) in bands(words) {
            let bucket = self.buckets.entry((band, value)).or_default();
            if bucket.len() < MAX_BUCKET {
                bucket.push(idx);
            }
        }
    }
}

fn bands(words: &[u64]) -> impl Iterator<Item = (u8, u16)> + '_ {
    let bit = |place: usize| (words[place / 64] >> (place % 64) & 1) as u16;
    (0..words.len() * 64 / BITS_A_BAND).map(move |band| {
        let start = band * BITS_A_BAND;
        (band as u8, (0..BITS_A_BAND).fold(0, |value, place| value | bit(start + place) << place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn near_strings_are_found_and_far_ones_are_not() {
        let mut draw = Draw::new(1, 0, "", "near");
        let mut index = BitIndex::new(1);
        let filed: Vec<u64> = (0..500).map(|_| draw.next_u64()).collect();
        filed.iter().enumerate().for_each(|(name, word)| index.file(name as u32, &[*word]));
        for (name, word) in filed.iter().enumerate() {
            let near = draw.choose(64, 9).into_iter().fold(*word, |word, bit| word ^ 1 << bit);
            let found = |max_bits| index.find(&[near], max_bits, |_| Ok(true)).expect("nothing fails");
            assert_eq!(found(9), Some(name as u32));
            assert_eq!(found(8), None);
        }
    }

    #[test]
    fn many_that_share_all_bands_are_not_compared_with_each_other() {
        let mut index = BitIndex::new(1);
        let mut n_compared = 0;
        for name in 0..9000 {
            let accept = |_| {
                n_compared += 1;
                Ok(false)
            };
            assert_eq!(index.find(&[0], 9, accept).expect("nothing fails"), None);
            index.file(name, &[0]);
        }
        assert!(n_compared <= 9000 * MAX_ACCEPTED, "{n_compared} comparisons");
        assert!(index.buckets.values().all(|bucket| bucket.len() <= MAX_BUCKET));
    }
}
