//! Depthwise convolution, channels last.

use burn::prelude::*;

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
    composite(x, weight, bias, padding)
}

fn composite(x: Tensor<4>, weight: Tensor<3>, bias: Tensor<1>, padding: [usize; 2]) -> Tensor<4> {
    let [_, height, width, channels] = x.dims();
    let [kernel_h, kernel_w, _] = weight.dims();
    assert_shape!(weight, [_, _, channels]);
    assert_shape!(bias, [channels]);
    let [pad_h, pad_w] = padding;
    let (padded_h, padded_w) = (height + 2 * pad_h, width + 2 * pad_w);
    assert!(
        kernel_h <= padded_h && kernel_w <= padded_w,
        "depthwise_conv2d: kernel {kernel_h}x{kernel_w} is larger than the padded picture {padded_h}x{padded_w}"
    );
    let (h_out, w_out) = (padded_h - kernel_h + 1, padded_w - kernel_w + 1);
    let padded = if pad_h + pad_w > 0 { x.pad([(0, 0), (pad_h, pad_h), (pad_w, pad_w), (0, 0)], 0.0) } else { x };
    let mut sum = bias.reshape([1, 1, 1, channels]);
    for ky in 0..kernel_h {
        for kx in 0..kernel_w {
            let tap = weight.clone().slice(s![ky..ky + 1, kx..kx + 1, ..]).reshape([1, 1, 1, channels]);
            sum = padded.clone().slice(s![.., ky..ky + h_out, kx..kx + w_out, ..]) * tap + sum;
        }
    }
    sum
}
