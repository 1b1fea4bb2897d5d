//! Depthwise convolution, channels last.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::kernel::{Kernel, fused, runs_on};
use super::linear::column_sums;
use super::simd::{LANES, vectorised};
use super::storage::{add_in_order, floats, map_chunks_mut, map_ranges, sizes, tensor, written};

/// A convolution of stride 1 that keeps the channels apart, as in ConvNeXt blocks.
///
/// # Shapes
/// - x: `[batch, height, width, channels]`
/// - weight: `[kernel_h, kernel_w, channels]`
/// - bias: `[channels]`
/// - padding: (vertical, horizontal) zeros on both sides
/// - output: `[batch, height + 2 * padding_h - kernel_h + 1, width + 2 * padding_w - kernel_w + 1, channels]`
///
/// # Panics
/// When the shapes do not fit or the kernel is larger than the padded picture.
pub fn depthwise_conv2d(x: Tensor<4>, weight: Tensor<3>, bias: Tensor<1>, padding: [usize; 2]) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let [kernel_h, kernel_w, _] = weight.dims();
    assert_eq!(weight.dims()[2], channels, "depthwise_conv2d: channels of x and weight differ");
    assert_eq!(bias.dims(), [channels], "depthwise_conv2d: channels of x and bias differ");
    let (padded_h, padded_w) = (height + 2 * padding[0], width + 2 * padding[1]);
    assert!(
        (1..=padded_h).contains(&kernel_h) && (1..=padded_w).contains(&kernel_w),
        "depthwise_conv2d: kernel {kernel_h}x{kernel_w} does not fit the padded picture {padded_h}x{padded_w}"
    );
    let window = Depthwise {
        batch,
        input: [height, width],
        output: [padded_h - kernel_h + 1, padded_w - kernel_w + 1],
        kernel: [kernel_h, kernel_w],
        padding,
        channels,
    };
    let can_flip = padding[0] < kernel_h && padding[1] < kernel_w;
    if runs_on(&x) && can_flip { fused!(window; x, weight, bias) } else { composite(x, weight, bias, window) }
}

fn composite(x: Tensor<4>, weight: Tensor<3>, bias: Tensor<1>, window: Depthwise) -> Tensor<4> {
    let Depthwise { output: [h_out, w_out], kernel, padding: [pad_h, pad_w], channels, .. } = window;
    let padded =
        if pad_h + pad_w > 0 { x.pad([(0, 0), (pad_h, pad_h), (pad_w, pad_w), (0, 0)], 0.0) } else { x };
    let mut sum = bias.reshape([1, 1, 1, channels]);
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            let tap = weight.clone().slice(s![ky..ky + 1, kx..kx + 1, ..]).reshape([1, 1, 1, channels]);
            sum = padded.clone().slice(s![.., ky..ky + h_out, kx..kx + w_out, ..]) * tap + sum;
        }
    }
    sum
}

/// The geometry, and the kernel.
#[derive(Clone, Copy, Debug)]
struct Depthwise {
    batch: usize,
    /// (height, width)
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    padding: [usize; 2],
    channels: usize,
}

impl Depthwise {
    /// The taps of an axis that fall into the picture when the output lies at `at`.
    fn taps(&self, axis: usize, at: usize) -> Range<usize> {
        let first = self.padding[axis].saturating_sub(at);
        let end = (self.input[axis] + self.padding[axis]).saturating_sub(at).min(self.kernel[axis]);
        first..end.max(first)
    }

    /// Columns of the output that tap `kx` reads from inside the picture.
    fn columns(&self, kx: usize) -> Range<usize> {
        let first = self.padding[1].saturating_sub(kx);
        let end = (self.input[1] + self.padding[1]).saturating_sub(kx).min(self.output[1]);
        first..end.max(first)
    }

    /// The convolution of a picture: row by row of the output, in parallel.
    fn convolve(&self, picture: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let [h_out, w_out] = self.output;
        let row_size = w_out * self.channels;
        // SAFETY: each chunk is a row of the output, all of which `convolve_row` writes
        unsafe {
            written(self.batch * h_out * row_size, |out| {
                map_chunks_mut(out, row_size.max(1), |at, out| {
                    let row_idx = at / row_size.max(1);
                    let sample = &picture[row_idx / h_out * self.picture_size()..][..self.picture_size()];
                    convolve_row(self, sample, weight, bias, row_idx % h_out, out);
                });
            })
        }
    }

    fn picture_size(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// The transposed convolution is a convolution of the gradient by the flipped kernel.
    fn flipped(&self) -> Self {
        Self {
            input: self.output,
            output: self.input,
            padding: [self.kernel[0] - 1 - self.padding[0], self.kernel[1] - 1 - self.padding[1]],
            ..*self
        }
    }
}

impl Kernel<3> for Depthwise {
    type Saved = (FlexTensor, FlexTensor);

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let y = self.convolve(floats(&x), floats(&weight), Some(floats(&bias)));
        let [h_out, w_out] = self.output;
        (tensor(y, [self.batch, h_out, w_out, self.channels]), (x, weight))
    }

    fn backward(
        &self,
        (x, weight): Self::Saved,
        grad: FlexTensor,
        [for_x, for_w, for_b]: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let (values, grads) = (floats(&x), floats(&grad));
        let dx = for_x.then(|| {
            let flipped: Vec<f32> = floats(&weight).rchunks_exact(self.channels).flatten().copied().collect();
            tensor(self.flipped().convolve(grads, &flipped, None), sizes::<4>(&x))
        });
        let dw = for_w.then(|| {
            let parts = map_ranges(self.batch, 1, |samples| {
                let mut dw = vec![0.0; self.kernel[0] * self.kernel[1] * self.channels];
                let size_out = self.output[0] * self.output[1] * self.channels;
                for sample_idx in samples {
                    let sample = &values[sample_idx * self.picture_size()..][..self.picture_size()];
                    weight_gradient(self, sample, &grads[sample_idx * size_out..][..size_out], &mut dw);
                }
                dw
            });
            tensor(add_in_order(parts), sizes::<3>(&weight))
        });
        let db = for_b.then(|| tensor(column_sums(grads, self.channels), [self.channels]));
        [dx, dw, db]
    }
}

/// Runs `$work` with zeroed sums for each block of channels: blocks of constant length, whose sums stay in
/// registers, then the rest.
macro_rules! for_each_block {
    ($channels:expr, |$at:ident, $sums:ident| $work:block) => {{
        let mut begin = 0;
        for_each_block!(@ 6 * LANES, $channels, begin, $at, $sums, $work);
        for_each_block!(@ 4 * LANES, $channels, begin, $at, $sums, $work);
        for_each_block!(@ 2 * LANES, $channels, begin, $at, $sums, $work);
        for_each_block!(@ LANES, $channels, begin, $at, $sums, $work);
        if begin < $channels {
            let $at = begin;
            let $sums = &mut [0.0_f32; LANES][..$channels - begin];
            $work
        }
    }};
    (@ $len:expr, $channels:expr, $begin:ident, $at:ident, $sums:ident, $work:block) => {
        while $begin + $len <= $channels {
            let $at = $begin;
            let $sums = &mut [0.0_f32; $len];
            $work
            $begin += $len;
        }
    };
}

vectorised! {
    /// One row of the output of one sample.
    fn convolve_row(
        window: &Depthwise,
        picture: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        y: usize,
        out: &mut [MaybeUninit<f32>],
    ) {
        let Depthwise { input: [_, width], kernel: [_, kernel_w], padding, channels, .. } = *window;
        for (x, out) in out.chunks_exact_mut(channels.max(1)).enumerate() {
            for_each_block!(channels, |at, sums| {
                let n = sums.len();
                if let Some(bias) = bias {
                    sums.copy_from_slice(&bias[at..at + n]);
                }
                for ky in window.taps(0, y) {
                    for kx in window.taps(1, x) {
                        let from = ((y + ky - padding[0]) * width + x + kx - padding[1]) * channels + at;
                        let tap = (ky * kernel_w + kx) * channels + at;
                        multiply_add(&picture[from..from + n], &weight[tap..tap + n], sums);
                    }
                }
                out[at..at + n].write_copy_of_slice(sums);
            });
        }
    }

    /// Adds the gradient of the weight from one sample.
    fn weight_gradient(window: &Depthwise, picture: &[f32], grad: &[f32], dw: &mut [f32]) {
        let Depthwise { input: [_, width], output: [h_out, w_out], kernel, padding, channels, .. } = *window;
        for (tap, dw) in dw.chunks_exact_mut(channels.max(1)).enumerate() {
            let (ky, kx) = (tap / kernel[1], tap % kernel[1]);
            for_each_block!(channels, |at, sums| {
                let n = sums.len();
                for y in (0..h_out).filter(|&y| window.taps(0, y).contains(&ky)) {
                    for x in window.columns(kx) {
                        let from = ((y + ky - padding[0]) * width + x + kx - padding[1]) * channels + at;
                        let to = (y * w_out + x) * channels + at;
                        multiply_add(&picture[from..from + n], &grad[to..to + n], sums);
                    }
                }
                for (dw, sum) in dw[at..].iter_mut().zip(sums.iter()) {
                    *dw += sum;
                }
            });
        }
    }
}

/// `sums += a * b`.
#[inline(always)]
fn multiply_add(a: &[f32], b: &[f32], sums: &mut [f32]) {
    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
        *sum = a.mul_add(*b, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::testing::{assert_agree, assert_differentiates, assert_reproducible, inputs};

    const TOLERANCE: f32 = 1e-5;

    #[derive(Clone, Copy)]
    struct Case {
        x: [usize; 4],
        kernel: [usize; 2],
        padding: [usize; 2],
    }

    impl Case {
        fn inputs(&self) -> Vec<Vec<f32>> {
            let channels = self.x[3];
            inputs(&[self.x.iter().product(), self.kernel[0] * self.kernel[1] * channels, channels])
        }

        fn convolve(&self, x: &[Tensor<1>], fused: bool) -> Tensor<1> {
            let [batch, height, width, channels] = self.x;
            let input = x[0].clone().reshape(self.x);
            let weight = x[1].clone().reshape([self.kernel[0], self.kernel[1], channels]);
            let y = if fused {
                depthwise_conv2d(input, weight, x[2].clone(), self.padding)
            } else {
                let output = [
                    height + 2 * self.padding[0] - self.kernel[0] + 1,
                    width + 2 * self.padding[1] - self.kernel[1] + 1,
                ];
                let window = Depthwise {
                    batch,
                    input: [height, width],
                    output,
                    kernel: self.kernel,
                    padding: self.padding,
                    channels,
                };
                composite(input, weight, x[2].clone(), window)
            };
            let n = y.dims().iter().product::<usize>();
            y.reshape([n])
        }
    }

    #[test]
    fn fused_agrees_with_composite() {
        for (x, kernel, padding) in [
            ([1, 1, 1, 1], [1, 1], [0, 0]),
            ([2, 5, 6, 3], [3, 3], [1, 1]),
            ([3, 8, 7, 65], [7, 7], [3, 3]),
            ([2, 9, 1, 70], [5, 1], [2, 0]),
            ([2, 3, 4, 128], [3, 2], [0, 1]),
            ([1, 2, 2, 5], [7, 7], [3, 3]),
            ([1, 2, 3, 4], [3, 3], [2, 2]),
        ] {
            let case = Case { x, kernel, padding };
            assert_agree(
                &case.inputs(),
                &|x| case.convolve(&x, true),
                &|x| case.convolve(&x, false),
                TOLERANCE,
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let case = Case { x: [2, 3, 4, 2], kernel: [3, 3], padding: [1, 1] };
        assert_differentiates(&case.inputs(), &|x| case.convolve(&x, true), 2e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        let case = Case { x: [5, 16, 16, 96], kernel: [7, 7], padding: [3, 3] };
        assert_reproducible(&case.inputs(), &|x| case.convolve(&x, true));
    }
}
