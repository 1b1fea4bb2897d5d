//! One safetensors file, mapped into memory.
//!
//! ```text
//! u64 LE     length of the header
//! header     {"__metadata__": {..}, "encoder.weight": {"dtype": "F16", "shape": [..], "data_offsets": [begin, end]}, ..}
//! data       little-endian, the last axis fastest; the offsets count from its begin and leave no gap
//! ```
//!
//! # Differences from the reference
//! The `safetensors` crate keeps the last of two tensors of one name, and its errors do not say what was expected.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use super::checkpoint::StoredTensor;
use super::error::{CheckpointError, quoted};
use super::folder;
use super::values;

/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// The most axes that a tensor may have; PyTorch's own limit is 64.
pub(super) const MAX_AXES: usize = 64;

/// An open safetensors file.
#[derive(Debug)]
pub(super) struct SafetensorsFile {
    path: PathBuf,
    map: Mmap,
    /// By name, where its bytes lie in the file.
    places: BTreeMap<String, (StoredTensor, Range<usize>)>,
}

impl SafetensorsFile {
    /// Maps the file and checks its header.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let map = folder::map(path)?;
        let places = places(&map)
            .map_err(|Wrong { place, expected, got }| CheckpointError::content(path, place, expected, got))?;
        Ok(Self { path: path.to_owned(), map, places })
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = (&String, &StoredTensor)> {
        self.places.iter().map(|(name, (tensor, _))| (name, tensor))
    }

    /// Where the file lies, and its size.
    pub(super) fn path_and_bytes(&self) -> (&Path, u64) {
        (&self.path, self.map.len() as u64)
    }

    /// The values of a tensor, or none where it has none of that name.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        let Some((tensor, range)) = self.places.get(name) else { return Ok(None) };
        let decode =
            values::decoder(tensor.dtype).ok_or_else(|| not_floats(&self.path, name, tensor.dtype))?;
        let mut out = Vec::with_capacity(tensor.n_elements());
        decode(&self.map[range.clone()], &mut out);
        release(&self.map, range);
        Ok(Some(out))
    }
}

/// The error of a tensor whose values are no floats.
pub(super) fn not_floats(path: &Path, name: &str, dtype: Dtype) -> CheckpointError {
    CheckpointError::content(
        path,
        format!("tensor {}", quoted(name)),
        "values of type F16, BF16, F32 or F64",
        format!("{dtype:?}"),
    )
}

/// Gives the pages of a tensor that was read back to the system: they count as the program's memory as long as it has
/// them.
pub(super) fn release(map: &Mmap, range: &Range<usize>) {
    #[cfg(unix)]
    {
        // SAFETY: the map is of a file and is only read, so that what is dropped is read again, unchanged. It is advice:
        // where the system does not take it, the pages stay.
        let _ = unsafe {
            map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
        };
    }
    #[cfg(not(unix))]
    let _ = (map, range);
}

/// What is wrong with a header.
struct Wrong {
    place: String,
    expected: String,
    got: String,
}

impl Wrong {
    fn new(place: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { place: place.into(), expected: expected.into(), got: got.into() }
    }
}

fn places(bytes: &[u8]) -> Result<BTreeMap<String, (StoredTensor, Range<usize>)>, Wrong> {
    let Some((&length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Wrong::new("header", "8 bytes of its length", format!("{} bytes", bytes.len())));
    };
    let length = u64::from_le_bytes(length);
    let most = MAX_HEADER.min(rest.len() as u64);
    if length > most {
        let got = format!("a length of {length}");
        return Err(Wrong::new("header", format!("a length of at most {most} bytes"), got));
    }
    let (header, data) = rest.split_at(length as usize);
    let Header(mut entries) = serde_json::from_slice(header)
        .map_err(|error| Wrong::new("header", "the table of a safetensors file", error.to_string()))?;
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut end_before = 0;
    let mut places = BTreeMap::new();
    for (name, Entry { dtype, shape, data_offsets: [begin, end] }) in entries {
        let place = format!("tensor {}", quoted(&name));
        if shape.len() > MAX_AXES {
            return Err(Wrong::new(place, format!("at most {MAX_AXES} axes"), shape.len().to_string()));
        }
        if begin != end_before || end < begin {
            let expected = format!("bytes that begin at {end_before}");
            return Err(Wrong::new(place, expected, format!("bytes {begin} to {end}")));
        }
        if end > data.len() {
            let expected = format!("bytes within the {} that the file has", data.len());
            return Err(Wrong::new(place, expected, format!("bytes {begin} to {end}")));
        }
        let n_bits = shape.iter().try_fold(dtype.bitsize(), |n, &length| n.checked_mul(length));
        if n_bits != (end - begin).checked_mul(8) {
            let expected = match n_bits {
                Some(n_bits) => format!("{} bytes for {dtype:?} {shape:?}", n_bits.div_ceil(8)),
                None => format!("a shape that fits into memory, not {shape:?}"),
            };
            return Err(Wrong::new(place, expected, format!("{} bytes", end - begin)));
        }
        end_before = end;
        let start = bytes.len() - data.len();
        let tensor = StoredTensor { dtype, shape };
        if places.insert(name, (tensor, start + begin..start + end)).is_some() {
            return Err(Wrong::new(place, "one of that name", "two"));
        }
    }
    if end_before != data.len() {
        let got = format!("{} bytes", data.len());
        return Err(Wrong::new("data", format!("{end_before} bytes by the header"), got));
    }
    Ok(places)
}

#[derive(Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// The entries in the order of the file, which shows names that stand there twice.
struct Header(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry = map.next_value().map_err(|error: A::Error| {
                        A::Error::custom(format!("{error} in the entry {}", quoted(&name)))
                    })?;
                    entries.push((name, entry));
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, n_bytes: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend((0..n_bytes).map(|i| i as u8));
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        match places(bytes) {
            Ok(places) => panic!("it was read: {places:?}"),
            Err(Wrong { place, expected, got }) => format!("{place}: expected {expected}, got {got}"),
        }
    }

    #[test]
    fn hostile_headers_are_told_with_what_was_expected() {
        let entry = |name: &str, dtype: &str, shape: &str, offsets: &str| {
            format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
        };
        let one = |dtype: &str, shape: &str, offsets: &str, n_bytes: usize| {
            message(&file(&format!("{{{}}}", entry("a", dtype, shape, offsets)), n_bytes))
        };
        assert_eq!(message(b""), "header: expected 8 bytes of its length, got 0 bytes");
        assert_eq!(
            message(&u64::MAX.to_le_bytes()),
            "header: expected a length of at most 0 bytes, got a length of 18446744073709551615"
        );
        assert_eq!(
            one("F32", "[2]", "[0,8]", 7),
            "tensor `a`: expected bytes within the 7 that the file has, got bytes 0 to 8"
        );
        assert_eq!(one("F32", "[2]", "[0,8]", 9), "data: expected 8 bytes by the header, got 9 bytes");
        assert_eq!(one("F32", "[3]", "[0,8]", 8), "tensor `a`: expected 12 bytes for F32 [3], got 8 bytes");
        assert_eq!(
            one("F32", "[2]", "[4,12]", 12),
            "tensor `a`: expected bytes that begin at 0, got bytes 4 to 12"
        );
        assert_eq!(
            one("F32", "[2]", "[8,0]", 8),
            "tensor `a`: expected bytes that begin at 0, got bytes 8 to 0"
        );
        let huge = one("F32", "[4294967296,4294967296,16]", "[0,8]", 8);
        assert!(huge.contains("a shape that fits into memory"), "{huge}");
        assert!(one("F32", "[-1]", "[0,8]", 8).contains("in the entry `a`"));
        assert!(one("F33", "[2]", "[0,8]", 8).contains("unknown variant `F33`"));
        let two = |second: &str, offsets: &str, n_bytes| {
            let entries = [entry("a", "F32", "[2]", "[0,8]"), entry(second, "F32", "[1]", offsets)];
            message(&file(&format!("{{{}}}", entries.join(",")), n_bytes))
        };
        assert_eq!(two("b", "[4,8]", 8), "tensor `b`: expected bytes that begin at 8, got bytes 4 to 8");
        assert_eq!(two("a", "[8,12]", 12), "tensor `a`: expected one of that name, got two");
        assert!(message(&file("[1]", 0)).contains("expected an object of tensors"));
        assert!(message(&file("{\"a\":", 0)).contains("EOF while parsing"));
        let axes = format!("[{}]", vec!["1"; 65].join(","));
        assert_eq!(one("F32", &axes, "[0,4]", 4), "tensor `a`: expected at most 64 axes, got 65");
        let deep = "[".repeat(100_000);
        assert!(message(&file(&format!("{{\"a\":{deep}"), 0)).starts_with("header: "));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_gives_an_error_or_tensors() {
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}"#;
        let whole = file(header, 10);
        assert!(places(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(places(&whole[..length]).is_err(), "cut to {length} bytes");
        }
        for i in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[i] ^= 1 << bit;
                if let Ok(places) = places(&flipped) {
                    assert!(places.values().all(|(_, range)| range.end <= flipped.len()));
                }
            }
        }
    }
}
