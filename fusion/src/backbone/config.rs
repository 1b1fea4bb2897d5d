//! Sizes of the backbone, and what it costs.

use serde::{Deserialize, Serialize};
use triptych_encoders::layers::cost::{self, Cost, CostTree};
use triptych_encoders::layers::embedding::Embedding;
use triptych_encoders::layers::experts::{ExpertsConfig, RoutedConfig};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::layers::transformer::TransformerConfig;
use triptych_encoders::{ConfigError, Modality};

use super::Backbone;
use crate::co_attention::CoAttention;
use crate::resampler::{ResampleConfig, ResamplerConfig};

/// How the inputs' tokens come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionKind {
    /// One sequence under self-attention ("merged attention" in Dou et al. 2022, METER).
    #[default]
    Joint,
    /// Language and perception as two streams with blocks of their own, each attending to the other (Lu et al. 2019,
    /// ViLBERT).
    CoAttention,
}

impl FusionKind {
    fn is_joint(&self) -> bool {
        *self == Self::Joint
    }
}

/// Sizes of a [`Backbone`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// Longest causal text in tokens, begin mark included; so one more than the longest text.
    pub max_causal_tokens: usize,
    /// How the inputs' tokens come together.
    #[serde(default, skip_serializing_if = "FusionKind::is_joint")]
    pub kind: FusionKind,
    /// The blocks; with co-attention, those of each stream.
    pub transformer: TransformerConfig,
    /// Feed-forward networks in the place of each block's one: an expert a modality (the causal text is text), or routed
    /// ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<ExpertsConfig>,
    /// Inputs that reach the blocks as a few learned queries' views of them.
    #[serde(default, skip_serializing_if = "ResampleConfig::is_none")]
    pub resample: ResampleConfig,
}

impl BackboneConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self {
            max_causal_tokens: 12,
            kind: FusionKind::Joint,
            transformer: TransformerConfig::tiny(),
            experts: None,
            resample: ResampleConfig::default(),
        }
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
        let co_attention = Self { kind: FusionKind::CoAttention, ..Self::tiny() };
        let resampled = ResampleConfig {
            image: Some(ResamplerConfig { n_latents: 2, ..ResamplerConfig::tiny() }),
            audio: Some(ResamplerConfig::tiny()),
        };
        vec![
            ("transformer", Self::tiny()),
            ("multiway", with(ExpertsConfig::Modality)),
            ("mixture_of_experts", with(ExpertsConfig::Routed(routed))),
            ("co_attention", co_attention),
            ("resampler", Self { resample: resampled, ..Self::tiny() }),
        ]
    }

    /// The entries of [`Self::registry`], each with what a config says to choose it.
    pub const ABOUT: &'static [(&'static str, &'static str)] = &[
        ("transformer", "self-attention over all tokens: the default"),
        ("multiway", "a feed-forward a modality: model.fusion.experts = \"modality\""),
        ("mixture_of_experts", "routed feed-forwards: [model.fusion.experts.routed]"),
        ("co_attention", "two streams, each attending to the other: model.fusion.kind = \"co_attention\""),
        ("resampler", "learned queries in a long input's place: [model.fusion.resample.audio], [.. .image]"),
    ];

    /// Tokens that stand for `n_tokens` of a modality in the fused sequence.
    pub fn n_fused(&self, modality: Modality, n_tokens: usize) -> usize {
        match self.resample.of(modality) {
            Some(resampler) if n_tokens > 0 => resampler.n_latents,
            _ => n_tokens,
        }
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
        let mut parts = Vec::new();
        let mut inputs = Cost::default();
        let mut n_fused = [0; 3];
        for modality in Modality::ALL {
            let idx = modality.idx();
            let (n, mut d_input) = (n_inputs[idx], d_encoders[idx]);
            if let Some(resampler) = self.resample.of(modality) {
                let cost = resampler.cost(n, d_input).named(&format!("resampler.{}", modality.name()));
                // an input that is not there is not resampled, but the parameters are
                parts.push(if n > 0 { cost } else { cost.unused() });
                d_input = resampler.transformer.d_model;
            }
            n_fused[idx] = self.n_fused(modality, n);
            inputs = inputs + cost::linear(n_fused[idx], d_input, d_model, true);
        }
        let n_tokens = n_fused.iter().sum::<usize>() + n_causal;
        let shape = [n_tokens, d_model];
        let logits = Cost { parameters: n_vocab as u64, ..cost::linear(n_causal, d_model, n_vocab, false) };
        parts.extend([
            CostTree::leaf("inputs", &shape, inputs),
            CostTree::leaf("modalities", &[], cost::table(Modality::ALL.len(), d_model)),
            CostTree::leaf("causal", &[n_causal, d_model], cost::table(n_vocab, d_model)),
            CostTree::leaf(
                "causal_positions",
                &[n_causal, d_model],
                cost::table(self.max_causal_tokens, d_model),
            ),
        ]);
        let [n_text, n_image, n_audio] = n_fused;
        match self.kind {
            FusionKind::Joint => {
                parts.push(self.transformer.cost_with_experts(n_tokens, self.experts.as_ref()));
            }
            FusionKind::CoAttention => {
                let n_language = n_text + n_causal;
                parts.extend(CoAttention::cost(&self.transformer, n_language, n_text, n_image + n_audio));
            }
        }
        parts.push(CostTree::leaf("vocabulary", &[n_causal, n_vocab], logits));
        CostTree::of("backbone", &shape, parts)
    }

    /// Random weights. `d_encoders` are the widths of the text, image and audio tokens, in the order of
    /// [`Modality::ALL`]; `n_vocab` is the number of token ids of the causal text.
    ///
    /// # Errors
    /// When sizes do not fit together, or experts are asked for with co-attention.
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
        if self.kind == FusionKind::CoAttention && self.experts.is_some() {
            return Err(ConfigError::new(
                "experts go with kind = \"joint\", got experts and kind = \"co_attention\"; hint: its streams have \
                 feed-forwards of their own already",
            ));
        }
        let resampler = |modality: Modality, init: &mut Initializer| {
            let config = self.resample.of(modality);
            config.map(|config| config.init(d_encoders[modality.idx()], init)).transpose()
        };
        let image_resampler = resampler(Modality::Image, init)?;
        let audio_resampler = resampler(Modality::Audio, init)?;
        let inputs = Modality::ALL.map(|modality| match self.resample.of(modality) {
            Some(config) => config.transformer.d_model,
            None => d_encoders[modality.idx()],
        });
        let inputs = inputs.iter().map(|&d_input| Linear::new(d_input, d_model, init)).collect();
        let modalities = init.truncated_normal([Modality::ALL.len(), d_model], 0.02);
        let causal = Embedding::new(n_vocab, d_model, init);
        let causal_positions = init.truncated_normal([self.max_causal_tokens, d_model], 0.02);
        let (transformer, co_attention) = match self.kind {
            FusionKind::Joint => (self.transformer.init_with_experts(self.experts.as_ref(), init)?, None),
            FusionKind::CoAttention => {
                let (language, co_attention) = CoAttention::init(&self.transformer, init)?;
                (language, Some(co_attention))
            }
        };
        Ok(Backbone {
            image_resampler,
            audio_resampler,
            inputs,
            modalities,
            causal,
            causal_positions,
            vocabulary_bias: init.constant([n_vocab], 0.0),
            transformer,
            co_attention,
        })
    }
}
