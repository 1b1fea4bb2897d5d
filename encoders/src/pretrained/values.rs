//! Stored numbers to 32-bit floats.

use safetensors::Dtype;

/// Reads the floats of one type from little-endian bytes.
///
/// # Differences from the reference
/// 64-bit numbers are rounded to the nearest 32-bit one, as `tensor.float()` does: beyond its range that is infinite.
pub(super) type Decode = fn(&[u8], &mut Vec<f32>);

/// The reader of a type of floats, or none where the type holds no floats that are read here.
pub(super) fn decoder(dtype: Dtype) -> Option<Decode> {
    Some(match dtype {
        Dtype::F16 => |bytes, out| {
            out.extend(bytes.as_chunks().0.iter().map(|&bytes| half(u16::from_le_bytes(bytes))));
        },
        Dtype::BF16 => |bytes, out| {
            let wide = |bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
            out.extend(bytes.as_chunks().0.iter().map(|&bytes| wide(bytes)));
        },
        Dtype::F32 => |bytes, out| {
            out.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        },
        Dtype::F64 => |bytes, out| {
            out.extend(bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32));
        },
        _ => return None,
    })
}

/// IEEE 754's binary16 in binary32, without a branch so that a loop of it is vectorised: the exponent and fraction are
/// moved into place, and a product with 2^112 corrects the exponent's bias and normalises what is subnormal.
fn half(bits: u16) -> f32 {
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = u32::from(bits & 0x7FFF) << 13;
    // infinite or not a number: the largest exponent stays the largest
    let special = if magnitude >= 0x1F << 23 { 0xFF << 23 } else { 0 };
    let value = (f32::from_bits(magnitude) * BIAS).to_bits() | special;
    f32::from_bits(value | u32::from(bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{bf16, f16};

    use super::*;

    fn same(a: f32, b: f32) -> bool {
        a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
    }

    #[test]
    fn every_half_and_brain_float_is_read_exactly() {
        let bytes = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let read = |dtype| {
            let mut out = Vec::new();
            decoder(dtype).expect("it is a float")(&bytes, &mut out);
            out
        };
        let (halves, brains) = (read(Dtype::F16), read(Dtype::BF16));
        for bits in 0..=u16::MAX {
            let (half, brain) = (halves[usize::from(bits)], brains[usize::from(bits)]);
            assert!(same(half, f16::from_bits(bits).to_f32()), "f16 {bits:#06x}: {half}");
            assert!(same(brain, bf16::from_bits(bits).to_f32()), "bf16 {bits:#06x}: {brain}");
        }
    }

    #[test]
    fn wide_floats_are_rounded_and_integers_have_no_reader() {
        let bytes = [1.0f64, -0.1, 1e300].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let mut out = Vec::new();
        decoder(Dtype::F64).expect("it is a float")(&bytes, &mut out);
        assert_eq!(out, [1.0, -0.1, f32::INFINITY]);
        assert!(decoder(Dtype::I64).is_none());
    }
}
