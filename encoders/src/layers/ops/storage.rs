//! Flex tensors as slices, new buffers, and work over them in chunks of fixed size.
//!
//! The size of a chunk never depends on the number of threads, and what the chunks give is combined in their order:
//! that is what makes results the same bit for bit on one thread and on many.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

/// Elements of a chunk of an element-wise loop: some ten microseconds of work, and it fits the innermost caches.
pub(super) const CHUNK: usize = 16 * 1024;

/// The tensor with its elements one behind the other; a copy only where they are not.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().contiguous_offsets().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The elements of a [`contiguous`] float32 tensor.
pub(super) fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("kernels run on contiguous float32 tensors")
}

/// The shape as plain sizes.
pub(super) fn sizes<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|axis| shape[axis])
}

/// A tensor of the elements.
pub(super) fn tensor(elements: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    assert_eq!(elements.len(), shape.num_elements(), "elements and shape of a kernel's output differ");
    FlexTensor::new(Bytes::from_elems(elements), Layout::contiguous(shape), DType::F32)
}

/// A buffer of `len` elements that `write` fills, without zeroing it first.
///
/// # Safety
/// `write` must write every element.
pub(super) unsafe fn written(len: usize, write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut buffer = Vec::with_capacity(len);
    write(&mut buffer.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is at least `len`, and the caller vouches that all of it was written
    unsafe { buffer.set_len(len) };
    buffer
}

/// Runs `work(offset, chunk)` on `out` in chunks of `size`, in parallel where there are several, and gives the
/// results in the chunks' order.
pub(super) fn map_chunks_mut<T: Send, R: Send>(
    out: &mut [T],
    size: usize,
    work: impl Fn(usize, &mut [T]) -> R + Sync,
) -> Vec<R> {
    if out.len() <= size {
        return vec![work(0, out)];
    }
    out.par_chunks_mut(size).enumerate().map(|(i, chunk)| work(i * size, chunk)).collect()
}

/// Runs `work(range)` on `0..len` in ranges of `size`, in parallel where there are several, and gives the results
/// in the ranges' order.
pub(super) fn map_ranges<R: Send>(
    len: usize,
    size: usize,
    work: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    if len <= size {
        return vec![work(0..len)];
    }
    let n = len.div_ceil(size);
    (0..n).into_par_iter().map(|i| work(i * size..((i + 1) * size).min(len))).collect()
}

/// Rows of `width` in a chunk of about [`CHUNK`] elements.
pub(super) fn rows_in_chunk(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// The element-wise sum of equally long vectors, in their order.
pub(super) fn add_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

/// Splits both buffers into `n` equal parts and runs `work(i, part of a, part of b)` on each, in parallel if asked.
pub(super) fn for_each_sample<A: Send, B: Send>(
    n: usize,
    a: &mut [A],
    b: &mut [B],
    in_parallel: bool,
    work: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let (size_a, size_b) = (a.len() / n.max(1), b.len() / n.max(1));
    let parts =
        parts_mut(a, std::iter::repeat_n(size_a, n)).zip(parts_mut(b, std::iter::repeat_n(size_b, n)));
    for_each_part(parts.collect(), in_parallel, |i, (a, b)| work(i, a, b));
}

/// The parts of a buffer, one behind the other.
pub(super) fn parts_mut<T>(
    mut rest: &mut [T],
    sizes: impl Iterator<Item = usize>,
) -> impl Iterator<Item = &mut [T]> {
    sizes.map(move |size| {
        let part;
        (part, rest) = std::mem::take(&mut rest).split_at_mut(size);
        part
    })
}

/// Runs `work(i, part)` on each, in parallel if asked.
pub(super) fn for_each_part<P: Send>(parts: Vec<P>, in_parallel: bool, work: impl Fn(usize, P) + Sync) {
    if in_parallel && parts.len() > 1 {
        parts.into_par_iter().enumerate().for_each(|(i, part)| work(i, part));
    } else {
        parts.into_iter().enumerate().for_each(|(i, part)| work(i, part));
    }
}

/// Multiplies each of `factors.len()` equal parts of a contiguous tensor by its factor, in place where nobody else
/// holds it.
pub(super) fn scaled(mut tensor: FlexTensor, factors: &[f32]) -> FlexTensor {
    if factors.iter().any(|&factor| factor != 1.0) {
        let size = tensor.layout().num_elements() / factors.len();
        let elements = floats_mut(&mut tensor);
        for (part, &factor) in elements.chunks_exact_mut(size.max(1)).zip(factors) {
            map_chunks_mut(part, CHUNK, |_, part| {
                for element in part {
                    *element *= factor;
                }
            });
        }
    }
    tensor
}

/// Runs `work(offset, chunk of a, chunk of b)` on two equally long buffers in chunks of `size`, in parallel where
/// there are several.
pub(super) fn for_each_pair<A: Send, B: Send>(
    a: &mut [A],
    b: &mut [B],
    size: usize,
    work: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    assert_eq!(a.len(), b.len(), "lengths of paired buffers differ");
    if a.len() <= size {
        return work(0, a, b);
    }
    a.par_chunks_mut(size)
        .zip(b.par_chunks_mut(size))
        .enumerate()
        .for_each(|(i, (a, b))| work(i * size, a, b));
}

/// Runs `work(offset, chunks)` on three equally long buffers in chunks of `size`, in parallel where there are
/// several.
pub(super) fn for_each_triple(
    [a, b, c]: [&mut [f32]; 3],
    size: usize,
    work: impl Fn(usize, [&mut [f32]; 3]) + Sync,
) {
    assert_eq!([a.len(), b.len()], [c.len(); 2], "lengths of buffers that go together differ");
    if a.len() <= size {
        return work(0, [a, b, c]);
    }
    let chunks = a.par_chunks_mut(size).zip(b.par_chunks_mut(size)).zip(c.par_chunks_mut(size));
    chunks.enumerate().for_each(|(i, ((a, b), c))| work(i * size, [a, b, c]));
}

/// The elements of a [`contiguous`] float32 tensor to write; copies them first where somebody else holds them.
pub(super) fn floats_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("kernels run on contiguous tensors");
    &mut tensor.storage_mut::<f32>()[start..end]
}
