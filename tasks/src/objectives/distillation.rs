//! What a student's outputs are held to its teacher's by: similarities, embeddings, and distributions of tokens.

use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

/// The smallest norm that a vector is divided by, PyTorch's `cosine_similarity`.
const MIN_NORM: f32 = 1e-8;

/// `½ Σ over both directions of -(1/n) Σᵢ softmax(s'·aᵢ'·B'ᵀ) · log softmax(s·aᵢ·Bᵀ)`, with the teacher's embeddings and
/// scale primed.
///
/// # Shapes
/// Unit vectors: of the student `[n, d]`, of the teacher `[n, d_teacher]`, each of both sides; scales `[1]` -> `[1]`
///
/// # Reference
/// open_clip `DistillClipLoss.dist_loss`; TinyCLIP (Wu et al. 2023), section 3.1.
pub fn contrastive_distillation(
    [a, b]: [Tensor<2>; 2],
    log_scale: Tensor<1>,
    teacher: [Tensor<2>; 2],
    teacher_log_scale: Tensor<1>,
) -> Tensor<1> {
    let [n, _] = a.dims();
    let logits = a.matmul(b.transpose()) * log_scale.exp().reshape([1, 1]);
    let [a, b] = teacher;
    let teacher = (a.matmul(b.transpose()) * teacher_log_scale.exp().reshape([1, 1])).detach();
    let direction = |axis| (softmax(teacher.clone(), axis) * log_softmax(logits.clone(), axis)).sum();
    (direction(1) + direction(0)) * (-0.5 / n.max(1) as f32)
}

/// How far a student's vector is from its teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureDistance {
    /// `1 - cos(x, y)`.
    #[default]
    Cosine,
    /// `Σ (x - y)²`, divided by the width.
    SquaredError,
}

/// The mean distance of the student's vectors from the teacher's.
///
/// # Shapes
/// `[n, d]`, `[n, d]` -> `[1]`
///
/// # Reference
/// PyTorch `1 - cosine_similarity` and `mse_loss`; TinyCLIP's and CLIP-KD's feature distillation is the latter.
pub fn feature_distillation(student: Tensor<2>, teacher: Tensor<2>, distance: FeatureDistance) -> Tensor<1> {
    let teacher = teacher.detach();
    match distance {
        FeatureDistance::SquaredError => (student - teacher).powi_scalar(2).mean(),
        FeatureDistance::Cosine => {
            // clamped under the root, whose slope at 0 is infinite
            let norm = |x: Tensor<2>| x.powi_scalar(2).sum_dim(1).clamp_min(MIN_NORM * MIN_NORM).sqrt();
            let products = (student.clone() * teacher.clone()).sum_dim(1);
            let cosine: Tensor<2> = products / (norm(student) * norm(teacher));
            cosine.mean() * -1.0 + 1.0
        }
    }
}

/// `T² KL(softmax(teacher / T) ‖ softmax(student / T))`, the weighted mean over rows; 0 without any weight.
///
/// The factor keeps the gradient's size when the temperature changes.
///
/// # Shapes
/// Logits `[n, n_vocab]` of both, `weight` `[n]`, none negative -> `[1]`
///
/// # Reference
/// Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network", section 2.
pub fn token_distillation(
    student: Tensor<2>,
    teacher: Tensor<2>,
    weight: Tensor<1>,
    temperature: f32,
) -> Tensor<1> {
    let [n, _] = student.dims();
    let log_teacher = log_softmax(teacher.detach() / temperature, 1);
    let log_student = log_softmax(student / temperature, 1);
    let divergence = (log_teacher.clone().exp() * (log_teacher - log_student)).sum_dim(1).reshape([n]);
    let total = weight.clone().sum().clamp_min(f32::MIN_POSITIVE);
    (divergence * weight).sum() / total * (temperature * temperature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::differences::{assert_differentiates, unit, values};

    const N: usize = 4;
    const D: usize = 5;

    fn matrix(values: Vec<f32>, device: &Device) -> Tensor<2> {
        let d = values.len() / N;
        Tensor::from_data(TensorData::new(values, [N, d]), device)
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let contrastive = |x: Vec<Tensor<1>>| {
            let [a, b, scale] = x.try_into().expect("three inputs");
            let device = a.device();
            let teacher = [matrix(unit(N, 3, 5), &device), matrix(unit(N, 3, 6), &device)];
            let sharp = Tensor::<1>::from_floats([2.0], &device);
            contrastive_distillation([a.reshape([N, D]), b.reshape([N, D])], scale, teacher, sharp)
        };
        assert_differentiates(&[unit(N, D, 1), unit(N, D, 2), vec![1.1]], &contrastive, 2e-3);
        for distance in [FeatureDistance::Cosine, FeatureDistance::SquaredError] {
            let feature = |x: Vec<Tensor<1>>| {
                let [student] = x.try_into().expect("one input");
                let teacher = matrix(values(N * D, 7), &student.device());
                feature_distillation(student.reshape([N, D]), teacher, distance)
            };
            assert_differentiates(&[values(N * D, 8)], &feature, 2e-3);
        }
        let token = |x: Vec<Tensor<1>>| {
            let [student] = x.try_into().expect("one input");
            let device = student.device();
            let teacher = matrix(values(N * D, 9), &device) * 3.0;
            let weight = Tensor::<1>::from_floats([1.0, 0.0, 0.5, 2.0], &device);
            token_distillation(student.reshape([N, D]) * 3.0, teacher, weight, 2.0)
        };
        assert_differentiates(&[values(N * D, 10)], &token, 2e-3);
    }

    #[test]
    fn a_student_who_is_its_teacher_has_nothing_to_learn() {
        let device = Device::flex();
        let x = matrix(values(N * D, 1), &device);
        let weight = Tensor::<1>::ones([N], &device);
        let losses = [
            feature_distillation(x.clone(), x.clone(), FeatureDistance::Cosine),
            feature_distillation(x.clone(), x.clone(), FeatureDistance::SquaredError),
            token_distillation(x.clone(), x.clone(), weight.clone(), 3.0),
            // and without any weight nothing is learned
            token_distillation(x.clone(), x.clone() * 2.0, weight.zeros_like(), 3.0),
        ];
        for loss in losses {
            let loss: f32 = loss.into_scalar();
            assert!(loss.abs() < 1e-6, "{loss}");
        }
    }

    #[test]
    fn a_vector_of_zeros_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let student = Tensor::<2>::zeros([N, D], &device).require_grad();
        let teacher = matrix(values(N * D, 1), &device);
        let loss = feature_distillation(student.clone(), teacher, FeatureDistance::Cosine);
        let gradient = student.grad(&loss.backward()).expect("tracked").into_data();
        assert!(gradient.iter::<f32>().all(f32::is_finite));
    }
}
