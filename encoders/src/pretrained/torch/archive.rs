//! The directory of a zip file whose members are stored as they are, which is what `torch.save` writes.
//!
//! ```text
//! member      "PK\3\4" .. name extra, then the bytes; again for each member
//! directory   "PK\1\2" .. for each member: sizes, name, where it begins
//! end         "PK\5\6" .. where the directory lies; in front of it, for large files, "PK\6\6" and "PK\6\7"
//! ```
//!
//! # Reference
//! APPNOTE.TXT - .ZIP File Format Specification 6.3.10, sections 4.3 and 4.5.3.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::pretrained::error::quoted;

/// Where each member's bytes lie in the file, by name.
pub(super) type Members = BTreeMap<String, Range<usize>>;

const MEMBER: [u8; 4] = *b"PK\x03\x04";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const LARGE_END: [u8; 4] = *b"PK\x06\x06";
const LARGE_END_LOCATOR: [u8; 4] = *b"PK\x06\x07";

/// What a 32-bit field holds whose value stands in 64 bits elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

/// Bytes of the end record without its comment, and the longest comment.
const END_BYTES: usize = 22;
const MAX_COMMENT: usize = 1 << 16;

/// What is wrong with an archive: expected, got.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) expected: String,
    pub(super) got: String,
}

impl Broken {
    fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

/// Reads the directory. No two members overlap and all lie within the file, so that what can be read of an archive is
/// never more than the archive.
pub(super) fn members(bytes: &[u8]) -> Result<Members, Broken> {
    let (n_entries, directory) = directory(bytes)?;
    let mut cursor = Cursor { bytes: &bytes[..directory.end], at: directory.start };
    let mut members = Members::new();
    for _ in 0..n_entries {
        let (name, range) = entry(bytes, &mut cursor)?;
        if range.end > directory.start {
            return Err(Broken::new(
                format!("member {} in front of the directory", quoted(&name)),
                "it behind",
            ));
        }
        if members.contains_key(&name) {
            return Err(Broken::new(format!("one member {}", quoted(&name)), "two"));
        }
        members.insert(name, range);
    }
    let mut ranges = members.values().filter(|range| !range.is_empty()).collect::<Vec<_>>();
    ranges.sort_by_key(|range| range.start);
    if ranges.windows(2).any(|pair| pair[1].start < pair[0].end) {
        return Err(Broken::new("members that do not overlap", "two that do"));
    }
    Ok(members)
}

/// The number of members, and where the directory lies.
fn directory(bytes: &[u8]) -> Result<(u64, Range<usize>), Broken> {
    let last = bytes.len().checked_sub(END_BYTES).ok_or_else(|| {
        Broken::new(format!("at least {END_BYTES} bytes"), format!("{} bytes", bytes.len()))
    })?;
    let first = last.saturating_sub(MAX_COMMENT);
    let end = (first..=last).rev().find(|&at| bytes[at..].starts_with(&END)).ok_or_else(|| {
        Broken::new("the directory of a zip file at its end", "none, as of a file that is cut off")
    })?;
    let mut cursor = Cursor { bytes, at: end + 4 };
    let (disk, directory_disk) = (cursor.u16()?, cursor.u16()?);
    let n_here = cursor.u16()?;
    let mut n_entries = cursor.u16()?;
    let mut size = cursor.u32()?;
    let mut offset = cursor.u32()?;
    let is_split = |disk: u64, directory_disk: u64| disk != 0 || directory_disk != 0;
    let mut split = is_split(disk, directory_disk) || n_here != n_entries;
    let mut end_of_directory = end;
    if n_entries == u64::from(u16::MAX) || size == ELSEWHERE || offset == ELSEWHERE {
        let locator = end.checked_sub(20).ok_or_else(|| Broken::new("a record of 64-bit sizes", "none"))?;
        let mut cursor = Cursor { bytes, at: locator };
        cursor.signature(LARGE_END_LOCATOR)?;
        cursor.skip(4)?;
        let at = cursor.u64()?;
        let at = usize::try_from(at).ok().filter(|&at| at < locator).ok_or_else(|| {
            Broken::new(format!("a record of 64-bit sizes before byte {locator}"), format!("byte {at}"))
        })?;
        let mut cursor = Cursor { bytes, at };
        cursor.signature(LARGE_END)?;
        cursor.skip(8 + 2 + 2)?;
        let (disk, directory_disk) = (cursor.u32()?, cursor.u32()?);
        let n_here = cursor.u64()?;
        n_entries = cursor.u64()?;
        size = cursor.u64()?;
        offset = cursor.u64()?;
        split = is_split(disk, directory_disk) || n_here != n_entries;
        end_of_directory = at;
    }
    if split {
        return Err(Broken::new("an archive in one file", "a part of one"));
    }
    let range = range(offset, size).filter(|range| range.end <= end_of_directory).ok_or_else(|| {
        Broken::new(
            format!("a directory in front of byte {end_of_directory}"),
            format!("one of {size} bytes at byte {offset}"),
        )
    })?;
    Ok((n_entries, range))
}

/// The next entry of the directory: a member's name and where its bytes lie.
fn entry(bytes: &[u8], cursor: &mut Cursor<'_>) -> Result<(String, Range<usize>), Broken> {
    cursor.signature(ENTRY)?;
    cursor.skip(4)?;
    let flags = cursor.u16()?;
    let method = cursor.u16()?;
    cursor.skip(8)?;
    let mut packed = cursor.u32()?;
    let mut size = cursor.u32()?;
    let (n_name, n_extra, n_comment) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    cursor.skip(8)?;
    let mut offset = cursor.u32()?;
    let name = cursor.take(n_name)?;
    let name = str::from_utf8(name)
        .map_err(|_| Broken::new("names in UTF-8", quoted(&String::from_utf8_lossy(name))))?
        .to_owned();
    let mut extra = Cursor { bytes: cursor.take(n_extra)?, at: 0 };
    cursor.skip(n_comment)?;
    while extra.at + 4 <= extra.bytes.len() {
        let (kind, length) = (extra.u16()?, extra.u16()?);
        let mut field = Cursor { bytes: extra.take(length)?, at: 0 };
        if kind == 1 {
            for value in [&mut size, &mut packed, &mut offset] {
                if *value == ELSEWHERE {
                    *value = field.u64()?;
                }
            }
        }
    }
    let member = quoted(&name);
    if method != 0 || size != packed {
        let expected = format!("member {member} stored as it is");
        return Err(Broken::new(expected, format!("method {method}, {packed} bytes for {size}")));
    }
    if flags & 1 != 0 {
        return Err(Broken::new(format!("member {member} in the clear"), "an encrypted one"));
    }
    let at = usize::try_from(offset)
        .map_err(|_| Broken::new(format!("member {member} in the file"), format!("one at byte {offset}")))?;
    // its own header repeats the name and has other extra fields than the directory
    let mut local = Cursor { bytes, at };
    local.signature(MEMBER)?;
    local.skip(22)?;
    let (n_name, n_extra) = (local.u16()?, local.u16()?);
    let own_name = local.take(n_name)?;
    if own_name != name.as_bytes() {
        return Err(Broken::new(format!("member {member}"), quoted(&String::from_utf8_lossy(own_name))));
    }
    local.skip(n_extra)?;
    let range = range(local.at as u64, size).filter(|range| range.end <= bytes.len()).ok_or_else(|| {
        Broken::new(
            format!("member {member} within {} bytes", bytes.len()),
            format!("{size} bytes at {}", local.at),
        )
    })?;
    Ok((name, range))
}

fn range(offset: u64, size: u64) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// Reads little-endian numbers one behind the other.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], Broken> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match usize::try_from(n).ok().and_then(|n| rest.get(..n)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(Broken::new(format!("{n} bytes at byte {}", self.at), format!("{}", rest.len()))),
        }
    }

    fn skip(&mut self, n: u64) -> Result<(), Broken> {
        self.take(n).map(|_| ())
    }

    fn number(&mut self, n: u64) -> Result<u64, Broken> {
        let bytes = self.take(n)?;
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn u16(&mut self) -> Result<u64, Broken> {
        self.number(2)
    }

    fn u32(&mut self) -> Result<u64, Broken> {
        self.number(4)
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        self.number(8)
    }

    fn signature(&mut self, expected: [u8; 4]) -> Result<(), Broken> {
        let at = self.at;
        let got = self.take(4)?;
        if got == expected {
            return Ok(());
        }
        let show = |bytes: &[u8]| quoted(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>());
        Err(Broken::new(format!("{} at byte {at}", show(&expected)), show(got)))
    }
}
