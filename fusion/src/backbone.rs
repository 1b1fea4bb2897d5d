//! The shared transformer over the tokens of whichever modalities are present, with an optional causal text at
//! the end that makes the same weights a decoder.
//!
//! Who attends to whom, for two inputs `A`, `B` and a causal text `c1 c2 c3` (`x` = attends):
//!
//! ```text
//!            A A A B B c1 c2 c3
//!      A, B  x x x x x .  .  .      the inputs see each other, never the text that they explain
//!      c1    x x x x x x  .  .
//!      c2    x x x x x x  x  .      the text sees the inputs and its own past
//!      c3    x x x x x x  x  x
//! ```

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::layers::cost::{self, Cost, CostTree};
use triptych_encoders::layers::embedding::{Embedding, add_positions};
use triptych_encoders::layers::experts::{ExpertsConfig, Kind, RoutedConfig};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::{KeyValueCache, Transformer, TransformerConfig};
use triptych_encoders::{ConfigError, Modality, TextInput, TokenSequence, select_rows};

use crate::sequence::{FusedSequence, Segment, Span};

/// Sizes of a [`Backbone`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// Longest causal text in tokens, begin mark included; so one more than the longest text.
    pub max_causal_tokens: usize,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Feed-forward networks in the place of each block's one: an expert a modality (the causal text is text), or routed
    /// ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<ExpertsConfig>,
}

impl BackboneConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self { max_causal_tokens: 12, transformer: TransformerConfig::tiny(), experts: None }
    }

    /// One small configuration of every backbone, for tests.
    pub fn registry() -> Vec<(&'static str, Self)> {
        let routed = RoutedConfig {
            n_experts: 3,
            n_active: 2,
            capacity_factor: None,
            balance_weight: 0.01,
            z_weight: 0.001,
        };
        let with = |experts| Self { experts: Some(experts), ..Self::tiny() };
        vec![
            ("transformer", Self::tiny()),
            ("multiway", with(ExpertsConfig::Modality)),
            ("mixture_of_experts", with(ExpertsConfig::Routed(routed))),
        ]
    }

    /// What fusing `n_inputs` tokens of text, image and audio with a causal text of `n_causal` behind them costs, the scores
    /// of the causal text's next tokens included.
    pub fn cost(
        &self,
        d_encoders: [usize; 3],
        n_vocab: usize,
        n_inputs: [usize; 3],
        n_causal: usize,
    ) -> CostTree {
        let d_model = self.transformer.d_model;
        let n_tokens = n_inputs.iter().sum::<usize>() + n_causal;
        let shape = [n_tokens, d_model];
        let inputs = d_encoders.iter().zip(n_inputs).map(|(&d, n)| cost::linear(n, d, d_model, true));
        let logits = Cost { parameters: n_vocab as u64, ..cost::linear(n_causal, d_model, n_vocab, false) };
        let parts = vec![
            CostTree::leaf("inputs", &shape, inputs.fold(Cost::default(), |sum, input| sum + input)),
            CostTree::leaf("modalities", &[], cost::table(Modality::ALL.len(), d_model)),
            CostTree::leaf("causal", &[n_causal, d_model], cost::table(n_vocab, d_model)),
            CostTree::leaf(
                "causal_positions",
                &[n_causal, d_model],
                cost::table(self.max_causal_tokens, d_model),
            ),
            self.transformer.cost_with_experts(n_tokens, self.experts.as_ref()),
            CostTree::leaf("vocabulary", &[n_causal, n_vocab], logits),
        ];
        CostTree::of("backbone", &shape, parts)
    }

    /// Random weights. `d_encoders` are the widths of the text, image and audio tokens, in the order of
    /// [`Modality::ALL`]; `n_vocab` is the number of token ids of the causal text.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(
        &self,
        d_encoders: [usize; 3],
        n_vocab: usize,
        init: &mut Initializer,
    ) -> Result<Backbone, ConfigError> {
        let d_model = self.transformer.d_model;
        if self.max_causal_tokens == 0 || n_vocab == 0 {
            return Err(ConfigError::new(format!(
                "a backbone needs room for a begin mark and a vocabulary, got max_causal_tokens {} and {n_vocab} token \
                 ids",
                self.max_causal_tokens
            )));
        }
        Ok(Backbone {
            inputs: d_encoders.iter().map(|&d_encoder| Linear::new(d_encoder, d_model, init)).collect(),
            modalities: init.truncated_normal([Modality::ALL.len(), d_model], 0.02),
            causal: Embedding::new(n_vocab, d_model, init),
            causal_positions: init.truncated_normal([self.max_causal_tokens, d_model], 0.02),
            vocabulary_bias: init.constant([n_vocab], 0.0),
            transformer: self.transformer.init_with_experts(self.experts.as_ref(), init)?,
        })
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Backbone {
    /// One map a modality to the backbone's width.
    inputs: Vec<Linear>,
    /// `[3, d_model]`, added to every token of a modality.
    modalities: Param<Tensor<2>>,
    /// Embeddings of the causal text, which are its output weights too.
    causal: Embedding,
    causal_positions: Param<Tensor<2>>,
    vocabulary_bias: Param<Tensor<1>>,
    transformer: Transformer,
}

/// Where decoding stands: the keys and values so far, and which of them are padding.
#[derive(Clone, Debug)]
pub struct DecodingState {
    cache: KeyValueCache,
    is_pad: Tensor<2, Bool>,
    n_causal: usize,
}

impl Backbone {
    /// Fuses any subset of modalities, all looking at each other.
    ///
    /// # Shapes
    /// Each `[batch, n_tokens, d_encoder]` -> `[batch, sum of n_tokens, d_model]`
    ///
    /// # Panics
    /// When there is no input at all.
    pub fn forward(&self, inputs: &[TokenSequence]) -> FusedSequence {
        let (tokens, is_pad, spans) = self.join(inputs);
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        let (tokens, routing) = self.transformer.forward_among(tokens, &mask, &kinds(&spans));
        FusedSequence { tokens, is_pad, spans, routing }
    }

    /// Fuses the inputs as [`Self::forward`] does, and gives what the first `n` blocks make of them for every `n` of `depths`
    /// too, in rising order, normalised as the whole is, which comes last; 0 gives what goes into the first.
    ///
    /// # Shapes
    /// Each `[batch, n_tokens, d_encoder]` -> `[batch, sum of n_tokens, d_model]`, one a depth below the last, and one
    ///
    /// # Panics
    /// When there is no input at all.
    pub fn forward_tapped(&self, inputs: &[TokenSequence], depths: &[usize]) -> Vec<FusedSequence> {
        let (tokens, is_pad, spans) = self.join(inputs);
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        let (tapped, routing) = self.transformer.forward_tapped(tokens, &mask, &kinds(&spans), depths);
        let fused =
            |tokens| FusedSequence { tokens, is_pad: is_pad.clone(), spans: spans.clone(), routing: None };
        let mut tapped = tapped.into_iter().map(fused).collect::<Vec<_>>();
        if let Some(whole) = tapped.last_mut() {
            whole.routing = routing;
        }
        tapped
    }

    /// Fuses the inputs with a causal text behind them; without inputs, it reads the text alone.
    ///
    /// # Shapes
    /// The text is `[batch, n_causal]` -> `[batch, sum of n_tokens + n_causal, d_model]`
    ///
    /// # Panics
    /// When the text is longer than `max_causal_tokens`.
    pub fn forward_causal(&self, inputs: &[TokenSequence], text: &TextInput) -> FusedSequence {
        let [_, n_causal] = text.ids.dims();
        let causal = add_positions(self.causal.forward(text.ids.clone()), &self.causal_positions);
        let (tokens, is_pad, mut spans) = match inputs {
            [] => (causal, text.is_pad.clone(), Vec::new()),
            _ => {
                let (prefix, prefix_is_pad, spans) = self.join(inputs);
                let is_pad = Tensor::cat(vec![prefix_is_pad, text.is_pad.clone()], 1);
                (Tensor::cat(vec![prefix, causal], 1), is_pad, spans)
            }
        };
        let n_prefix = spans.last().map_or(0, |(_, places)| places.end);
        spans.push((Segment::Causal, n_prefix..n_prefix + n_causal));
        let mask = AttentionMask::prefix(Some(is_pad.clone()), n_prefix);
        let (tokens, routing) = self.transformer.forward_among(tokens, &mask, &kinds(&spans));
        FusedSequence { tokens, is_pad, spans, routing }
    }

    /// Scores of every token id, from fused tokens and the tied embeddings.
    ///
    /// # Shapes
    /// `[n, d_model]` -> `[n, n_vocab]`
    pub fn vocabulary_logits(&self, tokens: Tensor<2>) -> Tensor<2> {
        tokens.matmul(self.causal.weight.val().transpose()) + self.vocabulary_bias.val().unsqueeze::<2>()
    }

    /// Runs the inputs once, for decoding behind them.
    ///
    /// # Panics
    /// When there is no input at all.
    pub fn start_decoding(&self, inputs: &[TokenSequence]) -> (FusedSequence, DecodingState) {
        let (tokens, is_pad, spans) = self.join(inputs);
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        let (tokens, cache) = self.transformer.prefill(tokens, &mask, None, &kinds(&spans));
        (
            FusedSequence { tokens, is_pad: is_pad.clone(), spans, routing: None },
            DecodingState { cache, is_pad, n_causal: 0 },
        )
    }

    /// Runs the next token of every row and gives the scores of the one behind it.
    ///
    /// # Shapes
    /// `[batch]` -> `[batch, n_vocab]`
    ///
    /// # Panics
    /// Behind `max_causal_tokens` tokens.
    pub fn decode_next(&self, ids: Tensor<1, Int>, state: &mut DecodingState) -> Tensor<2> {
        let [batch] = ids.dims();
        let [_, d_model] = self.causal_positions.dims();
        let position = self.causal_positions.val().narrow(0, state.n_causal, 1).unsqueeze::<3>();
        let token = self.causal.forward(ids.reshape([batch, 1])) + position;
        let here = Tensor::<2, Bool>::full([batch, 1], false, &token.device());
        state.is_pad = Tensor::cat(vec![state.is_pad.clone(), here], 1);
        state.n_causal += 1;
        let token = self.transformer.forward_cached(token, Some(&state.is_pad), &mut state.cache);
        self.vocabulary_logits(token.reshape([batch, d_model]))
    }

    /// Number of token ids of the causal text.
    pub fn n_vocab(&self) -> usize {
        let [n_vocab] = self.vocabulary_bias.dims();
        n_vocab
    }

    /// Longest causal text in tokens, begin mark included.
    pub fn max_causal_tokens(&self) -> usize {
        let [max_causal_tokens, _] = self.causal_positions.dims();
        max_causal_tokens
    }

    fn join(&self, inputs: &[TokenSequence]) -> (Tensor<3>, Tensor<2, Bool>, Vec<Span>) {
        assert!(!inputs.is_empty(), "the backbone needs at least one modality");
        let modalities = self.modalities.val();
        let (mut tokens, mut is_pad, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for input in inputs {
            let idx = input.modality.idx();
            let modality = modalities.clone().narrow(0, idx, 1).unsqueeze::<3>();
            let [_, n_tokens, _] = input.tokens.dims();
            tokens.push(self.inputs[idx].forward(input.tokens.clone()) + modality);
            is_pad.push(input.is_pad.clone());
            spans.push((Segment::Encoded(input.modality), start..start + n_tokens));
            start += n_tokens;
        }
        (Tensor::cat(tokens, 1), Tensor::cat(is_pad, 1), spans)
    }
}

/// Which expert each span belongs to: the causal text is text.
fn kinds(spans: &[Span]) -> Vec<Kind> {
    let kind = |segment: &Segment| match segment {
        Segment::Encoded(modality) => modality.idx(),
        Segment::Causal => Modality::Text.idx(),
    };
    spans.iter().map(|(segment, places)| (kind(segment), places.clone())).collect()
}

impl DecodingState {
    /// Where its tensors lie.
    pub fn device(&self) -> Device {
        self.is_pad.device()
    }

    /// Keeps the rows `rows` of the batch, in that order; a row may be taken more than once (beam search).
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            cache: self.cache.select(rows),
            is_pad: select_rows(&self.is_pad, rows),
            n_causal: self.n_causal,
        }
    }
}
