//! Connectionist temporal classification.

mod lattice;

use burn::prelude::*;

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
    composite(logits, &lattice)
}

/// The lattice is summed on the host; the gradient comes back as a constant in an expression that has the right
/// value and the right derivative.
fn composite(logits: Tensor<3>, lattice: &Lattice) -> Tensor<1> {
    let [batch, n_frames, n_labels] = logits.dims();
    let device = logits.device();
    let host = logits.clone().detach().into_data_as::<f32>();
    let host: &[f32] = host.as_slice().expect("read as f32 above");
    let (losses, grads) = lattice.losses_and_grads(host);
    let losses = Tensor::<1>::from_data(TensorData::new(losses, [batch]), (&device, logits.dtype()));
    let grads =
        Tensor::<3>::from_data(TensorData::new(grads, [batch, n_frames, n_labels]), (&device, logits.dtype()));
    let slope: Tensor<1> = (logits * grads).sum_dims_squeeze(&[1, 2]);
    slope.clone() - slope.detach() + losses
}
