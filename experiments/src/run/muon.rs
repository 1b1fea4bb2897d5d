//! Muon: momentum whose matrix is replaced by the nearest orthogonal one, for the hidden matrices of a model.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

/// Settings of Muon. Everything that is no hidden matrix stays with AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuonConfig {
    /// Learning rate as a multiple of AdamW's; its course is the same.
    pub lr_ratio: f64,
    /// Decay of the momentum. Jordan et al.: 0.95.
    pub momentum: f64,
}

/// Coefficients of the quintic iteration, chosen to lift small singular values fast (Jordan et al. 2024).
const QUINTIC: [f32; 3] = [3.4445, -4.775, 2.0315];
const ITERATIONS: usize = 5;
/// Gives an update the root mean square that AdamW's usually has (Liu et al. 2025, section 2.2).
const ADAMW_RMS: f32 = 0.2;

/// The new momentum, and the update to subtract times the learning rate.
///
/// # Shapes
/// All `[rows, columns]`.
///
/// # Reference
/// Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is
/// scalable for LLM training", equation 4.
pub(crate) fn update(gradient: Tensor<2>, momentum: Tensor<2>, decay: f32) -> (Tensor<2>, Tensor<2>) {
    let [rows, columns] = gradient.dims();
    let momentum = momentum * decay + gradient.clone();
    // Nesterov's look ahead
    let ahead = gradient + momentum.clone() * decay;
    let scale = ADAMW_RMS * (rows.max(columns) as f32).sqrt();
    (momentum, orthogonalised(ahead) * scale)
}

/// About the nearest matrix whose singular values are all 1, by Newton and Schulz's iteration.
fn orthogonalised(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    // the smaller Gram matrix
    let is_tall = rows > columns;
    let mut x = if is_tall { matrix.transpose() } else { matrix };
    let norm = x.clone().square().sum().sqrt().clamp_min(1e-7).reshape([1, 1]);
    x = x / norm;
    let [a, b, c] = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if is_tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use triptych_encoders::layers::initializer::Initializer;

    use super::*;

    #[test]
    fn an_update_has_singular_values_near_one_whatever_the_gradient() {
        for shape in [[12, 5], [5, 12], [8, 8]] {
            let gradient = Initializer::new(7, &Device::flex()).truncated_normal(shape, 0.3).val();
            let (momentum, update) = update(gradient.clone(), gradient.zeros_like(), 0.95);
            assert_eq!(momentum.to_data(), gradient.to_data());
            let scale = ADAMW_RMS * (shape[0].max(shape[1]) as f32).sqrt();
            let orthogonal = update / scale;
            let gram = if shape[0] > shape[1] {
                orthogonal.clone().transpose().matmul(orthogonal)
            } else {
                orthogonal.clone().matmul(orthogonal.transpose())
            };
            let [n, _] = gram.dims();
            // the iteration leaves singular values between 0.7 and 1.2 (Jordan et al. 2024)
            let trace =
                gram.clone().mul(Tensor::eye(n, &Device::flex())).sum().into_scalar::<f32>() / n as f32;
            assert!((0.5..1.45).contains(&trace), "{shape:?}: {trace}");
            let off_diagonal = (gram.clone() - gram.mul(Tensor::eye(n, &Device::flex()))).abs().max();
            assert!(off_diagonal.into_scalar::<f32>() < 0.45, "{shape:?}");
        }
    }
}
