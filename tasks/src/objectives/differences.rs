//! Gradients by finite differences.

use burn::prelude::*;

/// Values between -1 and 1, the same for the same seed.
pub(super) fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut draw = triptych_datasets::draw::Draw::new(seed, 0, "", "differences");
    (0..n).map(|_| draw.range(-1.0, 1.0)).collect()
}

/// Unit vectors, `[n, d]`.
pub(super) fn unit(n: usize, d: usize, seed: u64) -> Vec<f32> {
    let mut rows = values(n * d, seed);
    for row in rows.chunks_mut(d) {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
    }
    rows
}

/// A loss of flat tensors that it reshapes itself.
pub(super) type Loss<'a> = &'a dyn Fn(Vec<Tensor<1>>) -> Tensor<1>;

/// The loss and its gradient at every input.
pub(super) fn gradients(inputs: &[Vec<f32>], loss: Loss<'_>) -> (f32, Vec<Vec<f32>>) {
    let device = Device::flex().autodiff();
    let leaf = |input: &Vec<f32>| Tensor::<1>::from_floats(input.as_slice(), &device).require_grad();
    let leaves = inputs.iter().map(leaf).collect::<Vec<_>>();
    let loss = loss(leaves.clone());
    let gradients = loss.backward();
    let of = |(leaf, input): (&Tensor<1>, &Vec<f32>)| {
        let gradient = leaf.grad(&gradients).map(|gradient| gradient.into_data().iter::<f32>().collect());
        gradient.unwrap_or_else(|| vec![0.0; input.len()])
    };
    (loss.into_scalar(), leaves.iter().zip(inputs).map(of).collect())
}

/// Asserts that the loss's gradient at each input is its central difference, to `tolerance`.
#[track_caller]
pub(super) fn assert_differentiates(inputs: &[Vec<f32>], loss: Loss<'_>, tolerance: f32) {
    const STEP: f32 = 1e-2;
    let device = Device::flex();
    let value = |inputs: &[Vec<f32>]| -> f32 {
        let tensors = inputs.iter().map(|input| Tensor::<1>::from_floats(input.as_slice(), &device));
        loss(tensors.collect()).into_scalar()
    };
    let (_, found) = gradients(inputs, loss);
    for (which, gradient) in found.iter().enumerate() {
        for (place, ours) in gradient.iter().enumerate() {
            let at = |by: f32| {
                let mut inputs = inputs.to_vec();
                inputs[which][place] += by;
                value(&inputs)
            };
            // Richardson's extrapolation: the error falls with the fourth power of the step
            let slope = |step: f32| (at(step) - at(-step)) / (2.0 * step);
            let expected = (4.0 * slope(STEP) - slope(2.0 * STEP)) / 3.0;
            assert!(
                (ours - expected).abs() <= tolerance * expected.abs().max(1.0),
                "input {which}, place {place}: expected {expected}, got {ours}"
            );
        }
    }
}
