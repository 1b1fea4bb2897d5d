//! Several feed-forward networks in the place of one: an expert a kind of token, or experts that a router chooses.

use std::ops::Range;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::IndexingUpdateOp;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::feed_forward::{FeedForward, FeedForwardConfig};
use super::initializer::Initializer;
use super::linear::Linear;
use crate::ConfigError;

/// Which experts there are beside the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExpertsConfig {
    /// One a kind of token: text, image, audio (Wang et al. 2022, "Image as a foreign language": multiway).
    Modality,
    /// A router sends each token to some of them.
    Routed(RoutedConfig),
}

/// Experts that a router chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutedConfig {
    /// How many there are.
    pub n_experts: usize,
    /// How many a token is sent to: 1 in Fedus et al. 2021 ("Switch"), 2 in Lepikhin et al. 2020 ("GShard").
    pub n_active: usize,
    /// In training an expert takes at most this many times its even share of the tokens, in their order; the others skip
    /// it. No limit if left out, and none outside training, where a token's output must not depend on others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_factor: Option<f64>,
    /// Weight of the loss that evens the experts' shares; 0.01 in Fedus et al. 2021, equation 4.
    #[serde(default = "balance_weight")]
    pub balance_weight: f64,
    /// Weight of the loss that keeps the router's logits small; 0.001 in Zoph et al. 2022, equation 5.
    #[serde(default = "z_weight")]
    pub z_weight: f64,
}

fn balance_weight() -> f64 {
    0.01
}

fn z_weight() -> f64 {
    0.001
}

/// Kinds of tokens that [`ExpertsConfig::Modality`] tells apart.
const N_KINDS: usize = 3;

impl ExpertsConfig {
    /// How many feed-forward networks there are, and how many of them a token passes.
    pub fn counts(&self) -> [usize; 2] {
        match self {
            Self::Modality => [N_KINDS, 1],
            Self::Routed(routed) => [routed.n_experts, routed.n_active],
        }
    }

    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// When there are no experts, fewer than are to be active, or a capacity that lets nothing through.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self::Routed(RoutedConfig { n_experts, n_active, capacity_factor, .. }) = self else {
            return Ok(());
        };
        if *n_active == 0 || n_active > n_experts {
            return Err(ConfigError::new(format!(
                "routed experts need 1 <= n_active <= n_experts, got n_active {n_active} and n_experts {n_experts}"
            )));
        }
        match capacity_factor {
            Some(factor) if !(factor.is_finite() && *factor > 0.0) => {
                Err(ConfigError::new(format!("capacity_factor must be positive, got {factor}")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn init(
        &self,
        feed_forward: &FeedForwardConfig,
        scale: f64,
        init: &mut Initializer,
    ) -> Experts {
        let [n_experts, n_active] = self.counts();
        let others = (1..n_experts).map(|_| feed_forward.init(init).with_scaled_output(scale)).collect();
        let none = Experts {
            router: None,
            others,
            n_active,
            capacity_factor: None,
            balance_weight: 0.0,
            z_weight: 0.0,
        };
        match self {
            Self::Modality => none,
            Self::Routed(routed) => Experts {
                router: Some(Linear::with_bias(false, feed_forward.d_model, n_experts, init)),
                capacity_factor: routed.capacity_factor,
                balance_weight: routed.balance_weight,
                z_weight: routed.z_weight,
                ..none
            },
        }
    }
}

/// The experts beside a block's first feed-forward.
#[derive(Module, Debug)]
pub(super) struct Experts {
    router: Option<Linear>,
    others: Vec<FeedForward>,
    n_active: usize,
    capacity_factor: Option<f64>,
    balance_weight: f64,
    z_weight: f64,
}

/// Tokens of a kind: its index, and their places in the sequence.
pub type Kind = (usize, Range<usize>);

/// How evenly routers chose.
#[derive(Clone, Debug)]
pub struct Routing {
    /// `n_experts * Σ f_e P_e`, with `f_e` the share of choices that fell on expert e and `P_e` its mean probability; 1
    /// when both are even (Fedus et al. 2021, equation 4).
    pub balance: Tensor<1>,
    /// Mean square of the logits' log-sum-exp (Zoph et al. 2022, equation 5).
    pub z: Tensor<1>,
    /// What to weigh `balance` and `z` by in a training loss.
    pub weights: [f32; 2],
    /// Choices of tokens, and how many of those an expert had no room for.
    pub n_chosen: usize,
    /// See `n_chosen`.
    pub n_dropped: usize,
}

impl Routing {
    /// The mean of the losses and the sum of the counts; `None` of none.
    pub fn mean(all: Vec<Self>) -> Option<Self> {
        let n = all.len() as f32;
        let sum = all.into_iter().reduce(|sum, next| Self {
            balance: sum.balance + next.balance,
            z: sum.z + next.z,
            weights: sum.weights,
            n_chosen: sum.n_chosen + next.n_chosen,
            n_dropped: sum.n_dropped + next.n_dropped,
        })?;
        Some(Self { balance: sum.balance / n, z: sum.z / n, ..sum })
    }
}

impl Experts {
    /// Each token through the expert of its kind; those of no kind through the first.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> the same; `kinds` follow each other and cover all tokens
    ///
    /// # Panics
    /// When the kinds do not cover the tokens.
    pub(super) fn forward_by_kind(&self, first: &FeedForward, x: Tensor<3>, kinds: &[Kind]) -> Tensor<3> {
        let n_tokens = x.dims()[1];
        let n_covered = kinds.iter().map(|(_, places)| places.len()).sum::<usize>();
        assert_eq!(n_covered, n_tokens, "experts: the kinds must cover all tokens");
        let parts = kinds.iter().map(|(kind, places)| {
            let expert = if *kind == 0 { first } else { &self.others[kind - 1] };
            expert.forward(x.clone().narrow(1, places.start, places.len()))
        });
        Tensor::cat(parts.collect(), 1)
    }

    /// Each token through the experts that the router finds likeliest, weighted by their probabilities: as they are for
    /// one, so that the router has a gradient, and made to add up to 1 for several. Padding passes none.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]`, `is_pad` of `batch * n_tokens` -> the same; `None` where there is no router
    pub(super) fn forward_routed(
        &self,
        first: &FeedForward,
        x: Tensor<3>,
        is_pad: Option<Vec<bool>>,
    ) -> Option<(Tensor<3>, Routing)> {
        let router = self.router.as_ref()?;
        let [batch, n_tokens, d_model] = x.dims();
        let (n_rows, n_experts) = (batch * n_tokens, 1 + self.others.len());
        let device = x.device();
        let rows = x.reshape([n_rows, d_model]);
        let logits = router.forward(rows.clone());
        let probabilities = softmax(logits.clone(), 1);
        let on_host: Vec<f32> = probabilities.to_data().iter::<f32>().collect();
        let is_pad = is_pad.unwrap_or_else(|| vec![false; n_rows]);
        let n_valid = is_pad.iter().filter(|is_pad| !**is_pad).count();
        let capacity = match self.capacity_factor {
            Some(factor) if device.is_autodiff() => {
                (factor * (self.n_active * n_valid) as f64 / n_experts as f64).ceil() as usize
            }
            _ => usize::MAX,
        };
        let choices = Choices::of(&on_host, &is_pad, n_experts, self.n_active, capacity);
        let table =
            |values: Vec<f32>, d| Tensor::<2>::from_data(TensorData::new(values, [n_rows, d]), &device);
        let chosen = table(choices.chosen, n_experts);
        let gates = probabilities.clone() * chosen.clone();
        let gates = if self.n_active == 1 {
            gates
        } else {
            // padding chooses nothing: its sum must not be a divisor of 0
            let sum = gates.clone().sum_dim(1);
            gates / sum.clamp_min(f32::MIN_POSITIVE)
        };
        let mut output = rows.zeros_like();
        for (idx, taken) in choices.taken.iter().enumerate().filter(|(_, taken)| !taken.is_empty()) {
            let expert = if idx == 0 { first } else { &self.others[idx - 1] };
            let taken = Tensor::<1, Int>::from_data(TensorData::new(taken.clone(), [taken.len()]), &device);
            let gate = gates.clone().narrow(1, idx, 1).select(0, taken.clone());
            let given = expert.forward(rows.clone().select(0, taken.clone())) * gate;
            output = output.select_assign(0, taken, given, IndexingUpdateOp::Add);
        }
        let weight = 1.0 / n_valid.max(1) as f32;
        let weights = is_pad.iter().map(|&is_pad| if is_pad { 0.0 } else { weight }).collect();
        let weights = table(weights, 1);
        let shares = (chosen * weights.clone()).sum_dim(0) / self.n_active as f32;
        let mean = (probabilities * weights.clone()).sum_dim(0);
        // the logits of a few experts: no need to subtract the largest twice
        let largest = logits.clone().max_dim(1).detach();
        let log_sum = (logits - largest.clone()).exp().sum_dim(1).log() + largest;
        let routing = Routing {
            balance: (shares * mean).sum() * n_experts as f32,
            z: (log_sum.square() * weights).sum(),
            weights: [self.balance_weight as f32, self.z_weight as f32],
            n_chosen: n_valid * self.n_active,
            n_dropped: choices.n_dropped,
        };
        Some((output.reshape([batch, n_tokens, d_model]), routing))
    }
}

/// Who goes where.
struct Choices {
    /// `[n_rows, n_experts]`, 1 where a row chose an expert, whether there was room or not.
    chosen: Vec<f32>,
    /// The rows that each expert takes.
    taken: Vec<Vec<i64>>,
    n_dropped: usize,
}

impl Choices {
    /// The `n_active` likeliest experts of each row that is no padding, the first of equals.
    fn of(
        probabilities: &[f32],
        is_pad: &[bool],
        n_experts: usize,
        n_active: usize,
        capacity: usize,
    ) -> Self {
        let mut chosen = vec![0.0; probabilities.len()];
        let mut taken = vec![Vec::new(); n_experts];
        let mut n_dropped = 0;
        for (row, likely) in
            probabilities.chunks_exact(n_experts).enumerate().filter(|(row, _)| !is_pad[*row])
        {
            let mut order: Vec<usize> = (0..n_experts).collect();
            order.sort_by(|&a, &b| likely[b].total_cmp(&likely[a]));
            for &expert in &order[..n_active] {
                chosen[row * n_experts + expert] = 1.0;
                if taken[expert].len() < capacity {
                    taken[expert].push(row as i64);
                } else {
                    n_dropped += 1;
                }
            }
        }
        Self { chosen, taken, n_dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ops::Activation;

    const SIZES: FeedForwardConfig = FeedForwardConfig {
        d_model: 4,
        d_hidden: 6,
        activation: Activation::Gelu,
        is_gated: false,
        has_bias: true,
    };

    fn routed(n_experts: usize, n_active: usize, capacity_factor: Option<f64>) -> ExpertsConfig {
        ExpertsConfig::Routed(RoutedConfig {
            n_experts,
            n_active,
            capacity_factor,
            balance_weight: 0.01,
            z_weight: 0.001,
        })
    }

    fn tokens(device: &Device) -> Tensor<3> {
        let values = (0..24).map(|i| ((i * 7 % 11) as f32 - 5.0) / 5.0).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [2, 3, 4]), device)
    }

    #[test]
    fn one_routed_expert_is_the_dense_layer() {
        let device = Device::flex();
        let init = &mut Initializer::new(1, &device);
        let (first, experts) = (SIZES.init(init), routed(1, 1, None).init(&SIZES, 1.0, init));
        let x = tokens(&device);
        let (y, routing) = experts.forward_routed(&first, x.clone(), None).expect("there is a router");
        assert_eq!(y.into_data(), first.forward(x).into_data());
        assert!((routing.balance.into_scalar::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn tied_experts_of_kinds_are_the_shared_layer() {
        let device = Device::flex();
        let first = SIZES.init(&mut Initializer::new(1, &device));
        let experts = Experts {
            router: None,
            others: vec![first.clone(), first.clone()],
            n_active: 1,
            capacity_factor: None,
            balance_weight: 0.0,
            z_weight: 0.0,
        };
        let x = tokens(&device);
        let y = experts.forward_by_kind(&first, x.clone(), &[(1, 0..1), (2, 1..2), (0, 2..3)]);
        let (y, expected) = (y.into_data(), first.forward(x).into_data());
        y.assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-6));
    }

    #[test]
    fn full_experts_drop_in_training_alone_and_padding_is_never_sent() {
        for (device, n_dropped) in [(Device::flex().autodiff(), 2), (Device::flex(), 0)] {
            let init = &mut Initializer::new(1, &device);
            let (first, experts) = (SIZES.init(init), routed(1, 1, Some(0.5)).init(&SIZES, 1.0, init));
            let is_pad = vec![false, false, true, false, true, false];
            let (y, routing) =
                experts.forward_routed(&first, tokens(&device), Some(is_pad)).expect("there is a router");
            assert_eq!((routing.n_chosen, routing.n_dropped), (4, n_dropped));
            let y: Vec<f32> = y.into_data().iter::<f32>().collect();
            let is_zero = y.chunks(4).map(|row| row.iter().all(|y| *y == 0.0)).collect::<Vec<_>>();
            let is_dropped = n_dropped > 0;
            assert_eq!(is_zero, [false, false, true, is_dropped, true, is_dropped]);
        }
    }

    #[test]
    fn a_router_that_prefers_one_expert_pays_for_it() {
        let choices = Choices::of(&[0.9, 0.1, 0.8, 0.2, 0.5, 0.5], &[false; 3], 2, 1, usize::MAX);
        assert_eq!(choices.taken, [vec![0, 1, 2], vec![]]);
        assert_eq!(choices.chosen, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for (config, message) in [
            (routed(2, 3, None), "n_active 3 and n_experts 2"),
            (routed(2, 0, None), "n_active 0"),
            (routed(2, 1, Some(0.0)), "capacity_factor must be positive, got 0"),
        ] {
            let error = config.check().expect_err(message).to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
