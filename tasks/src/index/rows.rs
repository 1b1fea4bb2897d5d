//! Stored rows as 32-bit floats, a block at a time.

use std::ops::Range;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use super::header::Element;

/// Rows of an index as they are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) element: Element,
    /// `[n_rows, d]`, little-endian.
    pub(super) bytes: &'a [u8],
    /// For [`Element::I8`], `[n_rows]` of f32.
    pub(super) scales: &'a [u8],
    pub(super) d: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn n_rows(&self) -> usize {
        self.bytes.len() / self.element.width() / self.d
    }

    /// Rows as floats: those of the file itself where it holds them, else made in `space`.
    ///
    /// # Shapes
    /// `[rows.len(), d]`
    ///
    /// # Panics
    /// When there are no such rows.
    pub(super) fn block<'b>(&'b self, rows: Range<usize>, space: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        let width = self.element.width() * self.d;
        let bytes = &self.bytes[rows.start * width..rows.end * width];
        match self.element {
            Element::F32 => {
                let cast = bytemuck::try_cast_slice::<u8, f32>(bytes);
                if let (Ok(values), true) = (cast, cfg!(target_endian = "little")) {
                    return values;
                }
                space.clear();
                space.extend(bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            Element::F16 => {
                let cast = bytemuck::try_cast_slice::<u8, u16>(bytes);
                if let (Ok(bits), true) = (cast, cfg!(target_endian = "little")) {
                    space.resize(bits.len(), 0.0);
                    bits.reinterpret_cast::<f16>().convert_to_f32_slice(space);
                } else {
                    space.clear();
                    let values = bytes.as_chunks::<2>().0.iter();
                    space.extend(values.map(|&bytes| f16::from_le_bytes(bytes).to_f32()));
                }
            }
            Element::I8 => {
                space.resize(bytes.len(), 0.0);
                let scales = &self.scales.as_chunks::<4>().0[rows];
                let rows = space.chunks_exact_mut(self.d).zip(bytes.chunks_exact(self.d));
                for ((values, bytes), &scale) in rows.zip(scales) {
                    let scale = f32::from_le_bytes(scale);
                    for (value, &byte) in values.iter_mut().zip(bytes) {
                        *value = f32::from(byte as i8) * scale;
                    }
                }
            }
        }
        space
    }
}

/// Rounds a row to 8 bits: each number is about its integer times the scale that is returned.
pub(super) fn quantise(row: &[f32], into: &mut Vec<u8>) -> f32 {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    into.extend(row.iter().map(|value| (value * inverse).round().clamp(-127.0, 127.0) as i8 as u8));
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_keep_a_row_to_half_a_step() {
        let row = [0.5f32, -1.0, 0.003, 0.0, 0.77];
        let mut bytes = Vec::new();
        let scale = quantise(&row, &mut bytes);
        let scales = scale.to_le_bytes();
        let rows = Rows { element: Element::I8, bytes: &bytes, scales: &scales, d: 5 };
        let mut space = Vec::new();
        for (value, kept) in row.iter().zip(rows.block(0..1, &mut space)) {
            assert!((value - kept).abs() <= 0.5001 * scale, "{value} {kept}");
        }
        assert_eq!(quantise(&[0.0, 0.0], &mut bytes), 0.0);
    }

    #[test]
    fn bytes_at_odd_places_are_read_too() {
        let values = [1.5f32, -2.0, 0.25, 8.0];
        for element in [Element::F32, Element::F16] {
            let mut bytes = vec![0u8];
            for value in values {
                match element {
                    Element::F32 => bytes.extend(value.to_le_bytes()),
                    _ => bytes.extend(f16::from_f32(value).to_le_bytes()),
                }
            }
            let rows = Rows { element, bytes: &bytes[1..], scales: &[], d: 2 };
            assert_eq!(rows.block(0..2, &mut Vec::new()), values);
        }
    }
}
