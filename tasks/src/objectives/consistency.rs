//! CTC of two views of a sound that must agree frame by frame.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use triptych_encoders::input::padding;
use triptych_encoders::layers::ops;

/// How far two views of a sound disagree: `½ Σ_t [KL(b_t ‖ a_t) + KL(a_t ‖ b_t)]` over the frames that carry sound, where no
/// gradient flows into the first distribution of either.
///
/// # Shapes
/// Logits `[batch, n_frames, n_labels]` twice -> `[batch]`
///
/// # Reference
/// Yao et al. 2024 (CR-CTC), section 3.2; icefall `zipformer/model.py`.
///
/// # Panics
/// When the shapes differ, or there is not one length a row.
pub fn disagreement(a: Tensor<3>, b: Tensor<3>, lengths: &[usize]) -> Tensor<1> {
    let [batch, n_frames, n_labels] = a.dims();
    assert_eq!(a.dims(), b.dims(), "views of the same frames and labels");
    assert_eq!(lengths.len(), batch, "one length a row");
    let [a, b] = [log_softmax(a, 2), log_softmax(b, 2)];
    let towards = |from: &Tensor<3>, to: &Tensor<3>| {
        let target = to.clone().detach();
        target.clone().exp() * (target - from.clone())
    };
    let divergence = (towards(&a, &b) + towards(&b, &a)).mul_scalar(0.5);
    let is_pad = padding(lengths, n_frames, &divergence.device()).reshape([batch, n_frames, 1]);
    let divergence = divergence.mask_fill(is_pad.expand([batch, n_frames, n_labels]), 0.0);
    divergence.sum_dims_squeeze(&[1, 2])
}

/// `½ [CTC(a) + CTC(b)] + scale · disagreement(a, b)` of each row. A text that does not fit its frames costs nothing, but the
/// views must agree about it too.
///
/// # Shapes
/// Logits `[batch, n_frames, n_labels]` twice -> `[batch]`
///
/// # Reference
/// Yao et al. 2024 (CR-CTC), equation 4, with a scale of 0.2.
///
/// # Panics
/// As [`disagreement`] and [`ops::ctc_loss`].
pub fn consistent_ctc(
    [a, b]: [Tensor<3>; 2],
    lengths: &[usize],
    texts: &[Vec<u32>],
    blank: u32,
    scale: f32,
) -> Tensor<1> {
    let ctc = [&a, &b].map(|view| ops::ctc_loss(view.clone(), lengths, texts, blank));
    let [ctc_a, ctc_b] = ctc;
    (ctc_a + ctc_b).mul_scalar(0.5) + disagreement(a, b, lengths).mul_scalar(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(values: [f32; 12]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 4, 3]), &Device::flex())
    }

    #[test]
    fn equal_views_agree_and_frames_behind_the_end_do_not_count() {
        let a = logits([0.3, -1.0, 2.0, 0.1, 0.2, 0.3, -0.5, 1.5, 0.0, 9.0, 0.0, 0.0]);
        let b = logits([0.3, -1.0, 2.0, 0.1, 0.2, 0.3, -0.5, 1.5, 0.0, 0.0, 9.0, 0.0]);
        let value = |length: usize| disagreement(a.clone(), b.clone(), &[length]).into_scalar::<f32>();
        assert!(value(3).abs() < 1e-6, "{}", value(3));
        assert!(value(4) > 1.0, "{}", value(4));
        assert_eq!(value(0), 0.0);
    }
}
