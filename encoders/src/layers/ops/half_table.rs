//! Products with a table whose numbers are those of 16 bits: half the memory to read, and the same numbers.

use std::fmt;

use burn::prelude::*;
use half::f16;

use super::kernel::runs_on;
use super::simd::{LANES, add_lanes, vectorised};
use super::storage::map_chunks_mut;

/// Rows that a thread takes at a time.
const ROWS: usize = 512;

/// A table of float16 numbers that stands for one of float32.
///
/// A step of decoding reads the whole table of words once, and memory is what it waits for. Published weights were often
/// trained, or stored once, in 16 bits.
#[derive(Clone)]
pub struct HalfTable {
    /// `[n_rows, width]`
    rows: Vec<f16>,
    width: usize,
}

impl HalfTable {
    /// The table in 16 bits; none where that would change a number, on devices without kernels, and where gradients are
    /// wanted.
    ///
    /// # Shapes
    /// `[n_rows, width]`
    pub fn exact(table: &Tensor<2>) -> Option<Self> {
        if !runs_on(table) || table.device().is_autodiff() {
            return None;
        }
        let [_, width] = table.dims();
        let values = table.clone().into_data();
        let rows = values.iter::<f32>().map(|value| {
            let half = f16::from_f32(value);
            // to the bit, so that no NaN is one
            (half.is_finite() && half.to_f32().to_bits() == value.to_bits()).then_some(half)
        });
        let rows = rows.collect::<Option<Vec<_>>>()?;
        (width > 0).then_some(Self { rows, width })
    }

    /// The product of each row of `x` with each row of the table.
    ///
    /// # Shapes
    /// `[batch, width]` -> `[batch, n_rows]`
    ///
    /// # Panics
    /// When the widths differ.
    pub fn products(&self, x: Tensor<2>) -> Tensor<2> {
        let ([batch, width], device) = (x.dims(), x.device());
        assert_eq!(width, self.width, "a table of another width");
        let x = x.into_data().iter::<f32>().collect::<Vec<_>>();
        let n_rows = self.rows.len() / width;
        let mut out = vec![0.0; n_rows * batch];
        map_chunks_mut(&mut out, ROWS * batch, |offset, out| {
            let first = offset / batch.max(1) * width;
            multiply(&self.rows[first..][..out.len() / batch.max(1) * width], &x, width, out);
        });
        let out = Tensor::<2>::from_data(TensorData::new(out, [n_rows, batch]), &device);
        if batch == 1 { out.reshape([1, n_rows]) } else { out.transpose() }
    }
}

impl fmt::Debug for HalfTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HalfTable([{}, {}])", self.rows.len() / self.width, self.width)
    }
}

vectorised! {
    /// `[n, width]`, `[batch, width]` -> `[n, batch]`
    fn multiply(rows: &[f16], x: &[f32], width: usize, out: &mut [f32]) {
        let batch = x.len() / width;
        if batch == 1 {
            for (row, out) in rows.chunks_exact(width).zip(out) {
                *out = dot_half(row, x);
            }
            return;
        }
        let mut wide = vec![0.0; width];
        for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(batch)) {
            for (wide, half) in wide.iter_mut().zip(row) {
                *wide = widened(*half);
            }
            for (x, out) in x.chunks_exact(width).zip(out) {
                *out = dot(&wide, x);
            }
        }
    }
}

/// The number in 32 bits; neither infinite nor NaN. A function of integers alone, so that it is done for many at once.
#[inline(always)]
fn widened(half: f16) -> f32 {
    /// What the exponents of the two are biased by more.
    const BIAS: u32 = (127 - 15) << 23;
    /// 2^-14, above which numbers are normal.
    const LEAST: u32 = BIAS + (1 << 23);
    let bits = u32::from(half.to_bits());
    let magnitude = (bits & 0x7fff) << 13;
    let normal = f32::from_bits(magnitude + BIAS);
    let small = f32::from_bits(magnitude | LEAST) - f32::from_bits(LEAST);
    let value = if bits & 0x7c00 == 0 { small } else { normal };
    f32::from_bits(value.to_bits() | ((bits & 0x8000) << 16))
}

#[inline(always)]
fn dot_half(row: &[f16], x: &[f32]) -> f32 {
    let (rows, rest_row) = row.as_chunks::<LANES>();
    let (xs, rest_x) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (row, x) in rows.iter().zip(xs) {
        for lane in 0..LANES {
            lanes[lane] = widened(row[lane]).mul_add(x[lane], lanes[lane]);
        }
    }
    let mut total = add_lanes(lanes);
    for (half, x) in rest_row.iter().zip(rest_x) {
        total = widened(*half).mul_add(*x, total);
    }
    total
}

#[inline(always)]
fn dot(row: &[f32], x: &[f32]) -> f32 {
    let (rows, rest_row) = row.as_chunks::<LANES>();
    let (xs, rest_x) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (row, x) in rows.iter().zip(xs) {
        for lane in 0..LANES {
            lanes[lane] = row[lane].mul_add(x[lane], lanes[lane]);
        }
    }
    let mut total = add_lanes(lanes);
    for (value, x) in rest_row.iter().zip(rest_x) {
        total = value.mul_add(*x, total);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of 16 bits, small ones and zeros of either sign among them.
    fn table(n_rows: usize, width: usize) -> Tensor<2> {
        let number = |i: usize| match i % 11 {
            0 => 0.0,
            1 => -0.0,
            2 => f16::from_bits(1 + (i % 700) as u16).to_f32(),
            _ => f16::from_f32(((i * 7919 % 2003) as f32 - 1000.0) / 700.0).to_f32(),
        };
        let values = (0..n_rows * width).map(number).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [n_rows, width]), &Device::flex())
    }

    #[test]
    fn every_half_is_widened_as_it_should_be() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            if half.is_finite() {
                assert_eq!(widened(half).to_bits(), half.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }

    #[test]
    fn products_are_those_of_the_table_itself() {
        // more than one chunk of rows, and a width with a rest
        let (n_rows, width) = (ROWS + 3, 21);
        let table = table(n_rows, width);
        let half = HalfTable::exact(&table).expect("its numbers have 16 bits");
        for batch in [1, 3] {
            let x = (0..batch * width).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
            let x = Tensor::<2>::from_data(TensorData::new(x, [batch, width]), &Device::flex());
            let (got, expected) = (half.products(x.clone()), x.clone().matmul(table.clone().transpose()));
            assert_eq!(got.dims(), [batch, n_rows]);
            let far = (got.clone() - expected).abs().max().into_scalar::<f32>();
            assert!(far < 1e-5, "{far} apart");
            // a row's numbers are the same to the bit, whoever else is there
            let alone = half.products(x.narrow(0, 0, 1)).into_data();
            assert_eq!(alone, got.narrow(0, 0, 1).into_data());
        }
    }

    #[test]
    fn a_table_that_16_bits_would_change_is_left_alone() {
        let with = |value: f32| {
            let values = vec![0.5, value, 1.0, -2.0];
            HalfTable::exact(&Tensor::from_data(TensorData::new(values, [2, 2]), &Device::flex())).is_some()
        };
        assert!(with(0.25) && with(-0.0));
        assert!(!with(0.1) && !with(1e6) && !with(f32::NAN) && !with(f32::INFINITY) && !with(1e-9));
        let trained = Tensor::<2>::ones([2, 2], &Device::flex().autodiff());
        assert!(HalfTable::exact(&trained).is_none());
    }
}
