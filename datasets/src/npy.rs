//! NumPy's array files: how numbers leave for other programs, and how reference values come in.

use std::io::{self, Write};
use std::ops::Range;

use half::f16;

/// What such a file begins with.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The header ends at a multiple of this, so that the values can be mapped into memory.
const ALIGNMENT: usize = 64;

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis; the last one is contiguous.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub values: Values,
}

/// The values of an array, by their type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `<f4`
    F32(Vec<f32>),
    /// `|u1`
    U8(Vec<u8>),
}

/// A file that is no array, or none that is read here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// It does not begin as such files do.
    #[error("expected a .npy file of version 1 to 3, got something else")]
    UnknownFormat,
    /// It ends too soon.
    #[error("the file is cut off in its header")]
    CutOff,
    /// The values lie in Fortran's order.
    #[error("expected C order, got Fortran order\nhint: save it with `np.ascontiguousarray`")]
    FortranOrder,
    /// The header is not what it should be.
    #[error("expected {expected} in the .npy header, got {got:?}")]
    Header {
        /// What should stand there.
        expected: &'static str,
        /// The header.
        got: String,
    },
    /// There are fewer or more values than the shape says.
    #[error(
        "expected {expected} bytes of values for the shape {shape:?}, got {got}: the file is cut off or damaged"
    )]
    Length {
        /// Bytes that the shape asks for.
        expected: u128,
        /// Bytes that are there.
        got: usize,
        /// The shape.
        shape: Vec<usize>,
    },
}

/// Writes an array of 32-bit floats, little-endian, in C order.
///
/// # Errors
/// Those of the writer.
///
/// # Panics
/// If there are not as many values as the shape says.
///
/// # Reference
/// NumPy Enhancement Proposal 1, version 1.0 of the format.
pub fn write_f32(out: impl Write, shape: &[usize], values: &[f32]) -> io::Result<()> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "the shape {shape:?} does not fit");
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    write(out, "<f4", shape, &bytes)
}

/// Writes an array of bytes, in C order.
///
/// # Errors
/// Those of the writer.
///
/// # Panics
/// If there are not as many values as the shape says.
pub fn write_u8(out: impl Write, shape: &[usize], values: &[u8]) -> io::Result<()> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "the shape {shape:?} does not fit");
    write(out, "|u1", shape, values)
}

fn write(mut out: impl Write, kind: &str, shape: &[usize], bytes: &[u8]) -> io::Result<()> {
    let axes: String = shape.iter().map(|length| format!("{length}, ")).collect();
    // a tuple of one needs its comma, those of several do without the last
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({axes}), }}");
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too many axes for a .npy file"))?;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    out.write_all(bytes)?;
    out.flush()
}

/// The type of an array's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `<f2`
    F16,
    /// `<f4`
    F32,
    /// `<f8`
    F64,
    /// `|u1`
    U8,
}

impl Kind {
    /// Bytes of a value.
    pub fn width(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::U8 => 1,
        }
    }
}

/// What a file says of its array: enough to read the values where they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Type of the values, little-endian.
    pub kind: Kind,
    /// Length of each axis; the last one is contiguous.
    pub shape: Vec<usize>,
    /// Where the values lie in the file, all that the shape promises.
    pub data: Range<usize>,
}

impl Header {
    /// Reads the header of a file that has these bytes.
    ///
    /// # Errors
    /// Anything but a little-endian, C-ordered array of floats or bytes, whole.
    pub fn of_file(bytes: &[u8]) -> Result<Self, NpyError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::UnknownFormat)?;
        let (length, rest) = match rest {
            [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            [] | [1..=3, ..] => return Err(NpyError::CutOff),
            _ => return Err(NpyError::UnknownFormat),
        };
        let (header, data) = rest.split_at_checked(length).ok_or(NpyError::CutOff)?;
        let header = String::from_utf8_lossy(header);
        let wrong = |expected| NpyError::Header { expected, got: header.trim().to_owned() };
        match entry(&header, "fortran_order") {
            Some("False") => {}
            Some("True") => return Err(NpyError::FortranOrder),
            _ => return Err(wrong("'fortran_order': False")),
        }
        let shape = shape(&header).ok_or_else(|| wrong("a shape"))?;
        let kind = match entry(&header, "descr") {
            Some("'<f2'") => Kind::F16,
            Some("'<f4'") => Kind::F32,
            Some("'<f8'") => Kind::F64,
            Some("'|u1'") => Kind::U8,
            _ => return Err(wrong("'descr' of '<f2', '<f4', '<f8' or '|u1'")),
        };
        let expected = shape.iter().fold(kind.width() as u128, |n, length| n.saturating_mul(*length as u128));
        if expected != data.len() as u128 {
            return Err(NpyError::Length { expected, got: data.len(), shape });
        }
        Ok(Self { kind, shape, data: bytes.len() - data.len()..bytes.len() })
    }
}

/// The numbers of an array as the widest floats, in the file's order.
///
/// # Errors
/// Anything but a little-endian, C-ordered array of floats or bytes, whole.
pub fn read_f64(bytes: &[u8]) -> Result<(Header, Vec<f64>), NpyError> {
    let header = Header::of_file(bytes)?;
    let data = &bytes[header.data.clone()];
    let values = match header.kind {
        Kind::F16 => data.as_chunks::<2>().0.iter().map(|&b| f16::from_le_bytes(b).to_f64()).collect(),
        Kind::F32 => data.as_chunks::<4>().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
        Kind::F64 => data.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        Kind::U8 => data.iter().map(|&value| f64::from(value)).collect(),
    };
    Ok((header, values))
}

/// Reads an array of 32-bit floats or bytes.
///
/// # Errors
/// Anything but a little-endian, C-ordered array of one of the two types, whole.
pub fn read(bytes: &[u8]) -> Result<Array, NpyError> {
    let Header { kind, shape, data } = Header::of_file(bytes)?;
    let data = &bytes[data];
    let values = match kind {
        Kind::F32 => Values::F32(data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        Kind::U8 => Values::U8(data.to_vec()),
        Kind::F16 | Kind::F64 => {
            let expected = "'descr' of '<f4' or '|u1'";
            return Err(NpyError::Header { expected, got: format!("{}-byte floats", kind.width()) });
        }
    };
    Ok(Array { shape, values })
}

/// What stands behind a key, up to the next comma.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    rest.split([',', '}']).next().map(str::trim)
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (_, rest) = header.split_once("'shape':")?;
    let (axes, _) = rest.trim_start().strip_prefix('(')?.split_once(')')?;
    axes.split(',').map(str::trim).filter(|axis| !axis.is_empty()).map(|axis| axis.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(shape in proptest::collection::vec(0usize..5, 0..4)) {
            let n_values = shape.iter().product::<usize>();
            let floats: Vec<f32> = (0..n_values).map(|i| i as f32 * 0.5 - 3.0).collect();
            let mut file = Vec::new();
            write_f32(&mut file, &shape, &floats).expect("memory takes it");
            prop_assert_eq!((file.len() - n_values * 4) % ALIGNMENT, 0);
            let got = read(&file).expect("it was just written");
            prop_assert_eq!(got, Array { shape: shape.clone(), values: Values::F32(floats) });
            let bytes: Vec<u8> = (0..n_values).map(|i| i as u8).collect();
            let mut file = Vec::new();
            write_u8(&mut file, &shape, &bytes).expect("memory takes it");
            prop_assert_eq!(read(&file).expect("it was just written").values, Values::U8(bytes));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[&b"\x93NUMPY\x01\x00\x20\x00"[..], &bytes].concat());
        }
    }

    #[test]
    fn header_is_numpys() {
        let mut file = Vec::new();
        write_f32(&mut file, &[2, 3], &[0.0; 6]).expect("memory takes it");
        assert!(file[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  "));
        let mut file = Vec::new();
        write_u8(&mut file, &[3], &[0; 3]).expect("memory takes it");
        assert!(file[10..].starts_with(b"{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"));
    }

    #[test]
    fn cut_and_promising_files_are_refused() {
        let mut file = Vec::new();
        write_f32(&mut file, &[2, 3], &[0.0; 6]).expect("memory takes it");
        assert!(matches!(read(&file[..file.len() - 1]), Err(NpyError::Length { expected: 24, got: 23, .. })));
        assert!(matches!(read(&file[..50]), Err(NpyError::CutOff)));
        assert!(matches!(read(b"{}"), Err(NpyError::UnknownFormat)));
        let text = String::from_utf8_lossy(&file[10..74]).into_owned();
        let huge = text.replace("(2, 3), }", "(18446744073709551615, 4294967296), }");
        let header =
            [&b"\x93NUMPY\x01\x00"[..], &(huge.len() as u16).to_le_bytes(), huge.as_bytes()].concat();
        assert!(matches!(read(&header), Err(NpyError::Length { .. })));
        let place = file.windows(3).position(|window| window == b"<f4").expect("it names its type");
        file[place + 1] = b'i';
        let message = read(&file).expect_err("it holds integers").to_string();
        let expected = "expected 'descr' of '<f2', '<f4', '<f8' or '|u1' in the .npy header";
        assert!(message.starts_with(expected), "{message}");
    }
}
