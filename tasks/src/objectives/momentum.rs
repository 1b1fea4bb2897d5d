//! Contrast against a slowly moving teacher: its embeddings of this batch and of earlier ones are what a sample is
//! compared with, and what it finds alike counts as alike.

use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};

/// `½ Σ over both directions of -(1/n) Σᵢ (α softmax(s·aᵢ'·B'ᵀ) + (1-α) Yᵢ) · log softmax(s·aᵢ·B'ᵀ)`, with `s = exp(log_scale)`,
/// `aᵢ'` the teacher's embedding of what `aᵢ` is the student's, and `B'` the teacher's embeddings to compare with: those of the
/// batch, then those of earlier batches. No gradient flows to the teacher's, nor to the scale through the targets.
///
/// # Shapes
/// - student: unit vectors `[n, d]` of each side
/// - teacher: unit vectors `[n + n_queued, d]` of each side, the batch's first
/// - log_scale: `[1]`
/// - pairs: `Y`, `[n, n + n_queued]`; rows sum up to 1: 1 where a row's counterpart stands, shared where several do
/// - output: `[1]`
///
/// # Panics
/// When the shapes do not fit.
///
/// # Reference
/// Li et al. 2021, "Align before fuse", equations 6 and 7; several counterparts of a row as in ALBEF's `model_retrieval.py`.
pub fn momentum_contrast(
    student: [Tensor<2>; 2],
    teacher: [Tensor<2>; 2],
    log_scale: Tensor<1>,
    pairs: Tensor<2>,
    alpha: f32,
) -> Tensor<1> {
    let [n, _] = student[0].dims();
    let [n_candidates, _] = teacher[0].dims();
    assert_eq!(pairs.dims(), [n, n_candidates], "momentum_contrast: targets do not fit the embeddings");
    assert_eq!(teacher[1].dims()[0], n_candidates, "momentum_contrast: the sides differ in number");
    let scale = log_scale.exp().reshape([1, 1]);
    let teacher = teacher.map(Tensor::detach);
    let hard = pairs.detach() * (1.0 - alpha);
    let direction = |from: usize, to: usize| {
        let candidates = teacher[to].clone().transpose();
        let own = teacher[from].clone().narrow(0, 0, n);
        let soft = softmax(own.matmul(candidates.clone()) * scale.clone().detach(), 1);
        let log_p = log_softmax(student[from].clone().matmul(candidates) * scale.clone(), 1);
        (log_p * (soft * alpha + hard.clone())).sum()
    };
    (direction(0, 1) + direction(1, 0)) * (-0.5 / n.max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::differences::{assert_differentiates, unit};
    use crate::objectives::info_nce;

    const N: usize = 4;
    const D: usize = 5;

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let teacher = [unit(N + 3, D, 3), unit(N + 3, D, 4)];
        let loss = |x: Vec<Tensor<1>>| {
            let [a, b, scale] = x.try_into().expect("three inputs");
            let device = a.device();
            let pairs = Tensor::cat(vec![Tensor::eye(N, &device), Tensor::<2>::zeros([N, 3], &device)], 1);
            let teacher = teacher.clone();
            let teacher =
                teacher.map(|values| Tensor::from_data(TensorData::new(values, [N + 3, D]), &device));
            // the targets follow the scale without a gradient: without them it is differentiable as it stands
            momentum_contrast([a.reshape([N, D]), b.reshape([N, D])], teacher, scale, pairs, 0.0)
        };
        assert_differentiates(&[unit(N, D, 1), unit(N, D, 2), vec![1.2]], &loss, 2e-3);
    }

    #[test]
    fn without_queue_and_soft_targets_a_student_who_is_its_teacher_has_the_plain_loss() {
        let device = Device::flex();
        let side = |seed| Tensor::<2>::from_data(TensorData::new(unit(N, D, seed), [N, D]), &device);
        let (a, b, scale) = (side(1), side(2), Tensor::<1>::from_floats([1.5], &device));
        let both = [a.clone(), b.clone()];
        let ours: f32 =
            momentum_contrast(both.clone(), both, scale.clone(), Tensor::eye(N, &device), 0.0).into_scalar();
        let plain: f32 = info_nce(a, b, scale).into_scalar();
        assert!((ours - plain).abs() < 1e-6, "{ours}, not {plain}");
    }
}
