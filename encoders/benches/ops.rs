//! The fused operations beside plain tensor operations, forward and backward, at the sizes of this project's models.
//!
//! ```text
//! cargo bench -p triptych-encoders --bench ops
//! ```

use burn::nn::loss::CTCLossConfig;
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::{gelu, log_softmax, softmax};
use burn::tensor::module::{conv2d, embedding};
use burn::tensor::ops::ConvOptions;
use divan::Bencher;
use triptych_encoders::layers::ops::{self, AdamHyper, AttentionMask};

fn main() {
    divan::main();
}

/// Batch and tokens: text, picture, fused sequence, sound.
const SEQUENCES: [[usize; 2]; 4] = [[64, 16], [64, 36], [64, 60], [16, 300]];
const D_MODEL: usize = 192;
const D_FF: usize = 4 * D_MODEL;
const N_HEADS: usize = 6;

/// A tracked tensor.
fn random<const D: usize>(dims: [usize; D]) -> Tensor<D> {
    constant(dims).autodiff().require_grad()
}

fn constant<const D: usize>(dims: [usize; D]) -> Tensor<D> {
    Tensor::random(dims, Distribution::Normal(0.0, 0.5), &Device::flex())
}

fn tokens([batch, n]: [usize; 2], width: usize) -> Tensor<3> {
    random([batch, n, width])
}

/// Times the operation on tracked inputs, forward and backward.
macro_rules! step {
    ($bencher:expr, $($input:ident = $value:expr),* => $output:expr) => {{
        $(let $input = $value;)*
        $bencher.bench_local(|| {
            $(let $input = $input.clone();)*
            $output.sum().backward()
        });
    }};
}

/// Burn's linear layer on folded rows.
fn plain_linear(x: Tensor<3>, w: Tensor<2>, b: Tensor<1>) -> Tensor<3> {
    let ([batch, n, d_in], [_, d_out]) = (x.dims(), w.dims());
    (x.reshape([batch * n, d_in]).matmul(w) + b.unsqueeze()).reshape([batch, n, d_out])
}

fn is_pad([batch, n]: [usize; 2]) -> Tensor<2, Bool> {
    let hidden: Vec<bool> = (0..batch * n).map(|i| i % n >= n - i / n % 4).collect();
    Tensor::from_data(TensorData::new(hidden, [batch, n]), &Device::flex())
}

#[divan::bench_group(sample_count = 30)]
mod linear {
    use super::*;

    #[divan::bench(args = SEQUENCES)]
    fn fused(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL), w = random([D_MODEL, 3 * D_MODEL]), b = random([3 * D_MODEL]) => {
            ops::linear(x, w, Some(b))
        });
    }

    #[divan::bench(args = SEQUENCES)]
    fn plain(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL), w = random([D_MODEL, 3 * D_MODEL]), b = random([3 * D_MODEL]) => {
            plain_linear(x, w, b)
        });
    }
}

#[divan::bench_group(sample_count = 30)]
mod layer_norm {
    use super::*;

    #[divan::bench(args = SEQUENCES)]
    fn fused(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL), gamma = random([D_MODEL]), beta = random([D_MODEL]) => {
            ops::layer_norm(x, gamma, beta, 1e-5)
        });
    }

    #[divan::bench(args = SEQUENCES)]
    fn plain(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL), gamma = random([D_MODEL]), beta = random([D_MODEL]) => {
            let centred = x.clone() - x.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            centred / (variance + 1e-5).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
        });
    }
}

#[divan::bench_group(sample_count = 30)]
mod feed_forward {
    use super::*;

    #[divan::bench(args = SEQUENCES)]
    fn fused(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL),
                        w1 = random([D_MODEL, D_FF]),
                        b1 = random([D_FF]),
                        w2 = random([D_FF, D_MODEL]),
                        b2 = random([D_MODEL]) => ops::feed_forward(x, w1, b1, w2, b2, ops::Activation::Gelu));
    }

    #[divan::bench(args = SEQUENCES)]
    fn three_fused(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL),
                        w1 = random([D_MODEL, D_FF]),
                        b1 = random([D_FF]),
                        w2 = random([D_FF, D_MODEL]),
                        b2 = random([D_MODEL]) => {
            ops::linear(ops::activate(ops::linear(x, w1, Some(b1)), ops::Activation::Gelu), w2, Some(b2))
        });
    }

    #[divan::bench(args = SEQUENCES)]
    fn plain(bencher: Bencher, size: [usize; 2]) {
        step!(bencher, x = tokens(size, D_MODEL),
                        w1 = random([D_MODEL, D_FF]),
                        b1 = random([D_FF]),
                        w2 = random([D_FF, D_MODEL]),
                        b2 = random([D_MODEL]) => plain_linear(gelu(plain_linear(x, w1, b1)), w2, b2));
    }
}

#[divan::bench_group(sample_count = 30)]
mod attention {
    use super::*;

    #[divan::bench(args = SEQUENCES)]
    fn fused(bencher: Bencher, size: [usize; 2]) {
        let mask = AttentionMask::bidirectional(Some(is_pad(size)));
        step!(bencher, qkv = tokens(size, 3 * D_MODEL) => ops::attention(qkv, N_HEADS, &mask));
    }

    #[divan::bench(args = SEQUENCES)]
    fn fused_causal(bencher: Bencher, size: [usize; 2]) {
        let mask = AttentionMask::causal(Some(is_pad(size)));
        step!(bencher, qkv = tokens(size, 3 * D_MODEL) => ops::attention(qkv, N_HEADS, &mask));
    }

    #[divan::bench(args = SEQUENCES)]
    fn plain(bencher: Bencher, size: [usize; 2]) {
        let [batch, n] = size;
        let hidden = is_pad(size).reshape([batch, 1, 1, n]).expand([batch, N_HEADS, n, n]);
        step!(bencher, qkv = tokens(size, 3 * D_MODEL) => {
            let [q, k, v] = [0, 1, 2].map(|part| {
                let part = qkv.clone().narrow(2, part * D_MODEL, D_MODEL);
                part.reshape([batch, n, N_HEADS, D_MODEL / N_HEADS]).swap_dims(1, 2)
            });
            let scores = (q * (N_HEADS as f64 / D_MODEL as f64).sqrt()).matmul(k.swap_dims(2, 3));
            let p = softmax(scores.mask_fill(hidden.clone(), -1e30), 3);
            p.matmul(v).swap_dims(1, 2).reshape([batch, n, D_MODEL])
        });
    }
}

/// A convolution of 3 by 3 and stride 2: pictures, then spectrograms as pictures of width 1.
#[divan::bench_group(sample_count = 20)]
mod convolution {
    use super::*;

    const STEMS: [[usize; 5]; 2] = [[64, 48, 48, 3, 64], [16, 300, 1, 80, 192]];

    #[divan::bench(args = STEMS)]
    fn fused(bencher: Bencher, [batch, height, width, channels, d_out]: [usize; 5]) {
        let kernel_w = width.min(3);
        step!(bencher, x = random([batch, height, width, channels]),
                        w = random([3 * kernel_w * channels, d_out]),
                        b = random([d_out]) => {
            ops::linear(ops::unfold(x, [3, kernel_w], [2, kernel_w.min(2)], [1, kernel_w / 2]), w, Some(b))
        });
    }

    #[divan::bench(args = STEMS)]
    fn plain(bencher: Bencher, [batch, height, width, channels, d_out]: [usize; 5]) {
        let kernel_w = width.min(3);
        step!(bencher, x = random([batch, channels, height, width]),
                        w = random([d_out, channels, 3, kernel_w]),
                        b = random([d_out]) => {
            conv2d(x, w, Some(b), ConvOptions::new([2, kernel_w.min(2)], [1, kernel_w / 2], [1, 1], 1))
        });
    }
}

#[divan::bench_group(sample_count = 20)]
mod depthwise {
    use super::*;

    const BLOCKS: [[usize; 3]; 2] = [[64, 12, 96], [64, 6, 192]];

    #[divan::bench(args = BLOCKS)]
    fn fused(bencher: Bencher, [batch, size, channels]: [usize; 3]) {
        step!(bencher, x = random([batch, size, size, channels]),
                        w = random([7, 7, channels]),
                        b = random([channels]) => ops::depthwise_conv2d(x, w, b, [3, 3]));
    }

    #[divan::bench(args = BLOCKS)]
    fn plain(bencher: Bencher, [batch, size, channels]: [usize; 3]) {
        step!(bencher, x = random([batch, channels, size, size]),
                        w = random([channels, 1, 7, 7]),
                        b = random([channels]) => {
            conv2d(x, w, Some(b), ConvOptions::new([1, 1], [3, 3], [1, 1], channels))
        });
    }
}

/// Rows and classes; a third of the rows counts.
#[divan::bench_group(sample_count = 30)]
mod cross_entropy {
    use super::*;

    const ROWS: [[usize; 2]; 2] = [[1024, 1000], [1024, 8000]];

    fn labels([n, n_classes]: [usize; 2]) -> (Tensor<1, Int>, Tensor<1>) {
        let targets: Vec<i64> = (0..n).map(|i| (i * 7919 % n_classes) as i64).collect();
        let weight: Vec<f32> = (0..n).map(|i| if i % 3 == 0 { 1.0 } else { 0.0 }).collect();
        let device = Device::flex();
        (Tensor::from_ints(targets.as_slice(), &device), Tensor::from_floats(weight.as_slice(), &device))
    }

    #[divan::bench(args = ROWS)]
    fn fused(bencher: Bencher, size: [usize; 2]) {
        let (targets, weight) = labels(size);
        step!(bencher, logits = random(size) => {
            ops::cross_entropy(logits, targets.clone(), weight.clone(), 0.1)
        });
    }

    #[divan::bench(args = ROWS)]
    fn plain(bencher: Bencher, size @ [n, n_classes]: [usize; 2]) {
        let (targets, weight) = labels(size);
        step!(bencher, logits = random(size) => {
            let log_p = log_softmax(logits, 1);
            let of_target = log_p.clone().gather(1, targets.clone().reshape([n, 1]));
            let loss = of_target * -0.9 - log_p.sum_dim(1) * (0.1 / n_classes as f32);
            loss.reshape([n]) * weight.clone()
        });
    }
}

/// Batch, frames, labels, target length.
#[divan::bench_group(sample_count = 20)]
mod ctc {
    use super::*;

    const SAMPLES: [[usize; 4]; 3] = [[16, 75, 40, 20], [16, 150, 500, 40], [16, 500, 500, 64]];

    fn target(sample_idx: usize, n_labels: usize, length: usize) -> Vec<u32> {
        (0..length).map(|i| ((sample_idx * 13 + i * 7) % (n_labels - 1) + 1) as u32).collect()
    }

    #[divan::bench(args = SAMPLES)]
    fn fused(bencher: Bencher, [batch, n_frames, n_labels, length]: [usize; 4]) {
        let targets: Vec<_> = (0..batch).map(|i| target(i, n_labels, length)).collect();
        let lengths = vec![n_frames; batch];
        step!(bencher, logits = random([batch, n_frames, n_labels]) => ops::ctc_loss(logits, &lengths, &targets, 0));
    }

    #[divan::bench(args = SAMPLES)]
    fn plain(bencher: Bencher, [batch, n_frames, n_labels, length]: [usize; 4]) {
        let int = |values: Vec<u32>| Tensor::<1, Int>::from_ints(values.as_slice(), &Device::flex());
        let targets =
            int((0..batch).flat_map(|i| target(i, n_labels, length)).collect()).reshape([batch, length]);
        let (frames, lengths) = (int(vec![n_frames as u32; batch]), int(vec![length as u32; batch]));
        let loss = CTCLossConfig::new().with_zero_infinity(true).init();
        step!(bencher, logits = random([batch, n_frames, n_labels]) => {
            let log_p = log_softmax(logits, 2).swap_dims(0, 1);
            loss.forward(log_p, targets.clone(), frames.clone(), lengths.clone())
        });
    }
}

/// Elements of a parameter.
#[divan::bench_group(sample_count = 50)]
mod adamw {
    use super::*;

    const SIZES: [usize; 3] = [192, 150_000, 1_000_000];
    const HYPER: AdamHyper = AdamHyper {
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-6,
        lr: 1e-3,
        weight_decay: 0.1,
        step: 10,
        grad_scale: 0.5,
    };

    #[divan::bench(args = SIZES)]
    fn fused(bencher: Bencher, n: usize) {
        let grad = constant([n]);
        let mut state = Some((constant([n]), constant([n]), constant([n]).abs()));
        bencher.bench_local(|| {
            let (param, m, v) = state.take().expect("put back below");
            state = Some(ops::adamw_step(param, grad.clone(), m, v, HYPER));
        });
    }

    #[divan::bench(args = SIZES)]
    fn plain(bencher: Bencher, n: usize) {
        let grad = constant([n]);
        let mut state = Some((constant([n]), constant([n]), constant([n]).abs()));
        bencher.bench_local(|| {
            let (param, m, v): (Tensor<1>, Tensor<1>, Tensor<1>) = state.take().expect("put back below");
            let grad = grad.clone() * HYPER.grad_scale;
            let m = m * HYPER.beta1 + grad.clone() * (1.0 - HYPER.beta1);
            let v = v * HYPER.beta2 + grad.square() * (1.0 - HYPER.beta2);
            let update = m.clone() * 1.5e-3 / (v.clone().sqrt() * 1.2 + HYPER.eps);
            state = Some((param * (1.0 - HYPER.lr * HYPER.weight_decay) - update, m, v));
        });
    }
}

/// Burn's own lookup, for the decision not to write one.
#[divan::bench(sample_count = 30)]
fn embedding_of_burn(bencher: Bencher) {
    let ids: Vec<i64> = (0..64 * 16).map(|i| i * 7919 % 500).collect();
    let ids = Tensor::<1, Int>::from_ints(ids.as_slice(), &Device::flex()).reshape([64, 16]);
    step!(bencher, table = random([500, D_MODEL]) => embedding(table, ids.clone()));
}
