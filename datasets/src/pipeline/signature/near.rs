//! Finding what is near without comparing everything with everything.

use std::collections::HashMap;

/// Fewer bits find strings further apart, and compare more that are not near.
const BITS_A_BAND: usize = 12;

/// Number of differing bits.
pub(crate) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// Finds bit strings within a Hamming distance. Each is filed under every 12-bit band of it, and looked for under each
/// band as it is and with one bit flipped: with `n` bands, distances below `2 n` are
/// always found, 9 of 64 bits.
#[derive(Default)]
pub(crate) struct BitIndex {
    buckets: HashMap<(u8, u16), Vec<u32>>,
    filed: Vec<(u64, Vec<u64>)>,
}

impl BitIndex {
    /// The first filed string within `max_bits` that `accept` takes.
    pub(crate) fn find(&self, words: &[u64], max_bits: u32, accept: impl Fn(u64) -> bool) -> Option<u64> {
        let is_near = |idx: u32| {
            let (name, filed) = &self.filed[idx as usize];
            hamming(words, filed) <= max_bits && accept(*name)
        };
        let mut first: Option<u32> = None;
        for (band, value) in bands(words) {
            for probe in std::iter::once(value).chain((0..BITS_A_BAND).map(|bit| value ^ 1 << bit)) {
                for idx in self.buckets.get(&(band, probe)).into_iter().flatten() {
                    if first.is_none_or(|first| *idx < first) && is_near(*idx) {
                        first = Some(*idx);
                    }
                }
            }
        }
        first.map(|idx| self.filed[idx as usize].0)
    }

    pub(crate) fn file(&mut self, name: u64, words: &[u64]) {
        let idx = self.filed.len() as u32;
        self.filed.push((name, words.to_vec()));
        for (band, value) in bands(words) {
            self.buckets.entry((band, value)).or_default().push(idx);
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

/// Finds what shares a band's key.
#[derive(Default)]
pub(crate) struct BandIndex {
    buckets: HashMap<(u16, u64), Vec<u64>>,
}

impl BandIndex {
    /// The first filed name in a band of these that `accept` takes.
    pub(crate) fn find(&self, bands: impl Iterator<Item = u64>, accept: impl Fn(u64) -> bool) -> Option<u64> {
        let mut first: Option<u64> = None;
        for (band, key) in bands.enumerate() {
            for name in self.buckets.get(&(band as u16, key)).into_iter().flatten() {
                if first.is_none_or(|first| *name < first) && accept(*name) {
                    first = Some(*name);
                }
            }
        }
        first
    }

    pub(crate) fn file(&mut self, name: u64, bands: impl Iterator<Item = u64>) {
        for (band, key) in bands.enumerate() {
            self.buckets.entry((band as u16, key)).or_default().push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn near_strings_are_found_and_far_ones_are_not() {
        let mut draw = Draw::new(1, 0, "", "near");
        let mut index = BitIndex::default();
        let filed: Vec<u64> = (0..500).map(|_| draw.next_u64()).collect();
        filed.iter().enumerate().for_each(|(name, word)| index.file(name as u64, &[*word]));
        for (name, word) in filed.iter().enumerate() {
            let near = draw.choose(64, 9).into_iter().fold(*word, |word, bit| word ^ 1 << bit);
            assert_eq!(index.find(&[near], 9, |_| true), Some(name as u64));
            assert_eq!(index.find(&[near], 8, |_| true), None);
        }
    }
}
