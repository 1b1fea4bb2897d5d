//! Losses whose gradient is known in closed form: what a graph need not keep, it does not hold.

use burn::prelude::*;

/// A loss that has the value `value` and, at its inputs, the gradients that it was given.
///
/// It is `value + (Σ gradient ⊙ input) - (the same without a gradient)`: the two sums cancel to the last bit, and the first
/// has the gradients asked for. Right to the first order alone.
#[derive(Clone, Debug)]
pub struct Linearised {
    value: Tensor<1>,
    slope: Option<Tensor<1>>,
}

impl Linearised {
    /// A loss without inputs.
    ///
    /// # Shapes
    /// `[1]`
    pub fn new(value: Tensor<1>) -> Self {
        Self { value: value.detach(), slope: None }
    }

    /// The same with an input and the gradient there.
    ///
    /// # Shapes
    /// Equal ones.
    #[must_use]
    pub fn with<const D: usize>(self, input: Tensor<D>, gradient: Tensor<D>) -> Self {
        let part = (input * gradient.detach()).sum();
        let slope = match self.slope {
            Some(slope) => slope + part,
            None => part,
        };
        Self { slope: Some(slope), ..self }
    }

    /// The loss, `[1]`.
    pub fn loss(self) -> Tensor<1> {
        match self.slope {
            Some(slope) => self.value + (slope.clone() - slope.detach()),
            None => self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_gradients_are_those_given() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[1.0, -2.5], [0.3, 7.0]], &device).require_grad();
        let y = Tensor::<1>::from_floats([4.0], &device).require_grad();
        let by_x = Tensor::<2>::from_floats([[0.1, 0.2], [0.3, 0.4]], &device);
        let by_y = Tensor::<1>::from_floats([-9.0], &device);
        let value = Tensor::<1>::from_floats([0.7], &device);
        let loss = Linearised::new(value.clone()).with(x.clone(), by_x.clone()).with(y.clone(), by_y.clone());
        let loss = loss.loss();
        assert_eq!(loss.to_data(), value.into_data());
        let gradients = (loss * 2.0).backward();
        assert_eq!(x.grad(&gradients).expect("tracked").into_data(), (by_x * 2.0).into_data());
        assert_eq!(y.grad(&gradients).expect("tracked").into_data(), (by_y * 2.0).into_data());
    }
}
