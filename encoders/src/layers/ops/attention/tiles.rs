//! Attention on flex, one sample a task, by tiles of queries: the score matrix exists a tile at a time, and the
//! backward pass computes it again from the saved row sums.
//!
//! # Reference
//! Dao et al. 2022, "FlashAttention": the recomputing backward pass. The forward pass here sees all keys of a tile
//! at once, so that no running maximum is needed.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;

use super::mask::AttentionMask;
use crate::layers::ops::kernel::Kernel;
use crate::layers::ops::matrix::{Matrix, MatrixMut, Threads};
use crate::layers::ops::simd::{self, LANES, vectorised};
use crate::layers::ops::storage::{floats, for_each_sample, tensor, written};

/// Queries of a tile.
const TILE: usize = 64;
/// Fewer multiplications than this stay on one thread.
const PARALLEL_FROM: usize = 1 << 18;

/// The keys that no query of a sample sees.
#[derive(Debug)]
pub(super) struct HiddenKeys {
    /// `[batch, n_key]`: what is added to a score, 0 or minus infinity.
    bias: Vec<f32>,
    /// A sample's keys up to its last visible one.
    n_seen: Vec<usize>,
    /// Whether a key before a sample's last visible one is hidden.
    has_gaps: Vec<bool>,
    n_key: usize,
}

impl HiddenKeys {
    /// `None` when nothing is hidden.
    pub(super) fn new(is_pad: &[bool], n_key: usize) -> Option<Self> {
        if !is_pad.contains(&true) {
            return None;
        }
        let bias = is_pad.iter().map(|&hidden| if hidden { f32::NEG_INFINITY } else { 0.0 }).collect();
        let samples = || is_pad.chunks_exact(n_key);
        let n_seen: Vec<usize> =
            samples().map(|row| row.iter().rposition(|hidden| !hidden).map_or(0, |last| last + 1)).collect();
        let has_gaps = samples().zip(&n_seen).map(|(row, &n_seen)| row[..n_seen].contains(&true)).collect();
        Some(Self { bias, n_seen, has_gaps, n_key })
    }
}

/// The kernel: within a sequence on one tensor of packed queries, keys and values, across two on two.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub(super) batch: usize,
    pub(super) n_heads: usize,
    pub(super) d_head: usize,
    pub(super) n_query: usize,
    pub(super) n_key: usize,
    pub(super) n_prefix: usize,
    pub(super) hidden: Option<Arc<HiddenKeys>>,
}

/// What the backward pass needs beside the inputs: `[batch, n_heads, n_query]`, the logarithm of a row's sum of
/// exponentials; infinite where a row sees no key, so that its probabilities come out as 0.
type LogSums = Arc<[f32]>;

impl Kernel<1> for Attention {
    type Saved = (FlexTensor, LogSums);

    fn forward(&self, [qkv]: [FlexTensor; 1]) -> (FlexTensor, Self::Saved) {
        let (output, log_sums) = self.outputs([floats(&qkv), &[]], &self.packed());
        (output, (qkv, log_sums))
    }

    fn backward(
        &self,
        (qkv, log_sums): Self::Saved,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let [d_qkv, _] = self.gradients([floats(&qkv), &[]], &log_sums, floats(&grad), &self.packed());
        [Some(tensor(d_qkv, [self.batch, self.n_query, 3 * self.d_model()]))]
    }
}

impl Kernel<2> for Attention {
    type Saved = (FlexTensor, FlexTensor, LogSums);

    fn forward(&self, [q, kv]: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let (output, log_sums) = self.outputs([floats(&q), floats(&kv)], &self.apart());
        (output, (q, kv, log_sums))
    }

    fn backward(
        &self,
        (q, kv, log_sums): Self::Saved,
        grad: FlexTensor,
        _: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [dq, dkv] = self.gradients([floats(&q), floats(&kv)], &log_sums, floats(&grad), &self.apart());
        let dq = tensor(dq, [self.batch, self.n_query, self.d_model()]);
        [Some(dq), Some(tensor(dkv, [self.batch, self.n_key, 2 * self.d_model()]))]
    }
}

/// Where the rows of queries, keys or values of one sample lie.
#[derive(Clone, Copy)]
struct Part {
    /// Index of the tensor.
    source: usize,
    /// Of the first head's first row.
    offset: usize,
    /// From row to row.
    stride: usize,
}

struct Layout {
    q: Part,
    k: Part,
    v: Part,
    /// Elements of a sample in each tensor.
    sizes: [usize; 2],
}

impl Attention {
    fn d_model(&self) -> usize {
        self.n_heads * self.d_head
    }

    fn packed(&self) -> Layout {
        let d_model = self.d_model();
        let part = |i| Part { source: 0, offset: i * d_model, stride: 3 * d_model };
        Layout { q: part(0), k: part(1), v: part(2), sizes: [self.n_query * 3 * d_model, 0] }
    }

    fn apart(&self) -> Layout {
        let d_model = self.d_model();
        let part = |i| Part { source: 1, offset: i * d_model, stride: 2 * d_model };
        Layout {
            q: Part { source: 0, offset: 0, stride: d_model },
            k: part(0),
            v: part(1),
            sizes: [self.n_query * d_model, self.n_key * 2 * d_model],
        }
    }

    fn is_heavy(&self) -> bool {
        self.batch * self.n_heads * self.n_query * self.n_key * self.d_head >= PARALLEL_FROM
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    fn outputs(&self, inputs: [&[f32]; 2], layout: &Layout) -> (FlexTensor, LogSums) {
        let d_model = self.d_model();
        let mut log_sums = vec![0.0; self.batch * self.n_heads * self.n_query];
        // SAFETY: every tile of every head writes its rows and columns, and together they are the whole output
        let output = unsafe {
            written(self.batch * self.n_query * d_model, |output| {
                for_each_sample(
                    self.batch,
                    output,
                    &mut log_sums,
                    self.is_heavy(),
                    |sample_idx, output, log_sums| {
                        self.sample(inputs, layout, sample_idx).forward(output, log_sums);
                    },
                );
            })
        };
        (tensor(output, [self.batch, self.n_query, d_model]), log_sums.into())
    }

    fn gradients(
        &self,
        inputs: [&[f32]; 2],
        log_sums: &[f32],
        grad: &[f32],
        layout: &Layout,
    ) -> [Vec<f32>; 2] {
        let [size_0, size_1] = layout.sizes;
        let mut d_0 = Vec::new();
        // SAFETY: each sample fills its part of both buffers with zeros before anything else
        let d_1 = unsafe {
            written(self.batch * size_1, |d_1| {
                d_0 = written(self.batch * size_0, |d_0| {
                    for_each_sample(self.batch, d_0, d_1, self.is_heavy(), |sample_idx, d_0, d_1| {
                        d_0.fill(MaybeUninit::new(0.0));
                        d_1.fill(MaybeUninit::new(0.0));
                        let n_rows = self.n_heads * self.n_query;
                        let log_sums = &log_sums[sample_idx * n_rows..][..n_rows];
                        let grad = &grad[sample_idx * self.n_query * self.d_model()..];
                        let grads = [d_0.assume_init_mut(), d_1.assume_init_mut()];
                        self.sample(inputs, layout, sample_idx).backward(log_sums, grad, grads);
                    });
                });
            })
        };
        [d_0, d_1]
    }

    fn sample<'a>(&'a self, inputs: [&'a [f32]; 2], layout: &'a Layout, sample_idx: usize) -> Sample<'a> {
        let mut sample = Sample {
            attention: self,
            layout,
            inputs: std::array::from_fn(|i| &inputs[i][sample_idx * layout.sizes[i]..][..layout.sizes[i]]),
            visible: Visible { n_prefix: self.n_prefix, n_key: self.n_key },
            bias: None,
        };
        if let Some(hidden) = &self.hidden {
            sample.visible.n_key = hidden.n_seen[sample_idx];
            if hidden.has_gaps[sample_idx] {
                sample.bias = Some(&hidden.bias[sample_idx * hidden.n_key..][..hidden.n_key]);
            }
        }
        sample
    }
}

/// The order of a sample's keys and queries.
#[derive(Clone, Copy)]
struct Visible {
    n_prefix: usize,
    /// Keys up to the last visible one.
    n_key: usize,
}

impl Visible {
    /// Keys that a row may see.
    #[inline(always)]
    fn limit(self, row_idx: usize) -> usize {
        AttentionMask::n_visible(self.n_prefix, self.n_key, row_idx)
    }
}

/// What the rows of a tile see.
#[derive(Clone, Copy)]
struct Sight<'a> {
    visible: Visible,
    first_row: usize,
    /// Added to the scores where a key between visible ones is hidden.
    bias: Option<&'a [f32]>,
}

/// One row of the batch.
struct Sample<'a> {
    attention: &'a Attention,
    layout: &'a Layout,
    inputs: [&'a [f32]; 2],
    visible: Visible,
    /// Added to the scores where a key between visible ones is hidden.
    bias: Option<&'a [f32]>,
}

impl Sample<'_> {
    /// The tiles of queries, each with the number of keys that any of its rows sees.
    fn tiles(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let n_query = self.attention.n_query;
        (0..n_query).step_by(TILE).map(move |start| {
            let rows = start..(start + TILE).min(n_query);
            let n_key = self.visible.limit(rows.end - 1);
            (rows, n_key)
        })
    }

    /// Rows of one head of queries, keys or values.
    fn rows(&self, part: Part, head_idx: usize, rows: Range<usize>) -> Matrix<'_> {
        let d_head = self.attention.d_head;
        if rows.is_empty() {
            return Matrix::new(&[], 0, d_head);
        }
        let begin = part.offset + head_idx * d_head + rows.start * part.stride;
        Matrix::strided(&self.inputs[part.source][begin..], rows.len(), d_head, part.stride)
    }

    /// The same rows in the gradients.
    fn rows_mut<'g>(
        &self,
        grads: &'g mut [&mut [f32]; 2],
        part: Part,
        head_idx: usize,
        rows: Range<usize>,
    ) -> MatrixMut<'g> {
        let d_head = self.attention.d_head;
        if rows.is_empty() {
            return MatrixMut::new(&mut [], 0, d_head);
        }
        let begin = part.offset + head_idx * d_head + rows.start * part.stride;
        MatrixMut::strided(&mut grads[part.source][begin..], rows.len(), d_head, part.stride)
    }

    /// Of the rows of a score matrix: whole lanes, so that no loop has a remainder.
    fn stride(n_key: usize) -> usize {
        n_key.next_multiple_of(LANES).max(LANES)
    }

    fn scratch(&self) -> Vec<f32> {
        vec![0.0; TILE.min(self.attention.n_query) * Self::stride(self.visible.n_key)]
    }

    fn sight(&self, rows: &Range<usize>) -> Sight<'_> {
        Sight { visible: self.visible, first_row: rows.start, bias: self.bias }
    }

    /// `[n_query, d_model]` and `[n_heads, n_query]`.
    fn forward(&self, output: &mut [MaybeUninit<f32>], log_sums: &mut [f32]) {
        let Attention { n_heads, d_head, n_query, .. } = *self.attention;
        let d_model = n_heads * d_head;
        let mut scratch = self.scratch();
        for head_idx in 0..n_heads {
            for (rows, n_key) in self.tiles() {
                let stride = Self::stride(n_key);
                let scores = &mut scratch[..rows.len() * stride];
                self.scores(scores, head_idx, rows.clone(), n_key);
                softmax(scores, stride, self.sight(&rows), &mut log_sums[head_idx * n_query..][rows.clone()]);
                let output = &mut output[rows.start * d_model + head_idx * d_head..];
                MatrixMut::unwritten(output, rows.len(), d_head, d_model).assign_product(
                    Matrix::strided(scores, rows.len(), n_key, stride),
                    self.rows(self.layout.v, head_idx, 0..n_key),
                    1.0,
                    Threads::One,
                );
            }
        }
    }

    /// `q kᵀ * scale` of a tile.
    fn scores(&self, scores: &mut [f32], head_idx: usize, rows: Range<usize>, n_key: usize) {
        let Layout { q, k, .. } = *self.layout;
        MatrixMut::strided(scores, rows.len(), n_key, Self::stride(n_key)).assign_product(
            self.rows(q, head_idx, rows),
            self.rows(k, head_idx, 0..n_key).t(),
            self.attention.scale(),
            Threads::One,
        );
    }

    /// With `p` the probabilities and `g` the gradient of the output: `dv = pᵀ g`,
    /// `ds = p * (g vᵀ - rowsum(p * g vᵀ))`, `dq = ds k * scale`, `dk = dsᵀ q * scale`. `grads` hold zeros on entry.
    fn backward(&self, log_sums: &[f32], grad: &[f32], mut grads: [&mut [f32]; 2]) {
        let Attention { n_heads, d_head, n_query, .. } = *self.attention;
        let Layout { q, k, v, .. } = *self.layout;
        let (d_model, scale) = (n_heads * d_head, self.attention.scale());
        let (mut scratch_p, mut scratch_ds) = (self.scratch(), self.scratch());
        for head_idx in 0..n_heads {
            for (rows, n_key) in self.tiles() {
                let (n_rows, stride) = (rows.len(), Self::stride(n_key));
                let (p, ds) = (&mut scratch_p[..n_rows * stride], &mut scratch_ds[..n_rows * stride]);
                self.scores(p, head_idx, rows.clone(), n_key);
                probabilities(p, stride, self.sight(&rows), &log_sums[head_idx * n_query..][rows.clone()]);
                let g = &grad[rows.start * d_model + head_idx * d_head..];
                let g = Matrix::strided(g, n_rows, d_head, d_model);
                let p_t = Matrix::strided(p, n_rows, n_key, stride).t();
                self.rows_mut(&mut grads, v, head_idx, 0..n_key).add_product(p_t, g, 1.0, Threads::One);
                let values_t = self.rows(v, head_idx, 0..n_key).t();
                MatrixMut::strided(ds, n_rows, n_key, stride).assign_product(g, values_t, 1.0, Threads::One);
                score_gradient(p, ds, stride, n_key);
                let ds = Matrix::strided(ds, n_rows, n_key, stride);
                let keys = self.rows(k, head_idx, 0..n_key);
                self.rows_mut(&mut grads, q, head_idx, rows.clone()).assign_product(
                    ds,
                    keys,
                    scale,
                    Threads::One,
                );
                let queries = self.rows(q, head_idx, rows);
                self.rows_mut(&mut grads, k, head_idx, 0..n_key).add_product(
                    ds.t(),
                    queries,
                    scale,
                    Threads::One,
                );
            }
        }
    }
}

vectorised! {
    /// The softmax of each row's visible scores in place, zeros behind them. `log_sums` receives the logarithm of a
    /// row's sum of exponentials, or infinity where it sees no key.
    fn softmax(scores: &mut [f32], stride: usize, sight: Sight, log_sums: &mut [f32]) {
        for (i, (row, log_sum)) in scores.chunks_exact_mut(stride).zip(log_sums).enumerate() {
            let seen = visible_lanes(row, sight, i);
            let mut largest = [f32::NEG_INFINITY; LANES];
            for scores in seen.iter() {
                for lane in 0..LANES {
                    largest[lane] = if scores[lane] > largest[lane] { scores[lane] } else { largest[lane] };
                }
            }
            let largest = simd::max(&largest);
            if largest == f32::NEG_INFINITY {
                seen.fill([0.0; LANES]);
                *log_sum = f32::INFINITY;
                continue;
            }
            let mut total = [0.0; LANES];
            for scores in seen.iter_mut() {
                for lane in 0..LANES {
                    scores[lane] = simd::exp(scores[lane] - largest);
                    total[lane] += scores[lane];
                }
            }
            let total = simd::add_lanes(total);
            let inverse = 1.0 / total;
            for scores in seen {
                scores.iter_mut().for_each(|score| *score *= inverse);
            }
            *log_sum = largest + total.ln();
        }
    }

    /// The same probabilities again, from the saved logarithms.
    fn probabilities(scores: &mut [f32], stride: usize, sight: Sight, log_sums: &[f32]) {
        for (i, (row, log_sum)) in scores.chunks_exact_mut(stride).zip(log_sums).enumerate() {
            for scores in visible_lanes(row, sight, i) {
                scores.iter_mut().for_each(|score| *score = simd::exp(*score - log_sum));
            }
        }
    }

    /// From the gradient of the probabilities to that of the scores, in place.
    fn score_gradient(p: &[f32], ds: &mut [f32], stride: usize, n_key: usize) {
        for (p, ds) in p.chunks_exact(stride).zip(ds.chunks_exact_mut(stride)) {
            ds[n_key..].fill(0.0);
            let (p, ds) = (p.as_chunks::<LANES>().0, ds.as_chunks_mut::<LANES>().0);
            let mut mean = [0.0; LANES];
            for (p, ds) in p.iter().zip(ds.iter()) {
                for lane in 0..LANES {
                    mean[lane] = p[lane].mul_add(ds[lane], mean[lane]);
                }
            }
            let mean = simd::add_lanes(mean);
            for (p, ds) in p.iter().zip(ds) {
                for lane in 0..LANES {
                    ds[lane] = p[lane] * (ds[lane] - mean);
                }
            }
        }
    }
}

/// The scores of a row up to its last visible one, rounded up to whole lanes, with minus infinity for whatever it
/// does not see; zeros behind.
#[inline(always)]
fn visible_lanes<'r>(row: &'r mut [f32], sight: Sight, i: usize) -> &'r mut [[f32; LANES]] {
    let limit = sight.visible.limit(sight.first_row + i);
    let (seen, unseen) = row.split_at_mut(limit.next_multiple_of(LANES));
    seen[limit..].fill(f32::NEG_INFINITY);
    unseen.fill(0.0);
    if let Some(bias) = sight.bias {
        for (score, bias) in seen.iter_mut().zip(&bias[..limit]) {
            *score += bias;
        }
    }
    seen.as_chunks_mut().0
}
