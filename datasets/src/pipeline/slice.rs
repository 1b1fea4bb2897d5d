//! `--shard I/N`: one of several slices, each prepared by a process of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Slice `idx` of `n`, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slice {
    /// Below `n`.
    pub idx: u32,
    /// At least 1.
    pub n: u32,
}

impl Slice {
    /// Whether a sample with this key belongs to it: a pure function of the key, so that processes need not talk.
    pub(crate) fn holds(&self, key: &str) -> bool {
        hash_of(&["slice", key]) % u64::from(self.n) == u64::from(self.idx)
    }
}

/// 64 bits of BLAKE3 over parts that cannot run into each other.
pub(crate) fn hash_of(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

impl FromStr for Slice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected I/N with I from 0 to N-1, such as 0/8, got {text:?}");
        let (idx, n) = text.split_once('/').ok_or_else(wrong)?;
        let (idx, n) = (idx.trim().parse().map_err(|_| wrong())?, n.trim().parse().map_err(|_| wrong())?);
        if idx < n { Ok(Self { idx, n }) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Slice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Slice> for String {
    fn from(slice: Slice) -> String {
        slice.to_string()
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.idx, self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_exactly_one_slice() {
        let mut sizes = [0; 5];
        for key in 0..500 {
            let holders: Vec<usize> =
                (0..5).filter(|idx| Slice { idx: *idx as u32, n: 5 }.holds(&key.to_string())).collect();
            assert_eq!(holders.len(), 1);
            sizes[holders[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (70..130).contains(size)), "{sizes:?}");
    }

    #[test]
    fn slices_are_read_as_they_are_written() {
        assert_eq!("3/8".parse(), Ok(Slice { idx: 3, n: 8 }));
        for wrong in ["8/8", "1", "-1/2", "0/0", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Slice>().is_err(), "{wrong}");
        }
    }
}
