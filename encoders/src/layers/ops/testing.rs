//! What the tests of the operations share: inputs, runs with gradients, and their comparison.

use burn::prelude::*;

/// An operation on flat tensors that reshapes them itself, so that one harness serves every rank.
pub(super) type Operation<'a> = &'a (dyn Fn(Vec<Tensor<1>>) -> Tensor<1> + Sync);

/// An operation's output and the gradient of each input, flat.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) output: Vec<f32>,
    pub(super) grads: Vec<Vec<f32>>,
}

/// `n` values between -1 and 1, the same for the same seed.
pub(super) fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Inputs of the given numbers of elements.
pub(super) fn inputs(sizes: &[usize]) -> Vec<Vec<f32>> {
    sizes.iter().enumerate().map(|(i, &n)| values(n, i as u64 + 1)).collect()
}

/// Runs the operation on tracked inputs and differentiates a fixed random projection of its output.
pub(super) fn run(inputs: &[Vec<f32>], operation: Operation) -> Run {
    let device = Device::flex().autodiff();
    let leaves: Vec<Tensor<1>> =
        inputs.iter().map(|input| Tensor::from_floats(input.as_slice(), &device).require_grad()).collect();
    let output = operation(leaves.clone());
    let n = output.dims()[0];
    let projection = Tensor::<1>::from_floats(values(n, 99).as_slice(), &device);
    let grads = (output.clone() * projection).sum().backward();
    let grads = leaves
        .iter()
        .zip(inputs)
        .map(|(leaf, input)| leaf.grad(&grads).map_or_else(|| vec![0.0; input.len()], to_vec))
        .collect();
    Run { output: to_vec(output), grads }
}

/// The operation's output on inputs without autodiff.
pub(super) fn infer(inputs: &[Vec<f32>], operation: Operation) -> Vec<f32> {
    let device = Device::flex();
    to_vec(operation(inputs.iter().map(|input| Tensor::from_floats(input.as_slice(), &device)).collect()))
}

pub(super) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Outputs and gradients agree to `tolerance`, relative to the largest expected element (at least 1).
pub(super) fn assert_agree(inputs: &[Vec<f32>], fused: Operation, composite: Operation, tolerance: f32) {
    let (got, expected) = (run(inputs, fused), run(inputs, composite));
    assert_near(&got.output, &expected.output, tolerance, "output");
    assert_near(&infer(inputs, fused), &expected.output, tolerance, "output without autodiff");
    for (i, (got, expected)) in got.grads.iter().zip(&expected.grads).enumerate() {
        assert_near(got, expected, tolerance, &format!("gradient of input {i}"));
    }
}

pub(super) fn assert_near(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "length of {what}");
    let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        // written so that NaN fails
        assert!(
            (got - expected).abs() <= tolerance * largest,
            "{what}, element {i}: got {got}, expected {expected}"
        );
    }
}

/// Every gradient agrees with a central difference of the operation itself.
pub(super) fn assert_differentiates(inputs: &[Vec<f32>], operation: Operation, tolerance: f32) {
    const STEP: f32 = 1e-2;
    let projected = |inputs: &[Vec<f32>]| -> f64 {
        let output = infer(inputs, operation);
        output.iter().zip(values(output.len(), 99)).map(|(&y, p)| f64::from(y) * f64::from(p)).sum()
    };
    let grads = run(inputs, operation).grads;
    for (i, grad) in grads.iter().enumerate() {
        for (j, &grad) in grad.iter().enumerate() {
            let moved = |step: f32| {
                let mut inputs = inputs.to_vec();
                inputs[i][j] += step;
                projected(&inputs)
            };
            let expected = ((moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP)) as f32;
            assert!(
                (grad - expected).abs() <= tolerance * expected.abs().max(1.0),
                "input {i}, element {j}: gradient {grad}, central difference {expected}"
            );
        }
    }
}

/// Repeated runs and runs on one, two and three threads are the same bit for bit.
pub(super) fn assert_reproducible(inputs: &[Vec<f32>], operation: Operation) {
    let on_threads = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool of threads");
        pool.install(|| run(inputs, operation))
    };
    let bits = |run: Run| -> Vec<u32> {
        run.output.iter().chain(run.grads.iter().flatten()).map(|value| value.to_bits()).collect()
    };
    let first = bits(on_threads(1));
    for n_threads in [1, 2, 2, 3] {
        assert_eq!(first, bits(on_threads(n_threads)), "results differ on {n_threads} threads");
    }
}
