use super::*;
use crate::layers::ops::testing::{
    Operation, assert_agree, assert_differentiates, assert_near, assert_reproducible, infer, inputs, run,
};

const TOLERANCE: f32 = 2e-5;

/// Which keys are padding, or a pattern of them with gaps, a row of all and a row of none.
fn padding(batch: usize, n_key: usize, with_gaps: bool) -> Vec<bool> {
    (0..batch * n_key)
        .map(|i| {
            let (sample_idx, key_idx) = (i / n_key, i % n_key);
            match sample_idx % 4 {
                0 => false,
                1 => key_idx >= n_key.div_ceil(2) || (with_gaps && key_idx % 3 == 1),
                2 => true,
                _ => key_idx % 2 == usize::from(with_gaps),
            }
        })
        .collect()
}

fn bools(values: &[bool], shape: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    n: usize,
    n_heads: usize,
    d_head: usize,
    n_prefix: usize,
    padding: Option<bool>,
}

impl Case {
    fn mask(&self, device: &Device) -> AttentionMask {
        let is_pad =
            self.padding.map(|gaps| bools(&padding(self.batch, self.n, gaps), [self.batch, self.n], device));
        AttentionMask { is_pad, n_prefix: self.n_prefix }
    }

    fn attend(&self, x: &[Tensor<1>], fused: bool) -> Tensor<1> {
        let d_model = self.n_heads * self.d_head;
        let qkv = x[0].clone().reshape([self.batch, self.n, 3 * d_model]);
        let mask = self.mask(&qkv.device());
        let run = if fused { attention } else { composite::attention };
        run(qkv, self.n_heads, &mask).reshape([self.batch * self.n * d_model])
    }

    fn inputs(&self) -> Vec<Vec<f32>> {
        inputs(&[self.batch * self.n * 3 * self.n_heads * self.d_head])
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [batch, n, n_heads, d_head] in
        [[1, 1, 1, 1], [1, 2, 3, 5], [4, 7, 2, 16], [5, 60, 4, 17], [2, 65, 1, 32], [4, 150, 2, 8]]
    {
        for n_prefix in [usize::MAX, 0, 1, n / 2, n] {
            for padding in [None, Some(false), Some(true)] {
                cases.push(Case { batch, n, n_heads, d_head, n_prefix, padding });
            }
        }
    }
    cases
}

#[test]
fn fused_agrees_with_composite_under_every_mask() {
    for case in cases() {
        assert_agree(&case.inputs(), &|x| case.attend(&x, true), &|x| case.attend(&x, false), TOLERANCE);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let case = Case { batch: 2, n: 5, n_heads: 2, d_head: 3, n_prefix: 2, padding: Some(true) };
    assert_differentiates(&case.inputs(), &|x| case.attend(&x, true), 2e-3);
}

#[test]
fn result_does_not_depend_on_threads() {
    let case = Case { batch: 5, n: 70, n_heads: 2, d_head: 24, n_prefix: 10, padding: Some(true) };
    assert_reproducible(&case.inputs(), &|x| case.attend(&x, true));
}

#[test]
fn rows_without_a_visible_key_are_zero_with_zero_gradient() {
    let case = Case { batch: 3, n: 9, n_heads: 2, d_head: 4, n_prefix: usize::MAX, padding: Some(false) };
    let got = run(&case.inputs(), &|x| case.attend(&x, true));
    // sample 2 is all padding
    let (size, size_in) = (9 * 8, 9 * 24);
    assert_eq!(got.output[2 * size..], vec![0.0; size]);
    assert_eq!(got.grads[0][2 * size_in..], vec![0.0; size_in]);
    assert!(got.output[..2 * size].iter().all(|value| value.is_finite() && *value != 0.0));
}

#[test]
fn content_of_padded_keys_changes_nothing() {
    let case = Case { batch: 4, n: 12, n_heads: 2, d_head: 6, n_prefix: 4, padding: Some(true) };
    let is_pad = padding(4, 12, true);
    let before = case.inputs();
    let mut after = before.clone();
    let (n, d_model) = (12, 12);
    for (i, value) in after[0].iter_mut().enumerate() {
        let is_key_or_value = i % (3 * d_model) >= d_model;
        if is_pad[i / (3 * d_model)] && is_key_or_value {
            *value = 1e3;
        }
    }
    assert_ne!(before, after);
    let attend: Operation = &|x| case.attend(&x, true);
    let (before, after) = (run(&before, attend), run(&after, attend));
    assert_eq!(before.output, after.output);
    for (i, (before, after)) in before.grads[0].iter().zip(&after.grads[0]).enumerate() {
        assert_eq!(before, after, "gradient at sample {}", i / (3 * d_model * n));
    }
}

#[test]
fn causal_rows_do_not_see_later_rows() {
    let case = Case { batch: 1, n: 80, n_heads: 2, d_head: 8, n_prefix: 20, padding: None };
    let before = case.inputs();
    let mut after = before.clone();
    let (row, width) = (50, 48);
    after[0][row * width..].iter_mut().for_each(|value| *value = -*value);
    let (before, after) =
        (infer(&before, &|x| case.attend(&x, true)), infer(&after, &|x| case.attend(&x, true)));
    assert_near(&after[..row * 16], &before[..row * 16], 0.0, "rows before the change");
    assert_ne!(before[row * 16..], after[row * 16..]);
}

fn cross(x: &[Tensor<1>], dims: [usize; 5], gaps: Option<bool>, fused: bool) -> Tensor<1> {
    let [batch, n_query, n_key, n_heads, d_head] = dims;
    let d_model = n_heads * d_head;
    let q = x[0].clone().reshape([batch, n_query, d_model]);
    let kv = x[1].clone().reshape([batch, n_key, 2 * d_model]);
    let is_pad = gaps.map(|gaps| bools(&padding(batch, n_key, gaps), [batch, n_key], &q.device()));
    let run = if fused { cross_attention } else { composite::cross_attention };
    run(q, kv, n_heads, is_pad).reshape([batch * n_query * d_model])
}

fn cross_inputs([batch, n_query, n_key, n_heads, d_head]: [usize; 5]) -> Vec<Vec<f32>> {
    inputs(&[batch * n_query * n_heads * d_head, batch * n_key * 2 * n_heads * d_head])
}

#[test]
fn fused_cross_attention_agrees_with_composite() {
    for dims in [[1, 1, 1, 1, 1], [4, 1, 9, 2, 5], [5, 3, 40, 4, 16], [2, 70, 33, 1, 24]] {
        for gaps in [None, Some(false), Some(true)] {
            assert_agree(
                &cross_inputs(dims),
                &|x| cross(&x, dims, gaps, true),
                &|x| cross(&x, dims, gaps, false),
                TOLERANCE,
            );
        }
    }
}

#[test]
fn cross_attention_gradients_agree_with_finite_differences() {
    let dims = [2, 3, 4, 1, 3];
    assert_differentiates(&cross_inputs(dims), &|x| cross(&x, dims, Some(true), true), 2e-3);
}

#[test]
fn cross_attention_does_not_depend_on_threads() {
    let dims = [4, 40, 90, 2, 32];
    assert_reproducible(&cross_inputs(dims), &|x| cross(&x, dims, Some(true), true));
}

#[test]
fn queries_without_any_key_give_zeros() {
    let q = Tensor::<3>::ones([2, 3, 8], &Device::flex());
    let kv = Tensor::<3>::zeros([2, 0, 16], &Device::flex());
    let y: Vec<f32> = cross_attention(q, kv, 2, None).into_data().iter::<f32>().collect();
    assert_eq!(y, [0.0; 48]);
}
