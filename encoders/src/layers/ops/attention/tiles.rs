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
use crate::layers::ops::storage::{floats, for_each_part, parts_mut, sizes, tensor, written};

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

/// The rows of one sample, among the rows of all samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SampleRows {
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
    /// Leading rows that see each other in both directions.
    pub(super) n_prefix: usize,
}

impl SampleRows {
    /// `batch` samples of equally many rows each.
    pub(super) fn equal(batch: usize, n_query: usize, n_key: usize, n_prefix: usize) -> Arc<[Self]> {
        let rows = |i: usize, n: usize| i * n..(i + 1) * n;
        (0..batch).map(|i| Self { queries: rows(i, n_query), keys: rows(i, n_key), n_prefix }).collect()
    }
}

/// The kernel: within a sequence on one tensor of packed queries, keys and values, across two on two.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub(super) n_heads: usize,
    pub(super) d_head: usize,
    /// In the order of their rows, without gaps.
    pub(super) samples: Arc<[SampleRows]>,
    pub(super) hidden: Option<Arc<HiddenKeys>>,
}

/// What the backward pass needs beside the inputs: `[n_heads, n_query]` of each sample, the logarithm of a row's sum of
/// exponentials; infinite where a row sees no key, so that its probabilities come out as 0.
type LogSums = Arc<[f32]>;

impl Kernel<1> for Attention {
    type Saved = (FlexTensor, LogSums);

    fn forward(&self, [qkv]: [FlexTensor; 1]) -> (FlexTensor, Self::Saved) {
        let (output, log_sums) = self.outputs([floats(&qkv), &[]], &self.packed());
        let [batch, n_tokens, _] = sizes(&qkv);
        (tensor(output, [batch, n_tokens, self.d_model()]), (qkv, log_sums))
    }

    fn backward(
        &self,
        (qkv, log_sums): Self::Saved,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let [d_qkv, _] = self.gradients([floats(&qkv), &[]], &log_sums, floats(&grad), &self.packed());
        [Some(tensor(d_qkv, qkv.layout().shape().clone()))]
    }
}

impl Kernel<2> for Attention {
    type Saved = (FlexTensor, FlexTensor, LogSums);

    fn forward(&self, [q, kv]: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let (output, log_sums) = self.outputs([floats(&q), floats(&kv)], &self.apart());
        (tensor(output, q.layout().shape().clone()), (q, kv, log_sums))
    }

    fn backward(
        &self,
        (q, kv, log_sums): Self::Saved,
        grad: FlexTensor,
        _: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [dq, dkv] = self.gradients([floats(&q), floats(&kv)], &log_sums, floats(&grad), &self.apart());
        let like = |values, input: FlexTensor| Some(tensor(values, input.layout().shape().clone()));
        [like(dq, q), like(dkv, kv)]
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
    /// Elements of a row of each tensor: of queries in the first, of keys in the second.
    widths: [usize; 2],
}

impl Attention {
    fn d_model(&self) -> usize {
        self.n_heads * self.d_head
    }

    fn packed(&self) -> Layout {
        let d_model = self.d_model();
        let part = |i| Part { source: 0, offset: i * d_model, stride: 3 * d_model };
        Layout { q: part(0), k: part(1), v: part(2), widths: [3 * d_model, 0] }
    }

    fn apart(&self) -> Layout {
        let d_model = self.d_model();
        let part = |i| Part { source: 1, offset: i * d_model, stride: 2 * d_model };
        Layout {
            q: Part { source: 0, offset: 0, stride: d_model },
            k: part(0),
            v: part(1),
            widths: [d_model, 2 * d_model],
        }
    }

    fn is_heavy(&self) -> bool {
        let n_scores = |sample: &SampleRows| sample.queries.len() * sample.keys.len();
        self.samples.iter().map(n_scores).sum::<usize>() * self.d_model() >= PARALLEL_FROM
    }

    fn n_queries(&self) -> usize {
        self.samples.last().map_or(0, |sample| sample.queries.end)
    }

    fn n_keys(&self) -> usize {
        self.samples.last().map_or(0, |sample| sample.keys.end)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    fn outputs(&self, inputs: [&[f32]; 2], layout: &Layout) -> (Vec<f32>, LogSums) {
        let (d_model, n_heads) = (self.d_model(), self.n_heads);
        let mut log_sums = vec![0.0; n_heads * self.n_queries()];
        let sizes = self.samples.iter().map(|sample| sample.queries.len() * d_model);
        let sizes_of_sums = self.samples.iter().map(|sample| sample.queries.len() * n_heads);
        // SAFETY: every tile of every head writes its rows and columns, and together they are the whole output
        let output = unsafe {
            written(self.n_queries() * d_model, |output| {
                let parts = parts_mut(output, sizes).zip(parts_mut(&mut log_sums, sizes_of_sums));
                for_each_part(parts.collect(), self.is_heavy(), |sample_idx, (output, log_sums)| {
                    self.sample(inputs, layout, sample_idx).forward(output, log_sums);
                });
            })
        };
        (output, log_sums.into())
    }

    fn gradients(
        &self,
        inputs: [&[f32]; 2],
        log_sums: &[f32],
        grad: &[f32],
        layout: &Layout,
    ) -> [Vec<f32>; 2] {
        let [width_0, width_1] = layout.widths;
        let sizes_0 = self.samples.iter().map(|sample| sample.queries.len() * width_0);
        let sizes_1 = self.samples.iter().map(|sample| sample.keys.len() * width_1);
        let mut d_0 = Vec::new();
        // SAFETY: each sample fills its part of both buffers with zeros before anything else
        let d_1 = unsafe {
            written(self.n_keys() * width_1, |d_1| {
                d_0 = written(self.n_queries() * width_0, |d_0| {
                    let parts = parts_mut(d_0, sizes_0).zip(parts_mut(d_1, sizes_1));
                    for_each_part(parts.collect(), self.is_heavy(), |sample_idx, (d_0, d_1)| {
                        d_0.fill(MaybeUninit::new(0.0));
                        d_1.fill(MaybeUninit::new(0.0));
                        let queries = &self.samples[sample_idx].queries;
                        let log_sums = &log_sums[self.n_heads * queries.start..self.n_heads * queries.end];
                        let grad = &grad[queries.start * self.d_model()..queries.end * self.d_model()];
                        let grads = [d_0.assume_init_mut(), d_1.assume_init_mut()];
                        self.sample(inputs, layout, sample_idx).backward(log_sums, grad, grads);
                    });
                });
            })
        };
        [d_0, d_1]
    }

    fn sample<'a>(&'a self, inputs: [&'a [f32]; 2], layout: &'a Layout, sample_idx: usize) -> Sample<'a> {
        let rows = &self.samples[sample_idx];
        let part = |i: usize, rows: &Range<usize>| {
            let width = layout.widths[i];
            &inputs[i][rows.start * width..rows.end * width]
        };
        let mut sample = Sample {
            attention: self,
            layout,
            inputs: [part(0, &rows.queries), part(1, &rows.keys)],
            n_query: rows.queries.len(),
            visible: Visible { n_prefix: rows.n_prefix, n_key: rows.keys.len() },
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
    n_query: usize,
    visible: Visible,
    /// Added to the scores where a key between visible ones is hidden.
    bias: Option<&'a [f32]>,
}

impl Sample<'_> {
    /// The tiles of queries, each with the number of keys that any of its rows sees.
    fn tiles(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let n_query = self.n_query;
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
        vec![0.0; TILE.min(self.n_query) * Self::stride(self.visible.n_key)]
    }

    fn sight(&self, rows: &Range<usize>) -> Sight<'_> {
        Sight { visible: self.visible, first_row: rows.start, bias: self.bias }
    }

    /// `[n_query, d_model]` and `[n_heads, n_query]`.
    fn forward(&self, output: &mut [MaybeUninit<f32>], log_sums: &mut [f32]) {
        let (Attention { n_heads, d_head, .. }, n_query) = (self.attention, self.n_query);
        let (n_heads, d_head) = (*n_heads, *d_head);
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
        let (Attention { n_heads, d_head, .. }, n_query) = (self.attention, self.n_query);
        let (n_heads, d_head) = (*n_heads, *d_head);
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
                for score in scores {
                    *score *= inverse;
                }
            }
            *log_sum = largest + total.ln();
        }
    }

    /// The same probabilities again, from the saved logarithms.
    fn probabilities(scores: &mut [f32], stride: usize, sight: Sight, log_sums: &[f32]) {
        for (i, (row, log_sum)) in scores.chunks_exact_mut(stride).zip(log_sums).enumerate() {
            for scores in visible_lanes(row, sight, i) {
                for score in scores {
                    *score = simd::exp(*score - log_sum);
                }
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
