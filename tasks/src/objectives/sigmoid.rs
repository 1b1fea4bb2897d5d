//! Sigmoid contrast between two modalities: every pair of the batch is judged by itself, true or not.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;

use super::compared::{Compared, compared, mean};
use super::linearised::Linearised;
use super::options::{self, OptionError, Options};
use super::{Objective, Requirement, StepContext};
use crate::heads::pair::Pair;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct SigmoidOptions {
    /// Rows that are compared with all others at a time: decides the memory, and nothing but the rounding.
    chunk_rows: usize,
}

const DEFAULTS: SigmoidOptions = SigmoidOptions { chunk_rows: 256 };

/// Pictures with their texts, by what they mean.
pub(super) const IMAGE_TEXT: Sigmoid = Sigmoid {
    name: "sigmoid_image_text",
    about: "sigmoid contrast between pictures and texts",
    pair: Pair::ImageText,
    options: DEFAULTS,
};

/// Sounds with their texts, by how they are said.
pub(super) const AUDIO_TEXT: Sigmoid = Sigmoid {
    name: "sigmoid_audio_text",
    about: "sigmoid contrast between sounds and texts",
    pair: Pair::AudioText,
    options: DEFAULTS,
};

/// Pictures with their sounds, by what they mean.
pub(super) const IMAGE_AUDIO: Sigmoid = Sigmoid {
    name: "sigmoid_image_audio",
    about: "sigmoid contrast between pictures and sounds",
    pair: Pair::ImageAudio,
    options: DEFAULTS,
};

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct Sigmoid {
    name: &'static str,
    about: &'static str,
    pair: Pair,
    options: SigmoidOptions,
}

impl Objective for Sigmoid {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.pair.modalities()
    }

    fn requires(&self) -> &'static [Requirement] {
        &[Requirement::SigmoidHead]
    }

    fn embeds(&self) -> Option<&'static [Modality]> {
        Some(self.pair.modalities())
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options = options::given(&self.options, given)?;
        if options.chunk_rows == 0 {
            return Err(OptionError::new("chunk_rows", "at least 1"));
        }
        Ok(Box::new(Self { options, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.sigmoid.as_ref()?;
        let own = |of_all: &Param<Tensor<1>>| of_all.val().narrow(0, self.pair.idx(), 1);
        let losses = compared(context, self.pair)?.into_iter().map(|Compared { sides: [a, b], .. }| {
            sigmoid_contrast(a, b, own(&head.log_scale), own(&head.bias), self.options.chunk_rows)
        });
        mean(losses.collect())
    }
}

/// `-(1/n) Σᵢⱼ log σ(zᵢⱼ (s·aᵢ·bⱼ + bias))` with `s = exp(log_scale)`, `z` 1 on the diagonal and -1 elsewhere.
///
/// No matrix of `n` times `n` is kept: `chunk_rows` rows are compared at a time, and the gradients, which are known in
/// closed form, are summed up on the way: those at `a`, `b`, `log_scale` and `bias`. The value depends on the size of a
/// chunk by rounding alone.
///
/// # Shapes
/// Unit vectors `[n, d]` and `[n, d]`, `log_scale` `[1]`, `bias` `[1]` -> `[1]`
///
/// # Panics
/// When the numbers of rows differ or `chunk_rows` is 0.
///
/// # Reference
/// Zhai et al. 2023, "Sigmoid loss for language image pre-training", algorithm 1; big_vision `siglip.py`, for its scale
/// and bias, which start at 10 and -10.
pub fn sigmoid_contrast(
    a: Tensor<2>,
    b: Tensor<2>,
    log_scale: Tensor<1>,
    bias: Tensor<1>,
    chunk_rows: usize,
) -> Tensor<1> {
    let [n, d] = a.dims();
    assert_eq!(b.dims(), [n, d], "sigmoid_contrast: embeddings of the two sides differ in number or width");
    assert!(chunk_rows > 0, "sigmoid_contrast: a chunk has at least one row");
    let device = a.device();
    let (rows, columns) = (a.clone().detach(), b.clone().detach());
    let scale = log_scale.clone().detach().exp().reshape([1, 1]);
    let shift = bias.clone().detach().reshape([1, 1]);
    let mut value = Tensor::<1>::zeros([1], &device);
    let mut by_a = Vec::with_capacity(n.div_ceil(chunk_rows));
    let mut by_b = columns.zeros_like();
    let (mut by_scale, mut by_bias) = (value.clone(), value.clone());
    for start in (0..n).step_by(chunk_rows) {
        let len = chunk_rows.min(n - start);
        let chunk = rows.clone().narrow(0, start, len);
        // [len, n]
        let scaled = chunk.clone().matmul(columns.clone().transpose()) * scale.clone();
        let sign = signs(start..start + len, n, &device);
        let signed = (scaled.clone() + shift.clone()) * sign.clone();
        value = value - log_sigmoid(signed.clone()).sum();
        // by the logits: -z σ(-z·logit)
        let slope = -(sigmoid(-signed) * sign);
        by_scale = by_scale + (slope.clone() * scaled).sum();
        by_bias = by_bias + slope.clone().sum();
        by_b = by_b + slope.clone().transpose().matmul(chunk);
        by_a.push(slope.matmul(columns.clone()));
    }
    let share = 1.0 / n.max(1) as f32;
    let factor = scale * share;
    let by_a = if by_a.is_empty() { rows } else { Tensor::cat(by_a, 0) };
    Linearised::new(value * share)
        .with(a, by_a * factor.clone())
        .with(b, by_b * factor)
        .with(log_scale, by_scale * share)
        .with(bias, by_bias * share)
        .loss()
}

/// Rows `rows` of the `n` by `n` matrix that is 1 on the diagonal and -1 elsewhere.
fn signs(rows: std::ops::Range<usize>, n: usize, device: &Device) -> Tensor<2> {
    let len = rows.len();
    let rows = Tensor::<1, Int>::arange(rows.start as i64..rows.end as i64, device).reshape([len, 1]);
    let columns = Tensor::<1, Int>::arange(0..n as i64, device).reshape([1, n]);
    let is_pair = rows.expand([len, n]).equal(columns.expand([len, n]));
    is_pair.float() * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::differences::{assert_differentiates, gradients, unit};

    const N: usize = 7;
    const D: usize = 5;

    fn inputs(bias: f32) -> Vec<Vec<f32>> {
        vec![unit(N, D, 1), unit(N, D, 2), vec![10.0f32.ln()], vec![bias]]
    }

    fn chunked(x: Vec<Tensor<1>>, chunk_rows: usize) -> Tensor<1> {
        let [a, b, scale, bias] = x.try_into().expect("four inputs");
        sigmoid_contrast(a.reshape([N, D]), b.reshape([N, D]), scale, bias, chunk_rows)
    }

    /// The definition, left to autodiff.
    fn whole(x: Vec<Tensor<1>>) -> Tensor<1> {
        let [a, b, scale, bias] = x.try_into().expect("four inputs");
        let logits = a.reshape([N, D]).matmul(b.reshape([N, D]).transpose()) * scale.exp().reshape([1, 1]);
        let logits = logits + bias.reshape([1, 1]);
        let sign = Tensor::<2>::eye(N, &logits.device()) * 2.0 - 1.0;
        log_sigmoid(logits * sign).sum() * (-1.0 / N as f32)
    }

    #[test]
    fn chunks_of_any_size_give_the_value_and_gradients_of_the_whole() {
        const TOLERANCE: f32 = 1e-6;
        for bias in [-10.0, 0.0, 3.0] {
            let (value, expected) = gradients(&inputs(bias), &whole);
            for chunk_rows in [1, 2, 3, N, 100] {
                let (ours, found) = gradients(&inputs(bias), &|x| chunked(x, chunk_rows));
                assert!((ours - value).abs() <= TOLERANCE * value.max(1.0), "{chunk_rows}: {ours}, {value}");
                for (expected, found) in expected.iter().flatten().zip(found.iter().flatten()) {
                    let is_near = (expected - found).abs() <= TOLERANCE * expected.abs().max(1.0);
                    assert!(is_near, "{chunk_rows} rows: {found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        assert_differentiates(&inputs(-2.0), &|x| chunked(x, 3), 2e-3);
    }

    #[test]
    fn large_logits_stay_finite() {
        let inputs = vec![unit(N, D, 1), unit(N, D, 2), vec![100.0f32.ln()], vec![-90.0]];
        let (value, found) = gradients(&inputs, &|x| chunked(x, 2));
        assert!(value.is_finite() && found.iter().flatten().all(|gradient| gradient.is_finite()));
    }

    #[test]
    fn no_rows_cost_nothing() {
        let none = Tensor::<2>::zeros([0, 4], &Device::flex());
        let one = Tensor::<1>::zeros([1], &Device::flex());
        let loss = sigmoid_contrast(none.clone(), none, one.clone(), one, 8);
        assert_eq!(loss.into_scalar::<f32>(), 0.0);
    }
}
