//! What a module costs, from its sizes alone: parameters, operations, memory for training.

use std::ops::{Add, Mul};

use serde::Serialize;

/// What one sample costs a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Learned values.
    pub parameters: u64,
    /// Floating-point operations of a forward pass, a multiplication and an addition being two. Matrix products alone, as
    /// is usual.
    pub flops: u64,
    /// Those of them that the backward pass does again, because it keeps less.
    pub recomputed_flops: u64,
    /// Values that the backward pass reads again, so that they stay until then.
    pub kept: u64,
}

impl Cost {
    /// Floating-point operations of a forward and a backward pass.
    pub fn training_flops(&self) -> u64 {
        3 * self.flops + self.recomputed_flops
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            parameters: self.parameters + other.parameters,
            flops: self.flops + other.flops,
            recomputed_flops: self.recomputed_flops + other.recomputed_flops,
            kept: self.kept + other.kept,
        }
    }
}

impl Mul<u64> for Cost {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            parameters: self.parameters * times,
            flops: self.flops * times,
            recomputed_flops: self.recomputed_flops * times,
            kept: self.kept * times,
        }
    }
}

/// A module, what it costs, and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CostTree {
    /// Its name in the module that holds it.
    pub name: String,
    /// What it gives for one sample, without the axis of the batch; empty where that says nothing.
    pub shape: Vec<usize>,
    /// How many of them there are, one behind the other; the cost is that of all.
    pub times: usize,
    /// Everything in it included.
    pub cost: Cost,
    /// What it consists of.
    pub parts: Vec<CostTree>,
}

impl CostTree {
    /// A module without parts that are worth telling apart.
    pub fn leaf(name: &str, shape: &[usize], cost: Cost) -> Self {
        Self { name: name.to_owned(), shape: shape.to_vec(), times: 1, cost, parts: Vec::new() }
    }

    /// A module that costs what its parts do.
    pub fn of(name: &str, shape: &[usize], parts: Vec<CostTree>) -> Self {
        let cost = parts.iter().fold(Cost::default(), |sum, part| sum + part.cost);
        Self { name: name.to_owned(), shape: shape.to_vec(), times: 1, cost, parts }
    }

    /// The same module `times` times, one behind the other.
    #[must_use]
    pub fn repeated(self, times: usize) -> Self {
        Self { times, cost: self.cost * times as u64, ..self }
    }

    /// The same module `times` times where each of them keeps an input of `n_input` values alone and the backward pass
    /// computes the rest again, one after the other.
    #[must_use]
    pub fn checkpointed(self, n_input: u64) -> Self {
        let times = self.times as u64;
        let inside = self.cost.kept / times.max(1);
        let kept = times * n_input + inside;
        Self { cost: Cost { recomputed_flops: self.cost.flops, kept, ..self.cost }, ..self }
    }

    /// Modules one behind the other, of which each keeps an input of as many values as stand beside it, and the backward
    /// pass computes the rest again, one after the other.
    pub fn each_checkpointed(parts: Vec<(Self, u64)>) -> Vec<Self> {
        let inside = |part: &Self| part.cost.kept / (part.times as u64).max(1);
        let largest = parts.iter().map(|(part, _)| inside(part)).max().unwrap_or(0);
        // what is in between is there once, told of the first module that has most
        let mut is_told = false;
        let checkpointed = parts.into_iter().map(|(part, n_input)| {
            let tells = !is_told && inside(&part) == largest;
            is_told |= tells;
            let kept = part.times as u64 * n_input + if tells { largest } else { 0 };
            Self { cost: Cost { recomputed_flops: part.cost.flops, kept, ..part.cost }, ..part }
        });
        checkpointed.collect()
    }

    /// The same where a sample does not pass through it: its parameters alone.
    #[must_use]
    pub fn unused(self) -> Self {
        let parts = self.parts.into_iter().map(Self::unused).collect();
        let cost = Cost { parameters: self.cost.parameters, ..Cost::default() };
        Self { cost, parts, ..self }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }
}

/// A linear map of `n` rows; its input is kept.
pub fn linear(n: usize, d_in: usize, d_out: usize, has_bias: bool) -> Cost {
    let [n, d_in, d_out] = [n, d_in, d_out].map(|size| size as u64);
    Cost {
        parameters: d_in * d_out + if has_bias { d_out } else { 0 },
        flops: 2 * n * d_in * d_out,
        kept: n * d_in,
        ..Cost::default()
    }
}

/// A layer normalisation of `n` rows; its input is kept, with the mean and the spread of each row.
pub fn layer_norm(n: usize, d: usize) -> Cost {
    Cost { parameters: 2 * d as u64, kept: (n * (d + 2)) as u64, ..Cost::default() }
}

/// A root-mean-square normalisation of `n` rows; its input is kept.
pub fn rms_norm(n: usize, d: usize) -> Cost {
    Cost { parameters: d as u64, kept: (n * (d + 1)) as u64, ..Cost::default() }
}

/// A convolution block (see [`super::convolution::ConvolutionBlock`]) with `n` places in its output: its patches, the
/// products before the normalisation and those behind it are kept.
pub fn convolution(n: usize, taps: usize, [channels_in, channels_out]: [usize; 2]) -> Cost {
    let gelu = Cost { kept: (n * channels_out) as u64, ..Cost::default() };
    linear(n, taps * channels_in, channels_out, true) + layer_norm(n, channels_out) + gelu
}

/// Learned values that no product is made of, such as positions.
pub fn table(n: usize, d: usize) -> Cost {
    Cost { parameters: (n * d) as u64, ..Cost::default() }
}
