//! Memory of a training.

use serde::Serialize;

/// In which numbers a training computes and keeps its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Precision {
    /// Everything in 32 bits.
    #[default]
    F32,
    /// Products, gradients and activations in 16 bits; weights in both; moments in 32.
    Mixed,
}

impl Precision {
    /// Bytes of a parameter's weight, gradient and two moments.
    ///
    /// # Reference
    /// Rajbhandari et al. 2020 ("ZeRO"), section 3.1: 16 bytes either way.
    fn parameter_bytes(self) -> [f64; 3] {
        match self {
            Self::F32 => [4.0, 4.0, 8.0],
            Self::Mixed => [6.0, 2.0, 8.0],
        }
    }

    fn activation_bytes(self) -> f64 {
        match self {
            Self::F32 => 4.0,
            Self::Mixed => 2.0,
        }
    }
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Memory {
    pub(crate) weights: f64,
    pub(crate) gradients: f64,
    pub(crate) optimizer: f64,
    /// Of one sample.
    pub(crate) activations_per_sample: f64,
}

impl Memory {
    /// `kept` values a sample wait for the backward pass; `n_averages` copies of the weights that are trained are kept beside
    /// them.
    pub(crate) fn new(
        [parameters, trained]: [f64; 2],
        kept: f64,
        precision: Precision,
        n_averages: usize,
    ) -> Self {
        let [weights, gradients, moments] = precision.parameter_bytes();
        Self {
            weights: weights * parameters,
            gradients: gradients * trained,
            optimizer: moments * trained + 4.0 * trained * n_averages as f64,
            activations_per_sample: kept * precision.activation_bytes(),
        }
    }

    /// What a batch takes.
    pub(crate) fn total(&self, batch_size: usize) -> f64 {
        self.weights + self.gradients + self.optimizer + self.activations_per_sample * batch_size as f64
    }

    /// The largest batch that fits; 0 where not even the weights do.
    pub(crate) fn largest_batch(&self, memory_bytes: f64) -> u64 {
        ((memory_bytes - self.total(0)) / self.activations_per_sample.max(1.0)).max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_takes_16_bytes_a_parameter_and_an_average_4_more() {
        for precision in [Precision::F32, Precision::Mixed] {
            assert_eq!(Memory::new([1e9; 2], 0.0, precision, 0).total(7), 16e9);
            assert_eq!(Memory::new([1e9; 2], 0.0, precision, 1).total(7), 20e9);
        }
    }

    #[test]
    fn what_is_frozen_takes_its_weights_alone() {
        assert_eq!(Memory::new([1e9, 0.0], 0.0, Precision::F32, 1).total(7), 4e9);
    }

    #[test]
    fn the_largest_batch_fits_and_one_more_does_not() {
        let memory = Memory::new([1e6; 2], 3e5, Precision::F32, 1);
        let room = 1e9;
        let n = memory.largest_batch(room) as usize;
        assert!(n > 0 && memory.total(n) <= room && memory.total(n + 1) > room);
        assert_eq!(memory.largest_batch(1e6), 0);
    }
}
