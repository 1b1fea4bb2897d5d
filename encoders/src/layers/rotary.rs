//! Positions as rotations of queries and keys.

use burn::prelude::*;

/// The rotations of a range of positions: the angle of position `p` and pair `i` is `p / base^(2 i / d_head)`.
///
/// # Reference
/// Su et al. 2021, "RoFormer". The pairs are an element of the first half of a head and its like in the second, as
/// published checkpoints have it (GPT-NeoX, LLaMA).
#[derive(Clone, Debug)]
pub struct Rotary {
    /// `[1 or batch, n_tokens, d_head / 2]`
    cos: Tensor<3>,
    /// The same shape.
    sin: Tensor<3>,
}

impl Rotary {
    /// The rotations of positions `start .. start + n_tokens`, in heads of width `d_head`; `base` is 10,000 in the paper.
    pub fn new(base: f64, d_head: usize, start: usize, n_tokens: usize, device: &Device) -> Self {
        let half = d_head / 2;
        let angles = (start..start + n_tokens).flat_map(|position| {
            (0..half).map(move |pair| position as f64 / base.powf(2.0 * pair as f64 / d_head as f64))
        });
        // in double precision up to here: a late position times a slow frequency loses digits otherwise
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            angles.map(|angle| (angle.sin() as f32, angle.cos() as f32)).unzip();
        let table = |values| Tensor::from_data(TensorData::new(values, [1, n_tokens, half]), device);
        Self { cos: table(cos), sin: table(sin) }
    }

    /// The same rotations where the rows stand after `arrange`, which is given `[1, n_tokens, d_head / 2]`.
    #[must_use]
    pub fn arranged(self, arrange: impl Fn(Tensor<3>) -> Tensor<3>) -> Self {
        Self { cos: arrange(self.cos), sin: arrange(self.sin) }
    }

    /// Rotates each head of `x`.
    ///
    /// # Shapes
    /// `[batch, n_tokens, n_heads * d_head]` -> the same
    pub fn rotate(&self, x: Tensor<3>, n_heads: usize) -> Tensor<3> {
        let [batch, n_tokens, width] = x.dims();
        let half = width / n_heads / 2;
        let x = x.reshape([batch, n_tokens, n_heads, 2 * half]);
        let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        // over the axis of the heads
        let (cos, sin) = (self.cos.clone().unsqueeze_dim::<4>(2), self.sin.clone().unsqueeze_dim::<4>(2));
        let rotated =
            [first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin];
        Tensor::cat(rotated.into(), 3).reshape([batch, n_tokens, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_depend_on_the_distance_alone() {
        let device = Device::flex();
        let vector = |values: [f32; 4]| Tensor::<3>::from_floats([[values]], &device);
        let (query, key) = (vector([0.3, -1.0, 0.7, 0.2]), vector([1.0, 0.4, -0.6, 0.9]));
        let product = |at: usize, behind: usize| {
            let rotate =
                |x: &Tensor<3>, position| Rotary::new(10_000.0, 4, position, 1, &device).rotate(x.clone(), 1);
            (rotate(&query, at) * rotate(&key, behind)).sum().into_scalar::<f32>()
        };
        assert!((product(7, 4) - product(1003, 1000)).abs() < 1e-4);
        assert!((product(7, 4) - product(7, 5)).abs() > 1e-2);
    }
}
