//! Initial parameters, drawn on the host so that every device starts from the same weights.

use burn::module::Param;
use burn::prelude::*;
use serde::{Deserialize, Serialize};

/// How the weights of linear maps start; what their paper or long practice fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightDistribution {
    /// Uniform within `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010, equation 16; the original ViT).
    #[default]
    GlorotUniform,
    /// Normal of this deviation, redrawn outside two: 0.02 in BERT (section A.2) and most since.
    TruncatedNormal(f32),
}

/// Draws initial parameters in a fixed order from a seed.
///
/// # Differences from the reference
/// Burn's own initialisers draw from a process-wide generator on the device, which can neither be saved nor
/// compared between devices; this one is a counter over SplitMix64.
#[derive(Debug)]
pub struct Initializer {
    state: u64,
    device: Device,
    weights: WeightDistribution,
    is_blank: bool,
}

impl Initializer {
    /// Starts from `seed`; parameters are created on `device`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { state: seed, device: device.clone(), weights: WeightDistribution::default(), is_blank: false }
    }

    /// Draws nothing: where something random would stand there are zeros, for parameters that are all replaced.
    pub fn zeros(device: &Device) -> Self {
        Self { is_blank: true, ..Self::new(0, device) }
    }

    /// The device that parameters are created on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Draws the weights of the linear maps that `build` makes from `weights`.
    pub fn with_weights<T>(&mut self, weights: WeightDistribution, build: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.weights, weights);
        let built = build(self);
        self.weights = before;
        built
    }

    /// The weights of a linear map.
    ///
    /// # Shapes
    /// -> `[d_in, d_out]`
    pub fn weight(&mut self, d_in: usize, d_out: usize) -> Param<Tensor<2>> {
        match self.weights {
            WeightDistribution::GlorotUniform => self.xavier_uniform(d_in, d_out),
            WeightDistribution::TruncatedNormal(std) => self.truncated_normal([d_in, d_out], std),
        }
    }

    /// Normal with standard deviation `std`, redrawn outside two deviations (BERT, section A.2; ViT, appendix B).
    pub fn truncated_normal<const D: usize>(&mut self, shape: [usize; D], std: f32) -> Param<Tensor<D>> {
        if self.is_blank {
            return self.constant(shape, 0.0);
        }
        let values = (0..shape.iter().product()).map(|_| self.truncated_draw() * std).collect();
        self.param(values, shape)
    }

    fn xavier_uniform(&mut self, fan_in: usize, fan_out: usize) -> Param<Tensor<2>> {
        if self.is_blank {
            return self.constant([fan_in, fan_out], 0.0);
        }
        let bound = (6.0 / (fan_in + fan_out) as f32).sqrt();
        let values = (0..fan_in * fan_out).map(|_| (2.0 * self.uniform() - 1.0) * bound).collect();
        self.param(values, [fan_in, fan_out])
    }

    /// Every element is `value`.
    pub fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.param(vec![value; shape.iter().product()], shape)
    }

    fn param<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }

    fn truncated_draw(&mut self) -> f32 {
        loop {
            // Box and Muller's transform; the guard keeps the logarithm finite
            let radius = (-2.0 * self.uniform().max(f32::MIN_POSITIVE).ln()).sqrt();
            let draw = radius * (std::f32::consts::TAU * self.uniform()).cos();
            if draw.abs() <= 2.0 {
                return draw;
            }
        }
    }

    /// Uniform in `[0, 1)` with 24 bits, from SplitMix64 (Steele, Lea and Flood 2014).
    fn uniform(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_parameters() {
        let device = Device::flex();
        let draw = |seed| Initializer::new(seed, &device).truncated_normal([7, 5], 0.02).val().to_data();
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn truncated_normal_has_the_deviation_of_a_normal_cut_at_two() {
        let values = Initializer::new(1, &Device::flex())
            .truncated_normal([20_000], 1.0)
            .val()
            .to_data()
            .try_to_vec::<f32>();
        let values = values.expect("float32");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt();
        assert!(mean.abs() < 0.02, "mean {mean}");
        // the deviation of a standard normal truncated at two
        assert!((deviation - 0.8796).abs() < 0.01, "deviation {deviation}");
        assert!(values.iter().all(|v| v.abs() <= 2.0));
    }
}
