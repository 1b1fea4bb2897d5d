//! Padded batches without their padding: the rows of all samples one behind the other, so that a transformer's
//! products are over tokens that there are.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::mask::AttentionMask;
use super::tiles::{Attention, SampleRows};
use crate::layers::ops::kernel::{Kernel, fused, runs_on};
use crate::layers::ops::storage::{floats, map_chunks_mut, rows_in_chunk, sizes, tensor, written};

/// Packing costs two copies; it is worth them where at least this share of the rows is padding.
const WORTHWHILE: f32 = 0.1;

/// Where the rows that are no padding stand in a padded batch.
#[derive(Clone, Debug)]
pub struct Packing {
    batch: usize,
    n_tokens: usize,
    /// Of each packed row, its row in the padded batch.
    places: Arc<[usize]>,
    /// Of each row of the padded batch, its packed row.
    packed: Arc<[Option<usize>]>,
    samples: Arc<[SampleRows]>,
}

impl Packing {
    /// How to pack `[batch, n_tokens, d_model]`; `None` where there is too little padding to gain by it, and on devices
    /// without a kernel.
    ///
    /// # Panics
    /// When the mask's shape does not fit.
    pub fn of(tokens: &Tensor<3>, mask: &AttentionMask) -> Option<Self> {
        let [batch, n_tokens, _] = tokens.dims();
        let is_pad = mask.is_pad.as_ref().filter(|_| runs_on(tokens))?;
        assert_eq!(is_pad.dims(), [batch, n_tokens], "packing: shapes of padding and tokens differ");
        let is_pad: Vec<bool> = is_pad.to_data().iter::<bool>().collect();
        Self::new(&is_pad, batch, n_tokens, mask.n_prefix)
    }

    fn new(is_pad: &[bool], batch: usize, n_tokens: usize, n_prefix: usize) -> Option<Self> {
        let n_pad = is_pad.iter().filter(|&&is_pad| is_pad).count();
        if n_pad == is_pad.len() || (n_pad as f32) < WORTHWHILE * is_pad.len() as f32 {
            return None;
        }
        let mut places = Vec::with_capacity(is_pad.len() - n_pad);
        let mut packed = vec![None; is_pad.len()];
        let mut samples = Vec::with_capacity(batch);
        for row in 0..batch {
            let start = places.len();
            let mut n_seen_prefix = 0;
            for token in (0..n_tokens).filter(|token| !is_pad[row * n_tokens + token]) {
                n_seen_prefix += usize::from(token < n_prefix);
                packed[row * n_tokens + token] = Some(places.len());
                places.push(row * n_tokens + token);
            }
            let rows = start..places.len();
            samples.push(SampleRows { queries: rows.clone(), keys: rows, n_prefix: n_seen_prefix });
        }
        Some(Self { batch, n_tokens, places: places.into(), packed: packed.into(), samples: samples.into() })
    }

    fn n_rows(&self) -> usize {
        self.places.len()
    }
}

/// The rows that are no padding, those of one sample behind those of another.
///
/// # Shapes
/// `[batch, n_tokens, d]` -> `[1, n_rows, d]`
pub fn pack(tokens: Tensor<3>, packing: &Packing) -> Tensor<3> {
    let [batch, n_tokens, _] = tokens.dims();
    assert_eq!([batch, n_tokens], [packing.batch, packing.n_tokens], "pack: another batch");
    fused!(Pack(packing.clone()); tokens)
}

/// The rows in their places, zeros where there is padding.
///
/// # Shapes
/// `[1, n_rows, d]` -> `[batch, n_tokens, d]`
pub fn unpack(rows: Tensor<3>, packing: &Packing) -> Tensor<3> {
    assert_eq!(rows.dims()[1], packing.n_rows(), "unpack: another batch");
    fused!(Unpack(packing.clone()); rows)
}

/// [`attention`](super::attention) on packed rows: each sees the rows of its own sample, as the mask that the packing
/// was made of allows.
///
/// # Shapes
/// - qkv: `[1, n_rows, 3 * d_model]`
/// - output: `[1, n_rows, d_model]`
///
/// # Panics
/// When `3 * n_heads` does not divide the width.
pub fn packed_attention(qkv: Tensor<3>, n_heads: usize, packing: &Packing) -> Tensor<3> {
    let [_, n_rows, width] = qkv.dims();
    assert_eq!(n_rows, packing.n_rows(), "packed_attention: another batch");
    assert!(
        n_heads > 0 && width % (3 * n_heads) == 0,
        "packed_attention: width {width} of queries, keys and values is not divisible by 3 * {n_heads} heads"
    );
    let samples = packing.samples.clone();
    fused!(Attention { n_heads, d_head: width / (3 * n_heads), samples, hidden: None }; qkv)
}

#[derive(Clone, Debug)]
struct Pack(Packing);

#[derive(Clone, Debug)]
struct Unpack(Packing);

impl Kernel<1> for Pack {
    type Saved = ();

    fn forward(&self, [tokens]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        (gathered(&tokens, &self.0), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(spread(&grad, &self.0))]
    }
}

impl Kernel<1> for Unpack {
    type Saved = ();

    fn forward(&self, [rows]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        (spread(&rows, &self.0), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(gathered(&grad, &self.0))]
    }
}

fn gathered(tokens: &FlexTensor, packing: &Packing) -> FlexTensor {
    let [_, _, d] = sizes(tokens);
    let rows = copied(floats(tokens), packing.n_rows(), d, |row| Some(packing.places[row]));
    tensor(rows, [1, packing.n_rows(), d])
}

fn spread(rows: &FlexTensor, packing: &Packing) -> FlexTensor {
    let [_, _, d] = sizes(rows);
    let tokens = copied(floats(rows), packing.batch * packing.n_tokens, d, |place| packing.packed[place]);
    tensor(tokens, [packing.batch, packing.n_tokens, d])
}

/// `n_rows` rows of width `d`, each copied from where `source` says, or zeros.
fn copied(from: &[f32], n_rows: usize, d: usize, source: impl Fn(usize) -> Option<usize> + Sync) -> Vec<f32> {
    // SAFETY: each chunk is whole rows, and all of each is copied or filled
    unsafe {
        written(n_rows * d, |to| {
            map_chunks_mut(to, rows_in_chunk(d) * d.max(1), |at, to| {
                for (i, to) in to.chunks_exact_mut(d.max(1)).enumerate() {
                    match source(at / d.max(1) + i) {
                        Some(row) => {
                            to.write_copy_of_slice(&from[row * d..(row + 1) * d]);
                        }
                        None => to.fill(std::mem::MaybeUninit::new(0.0)),
                    }
                }
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::attention;
    use crate::layers::ops::testing::{assert_agree, assert_differentiates, assert_reproducible, inputs};

    const TOLERANCE: f32 = 2e-5;
    const HEADS: usize = 2;
    const D_HEAD: usize = 8;

    /// Rows of different lengths, a gap, a row of padding alone.
    fn is_pad(batch: usize, n: usize) -> Vec<bool> {
        (0..batch * n)
            .map(|i| match (i / n) % 4 {
                0 => i % n > n / 3,
                1 => i % n == 1,
                2 => true,
                _ => i % n >= n - 1,
            })
            .collect()
    }

    fn mask(batch: usize, n: usize, n_prefix: usize) -> AttentionMask {
        let is_pad = Tensor::from_data(TensorData::new(is_pad(batch, n), [batch, n]), &Device::flex());
        AttentionMask { is_pad: Some(is_pad), n_prefix }
    }

    /// Attention of rows whose padding is left out of the output, packed or not.
    fn attend(x: &[Tensor<1>], [batch, n, n_prefix]: [usize; 3], is_packed: bool) -> Tensor<1> {
        let width = HEADS * D_HEAD;
        let qkv = x[0].clone().reshape([batch, n, 3 * width]);
        let mask = mask(batch, n, n_prefix);
        let packing = Packing::of(&qkv, &mask).expect("there is padding");
        let output = if is_packed {
            unpack(packed_attention(pack(qkv, &packing), HEADS, &packing), &packing)
        } else {
            // packing and unpacking by itself leaves out the rows of padding
            unpack(pack(attention(qkv, HEADS, &mask), &packing), &packing)
        };
        output.reshape([batch * n * width])
    }

    #[test]
    fn packed_attention_agrees_with_padded_attention() {
        for sizes @ [batch, n, _] in [[4, 9, usize::MAX], [4, 9, 5], [5, 80, 70], [7, 3, 0], [8, 40, 36]] {
            let x = inputs(&[batch * n * 3 * HEADS * D_HEAD]);
            assert_agree(&x, &|x| attend(&x, sizes, true), &|x| attend(&x, sizes, false), TOLERANCE);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let x = inputs(&[4 * 3 * 3 * HEADS * D_HEAD]);
        assert_differentiates(&x, &|x| attend(&x, [4, 3, 2], true), 2e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        assert_reproducible(&inputs(&[16 * 40 * 3 * HEADS * D_HEAD]), &|x| attend(&x, [16, 40, 30], true));
    }

    #[test]
    fn unpacked_rows_are_the_rows_and_padding_is_zero() {
        let (batch, n, d) = (4, 6, 3);
        let values = inputs(&[batch * n * d]).remove(0);
        let tokens = Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([batch, n, d]);
        let packing = Packing::of(&tokens, &mask(batch, n, usize::MAX)).expect("there is padding");
        let again: Vec<f32> = unpack(pack(tokens, &packing), &packing).into_data().iter::<f32>().collect();
        for (i, is_pad) in is_pad(batch, n).into_iter().enumerate() {
            let expected = if is_pad { vec![0.0; d] } else { values[i * d..(i + 1) * d].to_vec() };
            assert_eq!(again[i * d..(i + 1) * d], expected);
        }
    }

    #[test]
    fn nothing_is_packed_where_nothing_is_gained() {
        assert!(Packing::new(&[false; 20], 2, 10, 0).is_none());
        assert!(Packing::new(&[true; 20], 2, 10, 0).is_none());
        let mut one = [false; 20];
        one[19] = true;
        assert!(Packing::new(&one, 2, 10, 0).is_none());
    }
}
