//! Connectionist temporal classification.

mod lattice;
#[cfg(test)]
mod tests;

use burn::backend::flex::FlexTensor;
use burn::prelude::*;

use super::kernel::{Kernel, fused, runs_on};
use super::storage::{floats, scaled, sizes, tensor};
use lattice::Lattice;

/// The negative log-likelihood of each target under all its alignments to the frames.
///
/// A sample without any alignment (more labels, with a blank between equal neighbours, than frames) gives 0 with a
/// zero gradient. An empty target is the path of blanks alone. Frames behind a sample's length change nothing.
///
/// # Shapes
/// - logits: `[batch, n_frames, n_labels]`, unnormalised
/// - frame_lengths: batch entries, each at most `n_frames`
/// - targets: batch entries, labels below `n_labels`, none of them `blank`
/// - output: `[batch]`
///
/// # Panics
/// When the number of lengths or targets is not the batch, a length exceeds `n_frames` or a label is out of range.
///
/// # Reference
/// Graves et al. 2006, "Connectionist Temporal Classification", sections 4.1 and 4.2; `zero_infinity` as PyTorch's.
pub fn ctc_loss(logits: Tensor<3>, frame_lengths: &[usize], targets: &[Vec<u32>], blank: u32) -> Tensor<1> {
    let lattice = Lattice::new(logits.dims(), frame_lengths, targets, blank);
    if runs_on(&logits) { fused!(lattice; logits) } else { composite(logits, &lattice) }
}

/// The lattice is summed on the host; the gradient comes back as a constant in an expression that has the right
/// value and the right derivative.
fn composite(logits: Tensor<3>, lattice: &Lattice) -> Tensor<1> {
    let [batch, n_frames, n_labels] = logits.dims();
    let (device, dtype) = (logits.device(), logits.dtype());
    let host: Vec<f32> = logits.clone().detach().into_data().iter::<f32>().collect();
    let (losses, grads) = lattice.losses_and_grads(&host);
    let losses = Tensor::<1>::from_data(TensorData::new(losses, [batch]), (&device, dtype));
    let grads = Tensor::<3>::from_data(TensorData::new(grads, [batch, n_frames, n_labels]), (&device, dtype));
    let slope: Tensor<1> = (logits * grads).sum_dims_squeeze(&[1, 2]);
    slope.clone() - slope.detach() + losses
}

impl Kernel<1> for Lattice {
    /// The gradient of each sample's loss with respect to its logits.
    type Saved = FlexTensor;

    fn forward(&self, [logits]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let (losses, grads) = self.losses_and_grads(floats(&logits));
        let batch = losses.len();
        (tensor(losses, [batch]), tensor(grads, sizes::<3>(&logits)))
    }

    fn backward(&self, grads: FlexTensor, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(scaled(grads, floats(&grad)))]
    }
}
