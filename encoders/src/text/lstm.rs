//! The recurrent baseline: LSTMs in both directions.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::activation::sigmoid;
use serde::{Deserialize, Serialize};

use super::check_room;
use crate::input::TextInput;
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::embedding::Embedding;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::ops;
use crate::{ConfigError, Modality, TokenSequence};

/// Sizes of an [`Lstm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Width of a token, half of it from each direction.
    pub d_model: usize,
    /// Layers, one over the other.
    pub depth: usize,
    /// Whether training keeps each layer's input alone and computes the rest again in the backward pass (Chen et al. 2016).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint_blocks: bool,
}

/// Token embeddings under layers of LSTMs, one forwards and one backwards, whose outputs stand side by side.
///
/// # Reference
/// Hochreiter and Schmidhuber 1997 with the forget gates of Gers et al. 2000; Graves and Schmidhuber 2005 for both
/// directions; forget gates start open (Jozefowicz et al. 2015).
///
/// # Differences from the reference
/// One bias a gate, where PyTorch has two that are added. A row's backward direction starts at its own end, whatever the
/// padding: PyTorch needs a packed sequence for that, and Burn's LSTM has none.
#[derive(Module, Debug)]
pub struct Lstm {
    words: Embedding,
    layers: Vec<Layer>,
    checkpoint_blocks: bool,
}

#[derive(Module, Debug)]
struct Layer {
    forwards: Direction,
    backwards: Direction,
}

/// Gates in PyTorch's order: input, forget, cell, output.
#[derive(Module, Debug)]
struct Direction {
    input: Linear,
    recurrent: Linear,
}

impl LstmConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { d_model: 16, depth: 2, checkpoint_blocks: false }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, n_vocab: usize, init: &mut Initializer) -> Result<Lstm, ConfigError> {
        let Self { d_model, depth, checkpoint_blocks } = *self;
        check_room(n_vocab, usize::MAX)?;
        if d_model == 0 || depth == 0 || !d_model.is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "an LSTM in both directions needs layers of an even d_model, got d_model {d_model} and depth {depth}"
            )));
        }
        let direction = |init: &mut Initializer| Direction::new(d_model, d_model / 2, init);
        Ok(Lstm {
            words: Embedding::new(n_vocab, d_model, init),
            layers: (0..depth)
                .map(|_| Layer { forwards: direction(init), backwards: direction(init) })
                .collect(),
            checkpoint_blocks,
        })
    }

    /// What a text of `n_tokens` costs.
    pub fn cost(&self, n_vocab: usize, n_tokens: usize) -> CostTree {
        let Self { d_model, depth, checkpoint_blocks } = *self;
        let (shape, d_hidden) = ([n_tokens, d_model], d_model / 2);
        // of a direction the backward pass reads four gates, the cell and its squashed value again
        let states = Cost { kept: (6 * n_tokens * d_hidden) as u64, ..Cost::default() };
        let direction = cost::linear(n_tokens, d_model, 4 * d_hidden, true)
            + cost::linear(n_tokens, d_hidden, 4 * d_hidden, false)
            + states;
        let layers = CostTree::leaf("layers", &shape, direction * 2).repeated(depth);
        let layers =
            if checkpoint_blocks { layers.checkpointed((n_tokens * d_model) as u64) } else { layers };
        let parts = vec![CostTree::leaf("words", &shape, cost::table(n_vocab, d_model)), layers];
        CostTree::of("lstm", &shape, parts)
    }
}

impl Direction {
    fn new(d_in: usize, d_hidden: usize, init: &mut Initializer) -> Self {
        let bias = |value, n| Tensor::<1>::full([n], value, init.device());
        let bias = Tensor::cat(vec![bias(0.0, d_hidden), bias(1.0, d_hidden), bias(0.0, 2 * d_hidden)], 0);
        let input = Linear::new(d_in, 4 * d_hidden, init);
        Self {
            input: Linear { bias: Some(Param::from_tensor(bias)), ..input },
            recurrent: Linear::with_bias(false, d_hidden, 4 * d_hidden, init),
        }
    }

    /// Runs over the tokens in `order`; the state is 0 where there is padding.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_in]`, is_pad `[batch, n_tokens]` -> `[batch, n_tokens, d_hidden]`
    fn forward(
        &self,
        tokens: Tensor<3>,
        is_pad: &Tensor<2, Bool>,
        order: impl Iterator<Item = usize>,
    ) -> Tensor<3> {
        let [batch, n_tokens, _] = tokens.dims();
        let [d_hidden, _] = self.recurrent.weight.dims();
        let from_input = self.input.forward(tokens);
        let mut hidden = Tensor::<2>::zeros([batch, d_hidden], &from_input.device());
        let mut cell = hidden.clone();
        let mut outputs = vec![None; n_tokens];
        for place in order {
            let gates = from_input.clone().narrow(1, place, 1).squeeze_dim::<2>(1);
            let gates = self.recurrent.forward_add(hidden, gates);
            let gate = |idx: usize| gates.clone().narrow(1, idx * d_hidden, d_hidden);
            let absent = is_pad.clone().narrow(1, place, 1).expand([batch, d_hidden]);
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
            cell = cell.mask_fill(absent.clone(), 0.0);
            hidden = (sigmoid(gate(3)) * cell.clone().tanh()).mask_fill(absent, 0.0);
            outputs[place] = Some(hidden.clone().unsqueeze_dim::<3>(1));
        }
        Tensor::cat(outputs.into_iter().flatten().collect(), 1)
    }
}

impl Layer {
    /// `[batch, n_tokens, d_model]` -> the same
    fn forward(&self, tokens: Tensor<3>, is_pad: &Tensor<2, Bool>) -> Tensor<3> {
        let [_, n_tokens, _] = tokens.dims();
        let forwards = self.forwards.forward(tokens.clone(), is_pad, 0..n_tokens);
        Tensor::cat(vec![forwards, self.backwards.forward(tokens, is_pad, (0..n_tokens).rev())], 2)
    }
}

impl Lstm {
    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_model]`
    pub fn forward(&self, input: &TextInput) -> TokenSequence {
        let is_pad = &input.is_pad;
        let tokens = self.layers.iter().fold(self.words.forward(input.ids.clone()), |tokens, layer| {
            if !self.checkpoint_blocks {
                return layer.forward(tokens, is_pad);
            }
            let is_pad = is_pad.clone().without_autodiff();
            ops::checkpointed(layer, vec![tokens], move |layer, inputs| {
                layer.forward(inputs[0].clone(), &is_pad)
            })
        });
        TokenSequence::new(tokens, is_pad.clone(), Modality::Text)
    }
}
