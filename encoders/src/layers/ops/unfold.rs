//! Patches of a picture as rows, so that a convolution is a product.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::kernel::{Kernel, fused, runs_on};
use super::storage::{floats, map_chunks_mut, rows_in_chunk, tensor, written};

/// The patches that a convolution reads, each as one row: a convolution is `unfold` and then
/// [`linear`](super::linear) with a weight `[kernel_h * kernel_w * channels, d_out]`. The backward pass adds each
/// patch's gradient back to where it was read.
///
/// A sequence is a picture of width 1.
///
/// # Shapes
/// - x: `[batch, height, width, channels]`
/// - kernel, stride, padding: (vertical, horizontal); the padding is zeros on both sides
/// - output: `[batch, h_out, w_out, kernel_h * kernel_w * channels]`, with
///   `h_out = (height + 2 * padding_h - kernel_h) / stride_h + 1`; a row is ordered `[kernel_h, kernel_w, channels]`
///
/// # Panics
/// When a stride is 0 or the kernel is larger than the padded picture.
pub fn unfold(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Tensor<4> {
    let window = Window::new(x.dims(), kernel, stride, padding);
    if runs_on(&x) { fused!(window; x) } else { composite(x, window) }
}

/// The geometry of an [`unfold`].
#[derive(Clone, Copy, Debug)]
struct Window {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    h_out: usize,
    w_out: usize,
}

impl Window {
    fn new(dims: [usize; 4], kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Self {
        let [batch, height, width, channels] = dims;
        let n_out = |size: usize, axis: usize| {
            let padded = size + 2 * padding[axis];
            assert!(stride[axis] > 0, "unfold: stride {stride:?}, expected at least 1");
            assert!(
                (1..=padded).contains(&kernel[axis]),
                "unfold: kernel {kernel:?} does not fit a padded size of {padded}"
            );
            (padded - kernel[axis]) / stride[axis] + 1
        };
        let (h_out, w_out) = (n_out(height, 0), n_out(width, 1));
        Self { batch, height, width, channels, kernel, stride, padding, h_out, w_out }
    }

    /// Elements of a patch.
    fn patch(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels
    }

    /// Calls `visit(in_patch, in_picture)` for each row of pixels of the patch at `(y, x)` that lies in the
    /// picture, with its elements in the patch and in the picture; they are equally long.
    fn for_each_run(&self, y: usize, x: usize, mut visit: impl FnMut(Range<usize>, Range<usize>)) {
        let Self { height, width, channels, kernel, stride, padding, .. } = *self;
        // the columns of the kernel that fall into the picture
        let left = x * stride[1];
        let first = padding[1].saturating_sub(left).min(kernel[1]);
        let end = (width + padding[1]).saturating_sub(left).min(kernel[1]);
        if first >= end {
            return;
        }
        for ky in 0..kernel[0] {
            let Some(row) = (y * stride[0] + ky).checked_sub(padding[0]).filter(|&row| row < height) else {
                continue;
            };
            let in_patch = (ky * kernel[1] + first) * channels..(ky * kernel[1] + end) * channels;
            let from = (row * width + left + first - padding[1]) * channels;
            visit(in_patch, from..from + (end - first) * channels);
        }
    }
}

impl Kernel<1> for Window {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let picture = self.height * self.width * self.channels;
        let (patch, per_sample) = (self.patch(), self.h_out * self.w_out);
        let values = floats(&x);
        // SAFETY: each chunk is whole patches; all of each is written, with zeros first where it leaves the picture
        let patches = unsafe {
            written(self.batch * per_sample * patch, |patches| {
                map_chunks_mut(patches, rows_in_chunk(patch) * patch.max(1), |at, patches| {
                    for (i, out) in patches.chunks_exact_mut(patch.max(1)).enumerate() {
                        let row_idx = at / patch + i;
                        let (sample, position) = (row_idx / per_sample, row_idx % per_sample);
                        let source = &values[sample * picture..][..picture];
                        let mut n_written = 0;
                        let (y, x) = (position / self.w_out, position % self.w_out);
                        self.for_each_run(y, x, |_, in_picture| n_written += in_picture.len());
                        if n_written < patch {
                            out.fill(MaybeUninit::new(0.0));
                        }
                        self.for_each_run(y, x, |in_patch, in_picture| {
                            out[in_patch].write_copy_of_slice(&source[in_picture]);
                        });
                    }
                });
            })
        };
        (tensor(patches, [self.batch, self.h_out, self.w_out, patch]), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let picture = self.height * self.width * self.channels;
        let (patch, per_sample) = (self.patch(), self.h_out * self.w_out);
        let grads = floats(&grad);
        let mut dx = vec![0.0; self.batch * picture];
        map_chunks_mut(&mut dx, picture.max(1), |at, dx| {
            let grads = &grads[at / picture.max(1) * per_sample * patch..][..per_sample * patch];
            for (position, grad) in grads.chunks_exact(patch.max(1)).enumerate() {
                self.for_each_run(position / self.w_out, position % self.w_out, |in_patch, in_picture| {
                    for (dx, grad) in dx[in_picture].iter_mut().zip(&grad[in_patch]) {
                        *dx += grad;
                    }
                });
            }
        });
        [Some(tensor(dx, [self.batch, self.height, self.width, self.channels]))]
    }
}

fn composite(x: Tensor<4>, window: Window) -> Tensor<4> {
    let Window { kernel, stride, padding: [pad_h, pad_w], h_out, w_out, .. } = window;
    let padded =
        if pad_h + pad_w > 0 { x.pad([(0, 0), (pad_h, pad_h), (pad_w, pad_w), (0, 0)], 0.0) } else { x };
    let mut taps = Vec::with_capacity(kernel[0] * kernel[1]);
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            let rows = ky..ky + (h_out - 1) * stride[0] + 1;
            let columns = kx..kx + (w_out - 1) * stride[1] + 1;
            taps.push(padded.clone().slice(s![.., rows;stride[0] as isize, columns;stride[1] as isize, ..]));
        }
    }
    Tensor::cat(taps, 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layers::ops::linear;
    use crate::layers::ops::testing::{
        assert_agree, assert_differentiates, assert_near, assert_reproducible, inputs, to_vec, values,
    };

    fn patches(
        x: &[Tensor<1>],
        dims: [usize; 4],
        [kernel, stride, padding]: [[usize; 2]; 3],
        fused: bool,
    ) -> Tensor<1> {
        let input = x[0].clone().reshape(dims);
        let y = if fused {
            unfold(input, kernel, stride, padding)
        } else {
            composite(input, Window::new(dims, kernel, stride, padding))
        };
        let n = y.dims().iter().product::<usize>();
        y.reshape([n])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn fused_agrees_with_composite(
            dims in [1_usize..4, 1_usize..9, 1_usize..9, 1_usize..5],
            kernel in [1_usize..5, 1_usize..5],
            stride in [1_usize..4, 1_usize..4],
            padding in [0_usize..4, 0_usize..4],
        ) {
            prop_assume!(kernel[0] <= dims[1] + 2 * padding[0] && kernel[1] <= dims[2] + 2 * padding[1]);
            let window = [kernel, stride, padding];
            let n = dims.iter().product();
            assert_agree(
                &inputs(&[n]),
                &|x| patches(&x, dims, window, true),
                &|x| patches(&x, dims, window, false),
                1e-6,
            );
        }
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let (dims, window) = ([1, 4, 3, 2], [[3, 2], [2, 1], [1, 1]]);
        assert_differentiates(&inputs(&[24]), &|x| patches(&x, dims, window, true), 1e-3);
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        let (dims, window) = ([3, 40, 40, 8], [[3, 3], [1, 1], [1, 1]]);
        assert_reproducible(&inputs(&[3 * 40 * 40 * 8]), &|x| patches(&x, dims, window, true));
    }

    #[test]
    fn unfold_and_linear_are_a_convolution() {
        let device = Device::flex();
        let picture =
            Tensor::<1>::from_floats(values(2 * 7 * 6 * 3, 1).as_slice(), &device).reshape([2, 7, 6, 3]);
        // [d_out, channels, kernel_h, kernel_w]
        let weight =
            Tensor::<1>::from_floats(values(5 * 3 * 3 * 2, 2).as_slice(), &device).reshape([5, 3, 3, 2]);
        let options = burn::tensor::ops::ConvOptions::new([2, 1], [1, 1], [1, 1], 1);
        let expected = burn::tensor::module::conv2d(
            picture.clone().permute([0, 3, 1, 2]),
            weight.clone(),
            None,
            options,
        );
        let rows = unfold(picture, [3, 2], [2, 1], [1, 1]);
        let got = linear(rows, weight.permute([2, 3, 1, 0]).reshape([18, 5]), None);
        assert_near(&to_vec(got), &to_vec(expected.permute([0, 2, 3, 1])), 1e-5, "convolution");
    }
}
