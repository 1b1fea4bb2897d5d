//! Whether a pair belongs together, judged from its fused sequence.

use burn::prelude::*;
use burn::tensor::activation::log_sigmoid;

/// Binary cross entropy of logits whose first `n_true` belong to true pairs and the others to wrong ones; the mean over all.
///
/// # Shapes
/// `[n]` -> `[1]`
///
/// # Reference
/// Li et al. 2021, "Align before fuse", equation 4; a two-class softmax over `0` and the logit is the same.
pub fn matching_loss(logits: Tensor<1>, n_true: usize) -> Tensor<1> {
    let [n] = logits.dims();
    let sign = (0..n).map(|idx| if idx < n_true { 1.0f32 } else { -1.0 }).collect::<Vec<_>>();
    let sign = Tensor::from_data(TensorData::new(sign, [n]), &logits.device());
    -log_sigmoid(logits * sign).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::differences::{assert_differentiates, values};

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let loss = |mut x: Vec<Tensor<1>>| matching_loss(x.remove(0) * 3.0, 2);
        assert_differentiates(&[values(6, 1)], &loss, 1e-3);
        // an untrained head gives zeros
        assert_differentiates(&[vec![0.0; 3]], &loss, 1e-3);
    }
}
