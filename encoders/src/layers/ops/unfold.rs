//! Patches of a picture as rows, so that a convolution is a product.

use burn::prelude::*;

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
    composite(x, window)
}

/// The geometry of an [`unfold`].
#[derive(Clone, Copy, Debug)]
struct Window {
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
        let [_, height, width, channels] = dims;
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
        Self { height, width, channels, kernel, stride, padding, h_out, w_out }
    }
}

fn composite(x: Tensor<4>, window: Window) -> Tensor<4> {
    let Window { kernel, stride, padding: [pad_h, pad_w], h_out, w_out, .. } = window;
    let padded = if pad_h + pad_w > 0 { x.pad([(0, 0), (pad_h, pad_h), (pad_w, pad_w), (0, 0)], 0.0) } else { x };
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
