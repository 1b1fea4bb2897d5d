//! The first 256 bytes of an index, and where its parts lie.

use std::fmt;
use std::ops::Range;

/// What an index begins with.
const MAGIC: &[u8; 8] = b"TRIPTIDX";
/// The only version so far.
const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER: usize = 256;
/// Where the header's own checksum begins.
const CHECKSUM: usize = HEADER - 32;
/// Parts begin at multiples of it.
const ALIGNMENT: u64 = 64;

/// The type of a stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 8-bit integers with one scale a row.
    I8,
}

impl Element {
    const ALL: [Self; 3] = [Self::F32, Self::F16, Self::I8];

    /// Bytes of a number.
    pub fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        })
    }
}

/// How alike a row and a query are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Inner product of unit vectors; rows and queries are scaled to length 1.
    Cosine,
    /// Inner product of the vectors as they are.
    Dot,
}

impl Metric {
    const ALL: [Self; 2] = [Self::Cosine, Self::Dot];
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
        })
    }
}

/// What an index says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) originals: Option<Element>,
    pub(super) metric: Metric,
    pub(super) n_rows: u64,
    pub(super) d: u64,
    pub(super) n_id_bytes: u64,
    /// blake3 of everything from the rows to the originals.
    pub(super) rows_checksum: [u8; 32],
    /// blake3 of the id ends and the ids.
    pub(super) ids_checksum: [u8; 32],
}

/// Where the parts of an index lie, in bytes from the beginning of the file. All fit into `usize`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) rows: Range<usize>,
    pub(super) scales: Range<usize>,
    pub(super) originals: Range<usize>,
    pub(super) id_ends: Range<usize>,
    pub(super) ids: Range<usize>,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let place =
            |element: Element| Element::ALL.iter().position(|&other| other == element).unwrap_or(0) as u32;
        let metric = Metric::ALL.iter().position(|&other| other == self.metric).unwrap_or(0) as u32;
        bytes[..8].copy_from_slice(MAGIC);
        let small =
            [VERSION, place(self.element), self.originals.map_or(0, |element| place(element) + 1), metric];
        for (field, value) in bytes[8..24].chunks_exact_mut(4).zip(small) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        for (field, value) in bytes[24..48].chunks_exact_mut(8).zip([self.n_rows, self.d, self.n_id_bytes]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes[48..80].copy_from_slice(&self.rows_checksum);
        bytes[80..112].copy_from_slice(&self.ids_checksum);
        let checksum = blake3::hash(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..].copy_from_slice(checksum.as_bytes());
        bytes
    }

    /// Reads the header of a file that has these first bytes; what is wrong, in words.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("expected an index of `triptych index build`, got another kind of file".to_owned());
        }
        let cut_off = || format!("the index is cut off in its header: it has {} bytes", bytes.len());
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or_else(cut_off)?;
        let small = |at: usize| u32::from_le_bytes(std::array::from_fn(|idx| header[at + idx]));
        let large = |at: usize| u64::from_le_bytes(std::array::from_fn(|idx| header[at + idx]));
        let checksum = |at: usize| std::array::from_fn(|idx| header[at + idx]);
        if small(8) != VERSION {
            return Err(format!("expected an index of version {VERSION}, got version {}", small(8)));
        }
        if blake3::hash(&header[..CHECKSUM]).as_bytes() != &header[CHECKSUM..] {
            return Err("the header of the index does not match its checksum: it is damaged".to_owned());
        }
        let element = |place: u32| Element::ALL.get(place as usize).copied();
        let unknown = |what: &str, got: u32| format!("the index has an unknown {what}: {got}");
        let originals = match small(16) {
            0 => None,
            place => Some(element(place - 1).ok_or_else(|| unknown("type of originals", place))?),
        };
        Ok(Self {
            element: element(small(12)).ok_or_else(|| unknown("type", small(12)))?,
            originals,
            metric: *Metric::ALL.get(small(20) as usize).ok_or_else(|| unknown("metric", small(20)))?,
            n_rows: large(24),
            d: large(32),
            n_id_bytes: large(40),
            rows_checksum: checksum(48),
            ids_checksum: checksum(80),
        })
    }

    /// None when the sizes are more than can be counted.
    pub(super) fn layout(&self) -> Option<Layout> {
        let mut end = HEADER as u64;
        let mut part = |n: u64, width: u64| {
            let start = end.checked_next_multiple_of(ALIGNMENT)?;
            end = start.checked_add(n.checked_mul(width)?)?;
            Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
        };
        let n_values = self.n_rows.checked_mul(self.d)?;
        let n_scales = if self.element == Element::I8 { self.n_rows } else { 0 };
        Some(Layout {
            rows: part(n_values, self.element.width() as u64)?,
            scales: part(n_scales, 4)?,
            originals: part(n_values, self.originals.map_or(0, |element| element.width() as u64))?,
            id_ends: part(self.n_rows, 8)?,
            ids: part(self.n_id_bytes, 1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            element: Element::I8,
            originals: Some(Element::F16),
            metric: Metric::Dot,
            n_rows: 3,
            d: 5,
            n_id_bytes: 7,
            rows_checksum: [1; 32],
            ids_checksum: [2; 32],
        }
    }

    #[test]
    fn headers_come_back_and_parts_do_not_overlap() {
        assert_eq!(Header::parse(&header().encode()), Ok(header()));
        let layout = header().layout().expect("it is small");
        let parts = [layout.rows, layout.scales, layout.originals, layout.id_ends, layout.ids];
        assert_eq!(parts.clone().map(|part| part.len()), [15, 12, 30, 24, 7]);
        assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start && pair[1].start % 64 == 0));
    }

    #[test]
    fn sizes_beyond_counting_have_no_layout() {
        for (n_rows, d) in [(u64::MAX, 2), (1 << 40, 1 << 40), (u64::MAX / 5, 5)] {
            assert_eq!(Header { n_rows, d, ..header() }.layout(), None);
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let bytes = header().encode();
        for place in 0..HEADER {
            let mut changed = bytes;
            changed[place] ^= 4;
            assert!(Header::parse(&changed).is_err(), "byte {place}");
            assert!(Header::parse(&bytes[..place]).is_err());
        }
    }
}
