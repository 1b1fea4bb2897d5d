//! Texts: MinHash over runs of five characters.

use serde::{Deserialize, Serialize};

use super::Packed;
use super::spill::Record;
use crate::draw::Draw;
use crate::text::normalise;

/// Standard error of the estimated similarity is at most 0.5 / sqrt(128) = 0.044.
pub(crate) const N_HASHES: usize = 128;
/// Four values a band: pairs of similarity 0.5 meet in one of the 32 bands with probability 0.87, of 0.8 with 1 - 5e-8.
const ROWS_A_BAND: usize = 4;
pub(super) const N_BANDS: usize = N_HASHES / ROWS_A_BAND;
const SHINGLE_CHARACTERS: usize = 5;

/// # Reference
/// Broder 1997, "On the resemblance and containment of documents"; banding: Leskovec, Rajaraman and Ullman, "Mining of
/// massive datasets", section 3.4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TextSignature {
    /// Hash of the whole text, normalised, without punctuation.
    pub exact: u64,
    /// `[N_HASHES]` of u32, little endian.
    minima: Packed,
}

/// The hash functions: `(a * x + b)` over 64 bits, of which the upper half counts.
pub(crate) struct TextHasher {
    functions: Vec<(u64, u64)>,
}

impl TextHasher {
    pub(crate) fn new() -> Self {
        let mut draw = Draw::new(0, 0, "", "minhash");
        Self { functions: (0..N_HASHES).map(|_| (draw.next_u64() | 1, draw.next_u64())).collect() }
    }

    /// None for texts without a letter or digit.
    pub(crate) fn sign(&self, texts: &[String]) -> Option<TextSignature> {
        let words = texts.iter().map(|text| plain(text)).collect::<Vec<_>>().join(" ");
        let characters: Vec<char> = words.trim().chars().collect();
        if characters.is_empty() {
            return None;
        }
        let mut minima = [u32::MAX; N_HASHES];
        let mut bytes = Vec::new();
        for shingle in characters.windows(SHINGLE_CHARACTERS.min(characters.len())) {
            bytes.clear();
            shingle.iter().for_each(|c| bytes.extend((*c as u32).to_le_bytes()));
            let hash = first_64(&bytes);
            for (minimum, (a, b)) in minima.iter_mut().zip(&self.functions) {
                let value = (hash.wrapping_mul(*a).wrapping_add(*b) >> 32) as u32;
                *minimum = value.min(*minimum);
            }
        }
        let minima = Packed(minima.iter().flat_map(|minimum| minimum.to_le_bytes()).collect());
        Some(TextSignature { exact: first_64(words.trim().as_bytes()), minima })
    }
}

fn first_64(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Lower case, letters and digits, single spaces.
fn plain(text: &str) -> String {
    let kept: String = normalise(text).chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl TextSignature {
    /// Estimated share of the shingles that two texts have in common (Jaccard similarity).
    pub(crate) fn similarity(&self, other: &Self) -> f64 {
        let (a, b) = (&self.minima.0, &other.minima.0);
        let n_equal = a.chunks_exact(4).zip(b.chunks_exact(4)).filter(|(a, b)| a == b).count();
        n_equal as f64 / N_HASHES as f64
    }

    /// A key a band; texts that share one are candidates.
    pub(super) fn bands(&self) -> impl Iterator<Item = u32> + '_ {
        self.minima.0.chunks_exact(4 * ROWS_A_BAND).map(|rows| (first_64(rows) >> 32) as u32)
    }
}

impl Record for TextSignature {
    const N_BYTES: usize = 8 + 4 * N_HASHES;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.exact.to_le_bytes());
        out.extend(&self.minima.0);
    }

    fn read(bytes: &[u8]) -> Self {
        let (exact, minima) = bytes
            .split_first_chunk::<8>()
            .map_or((0, bytes), |(exact, rest)| (u64::from_le_bytes(*exact), rest));
        Self { exact, minima: Packed(minima.to_vec()) }
    }
}
