//! Long inputs to a few tokens: learned queries that attend to them.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::layers::cost::{self, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::{Context, Transformer, TransformerConfig};
use triptych_encoders::{ConfigError, Modality, TokenSequence};

/// Sizes of a [`Resampler`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResamplerConfig {
    /// How many tokens stand for the input, however long it is: 32 in Li et al. 2023 (BLIP-2), 64 in Alayrac et al. 2022
    /// (Flamingo).
    pub n_latents: usize,
    /// The blocks, of any width.
    pub transformer: TransformerConfig,
}

/// Which inputs are resampled on their way to the backbone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResampleConfig {
    /// Tokens of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ResamplerConfig>,
    /// Tokens of sounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<ResamplerConfig>,
}

impl ResampleConfig {
    /// Whether every input reaches the backbone as it is.
    pub fn is_none(&self) -> bool {
        Modality::ALL.into_iter().all(|modality| self.of(modality).is_none())
    }

    /// The resampler of a modality. Texts have none: what is written about them stands at their tokens.
    pub fn of(&self, modality: Modality) -> Option<&ResamplerConfig> {
        match modality {
            Modality::Text => None,
            Modality::Image => self.image.as_ref(),
            Modality::Audio => self.audio.as_ref(),
        }
    }
}

impl ResamplerConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        Self {
            n_latents: 3,
            transformer: TransformerConfig { mlp_ratio: 2, ..TransformerConfig::new(12, 2, 2) },
        }
    }

    /// What resampling `n_tokens` of width `d_encoder` costs.
    pub fn cost(&self, n_tokens: usize, d_encoder: usize) -> CostTree {
        let Self { n_latents, transformer } = self;
        let shape = [*n_latents, transformer.d_model];
        let parts = vec![
            CostTree::leaf("latents", &shape, cost::table(*n_latents, transformer.d_model)),
            transformer.cost_attending(*n_latents, [n_tokens, d_encoder]),
        ];
        CostTree::of("resampler", &shape, parts)
    }

    /// Random weights for tokens of width `d_encoder`.
    ///
    /// # Errors
    /// When there are no latents, or sizes do not fit together.
    pub fn init(&self, d_encoder: usize, init: &mut Initializer) -> Result<Resampler, ConfigError> {
        if self.n_latents == 0 {
            return Err(ConfigError::new("a resampler needs tokens to give, got n_latents 0"));
        }
        Ok(Resampler {
            latents: init.truncated_normal([self.n_latents, self.transformer.d_model], 0.02),
            transformer: self.transformer.init_attending(d_encoder, init)?,
        })
    }
}

/// Learned queries under blocks of self-attention among them, cross-attention to the input, and a feed-forward.
///
/// # Reference
/// Li et al. 2023 (BLIP-2), section 3.1, "Q-Former"; Jaegle et al. 2021 ("Perceiver").
///
/// # Differences from the reference
/// Every block attends to the input; every second one does in the Q-Former, which starts from BERT's weights.
#[derive(Module, Debug)]
pub struct Resampler {
    /// `[n_latents, d_latent]`
    latents: Param<Tensor<2>>,
    transformer: Transformer,
}

impl Resampler {
    /// The latents of a row of padding alone are padding.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_encoder]` -> `[batch, n_latents, d_latent]`
    pub fn forward(&self, input: &TokenSequence) -> TokenSequence {
        let [batch, _, _] = input.tokens.dims();
        let latents = self.latents.val().unsqueeze::<3>().repeat_dim(0, batch);
        let [_, n_latents, _] = latents.dims();
        let context = Context { tokens: input.tokens.clone(), is_pad: Some(input.is_pad.clone()) };
        let mask = AttentionMask::bidirectional(None);
        let tokens = self.transformer.forward_attending(latents, &mask, &context);
        // counted as numbers: what the CPU makes of `all` along an axis fits no other mask
        let n_valid = input.is_pad.clone().bool_not().int().sum_dim(1);
        let is_pad = n_valid.equal_elem(0).repeat_dim(1, n_latents);
        TokenSequence::new(tokens, is_pad, input.modality)
    }
}
