//! Whisper: log-mel frames to text.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::blocks::{BlockNames, activation, packed};
use super::{Family, LargestSample};
use crate::audio::{WhisperEncoder, WhisperEncoderConfig};
use crate::layers::cost::{self, Cost, CostTree};
use crate::layers::embedding::{Embedding, add_positions};
use crate::layers::initializer::Initializer;
use crate::layers::ops::{self, AttentionMask, HalfTable};
use crate::layers::transformer::{BlockConfig, Context, KeyValueCache, Transformer, TransformerConfig};
use crate::pretrained::mapping::{Layout, Mapping};
use crate::pretrained::preprocessing::check_log_mel;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};
use crate::{AudioInput, ConfigError, TokenSequence};

/// Sizes of a [`Whisper`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhisperConfig {
    /// Token ids.
    pub n_vocab: usize,
    /// Bands of a frame.
    pub n_mels: usize,
    /// Longest sound in the encoder's tokens, of two frames each.
    pub max_audio_tokens: usize,
    /// Longest text in tokens.
    pub max_text_tokens: usize,
    /// Begins every text.
    pub start_token: u32,
    /// Ends a text.
    pub end_token: u32,
    /// The encoder's blocks.
    pub encoder: TransformerConfig,
    /// The decoder's blocks.
    pub decoder: TransformerConfig,
}

/// Two convolutions and a transformer over the frames, and a causal transformer over text that attends to it; the
/// embedding of tokens is their classifier too.
///
/// # Reference
/// Radford et al. 2023; `transformers`' `WhisperForConditionalGeneration`.
#[derive(Module, Debug)]
pub struct Whisper {
    pub(crate) encoder: WhisperEncoder,
    words: Embedding,
    text_positions: Param<Tensor<2>>,
    decoder: Transformer,
    /// The words once more, for decoding.
    #[module(skip)]
    half_words: Option<Arc<HalfTable>>,
}

impl WhisperConfig {
    /// The encoder's sizes.
    pub fn encoder(&self) -> WhisperEncoderConfig {
        WhisperEncoderConfig {
            max_tokens: self.max_audio_tokens,
            has_positions: true,
            transformer: self.encoder.clone(),
        }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<Whisper, ConfigError> {
        let d_model = self.encoder.d_model;
        if self.decoder.d_model != d_model {
            return Err(ConfigError::new(format!(
                "Whisper's encoder and decoder must be equally wide, got {d_model} and {}",
                self.decoder.d_model
            )));
        }
        Ok(Whisper {
            encoder: self.encoder().init(self.n_mels, init)?,
            words: Embedding::new(self.n_vocab, d_model, init),
            text_positions: init.truncated_normal([self.max_text_tokens, d_model], 0.02),
            decoder: self.decoder.init_attending(d_model, init)?,
            half_words: None,
        })
    }
}

impl Whisper {
    /// The same, ready to write: where the words' numbers are those of 16 bits, as OpenAI published them, every token reads half
    /// the memory for its scores, which stay the same.
    #[must_use]
    pub fn for_decoding(self) -> Self {
        let half_words = HalfTable::exact(&self.words.weight.val()).map(Arc::new);
        Self { half_words, ..self }
    }

    /// The sound as the decoder sees it. Silence to the full length is part of the sound: the model was trained so.
    ///
    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_frames / 2, d_model]`, rounded up
    ///
    /// # Panics
    /// When there are more frames than the model has positions for.
    pub fn encode(&self, input: &AudioInput) -> TokenSequence {
        let [batch, n_frames, _] = input.frames.dims();
        self.encoder.forward(&AudioInput { frames: input.frames.clone(), lengths: vec![n_frames; batch] })
    }

    /// Scores of what follows each token.
    ///
    /// # Shapes
    /// encoded `[batch, n_audio, d_model]`, ids `[batch, n_tokens]` -> `[batch, n_tokens, n_vocab]`
    ///
    /// # Panics
    /// When the text is longer than the model has positions for.
    pub fn logits(&self, encoded: &TokenSequence, ids: Tensor<2, Int>) -> Tensor<3> {
        let tokens = add_positions(self.words.forward(ids), &self.text_positions);
        let context = Context { tokens: encoded.tokens.clone(), is_pad: None };
        self.classify(self.decoder.forward_attending(tokens, &AttentionMask::causal(None), &context))
    }

    /// The same, keeping what decoding goes on from.
    ///
    /// # Shapes
    /// As [`Self::logits`].
    pub fn prefill(&self, encoded: &TokenSequence, ids: Tensor<2, Int>) -> (Tensor<3>, KeyValueCache) {
        let tokens = add_positions(self.words.forward(ids), &self.text_positions);
        let context = Context { tokens: encoded.tokens.clone(), is_pad: None };
        let (tokens, cache) = self.decoder.prefill(tokens, &AttentionMask::causal(None), Some(context), &[]);
        (self.classify(tokens), cache)
    }

    /// Scores of what follows one more token a row, the `position`th of its text from 0.
    ///
    /// # Shapes
    /// ids `[batch, 1]` -> `[batch, 1, n_vocab]`
    pub fn next(&self, ids: Tensor<2, Int>, position: usize, cache: &mut KeyValueCache) -> Tensor<3> {
        let place = self.text_positions.val().narrow(0, position, 1).unsqueeze::<3>();
        self.classify(self.decoder.forward_cached(self.words.forward(ids) + place, None, cache))
    }

    fn classify(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, n_tokens, d_model] = tokens.dims();
        if let Some(words) = self.half_words.as_ref().filter(|_| n_tokens == 1) {
            return words.products(tokens.reshape([batch, d_model])).unsqueeze_dim::<3>(1);
        }
        if n_tokens == 1 {
            // turning the whole table over would cost more than the step
            let logits = self.words.weight.val().matmul(tokens.reshape([batch, d_model]).transpose());
            return logits.transpose().unsqueeze_dim::<3>(1);
        }
        ops::linear(tokens, self.words.weight.val().transpose(), None)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct WhisperFamily;

/// A block's names; keys have no bias.
const NAMES: BlockNames = BlockNames {
    attention_norm: "self_attn_layer_norm",
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    out: "self_attn.out_proj",
    feed_forward_norm: "final_layer_norm",
    up: "fc1",
    down: "fc2",
    has_key_bias: false,
};

impl Family for WhisperFamily {
    type Config = WhisperConfig;
    type Model = Whisper;
    const NAME: &'static str = "whisper";
    const ABOUT: &'static str = "Whisper: speech to text";
    const MODEL_TYPES: &'static [&'static str] = &["whisper"];

    fn config(published: &PublishedConfig, _: &Checkpoint) -> Result<WhisperConfig, CheckpointError> {
        published.only("scale_embedding", false)?;
        published.only("tie_word_embeddings", true)?;
        let d_model = published.size("d_model", 384)?;
        let side = |side: &str| -> Result<TransformerConfig, CheckpointError> {
            let block = BlockConfig {
                d_hidden: Some(published.size(&format!("{side}_ffn_dim"), 1536)?),
                activation: activation(published, "activation_function", "gelu")?,
                ..BlockConfig::default()
            };
            let depth = published.size(&format!("{side}_layers"), 4)?;
            let n_heads = published.size(&format!("{side}_attention_heads"), 6)?;
            Ok(TransformerConfig::new(d_model, depth, n_heads).with_block(block))
        };
        let n_vocab = published.size("vocab_size", 51_865)?;
        Ok(WhisperConfig {
            n_vocab,
            n_mels: published.size("num_mel_bins", 80)?,
            max_audio_tokens: published.size("max_source_positions", 1500)?,
            max_text_tokens: published.size("max_target_positions", 448)?,
            start_token: published.token("decoder_start_token_id", 50_257, n_vocab)?,
            end_token: published.token("eos_token_id", 50_256, n_vocab)?,
            encoder: side("encoder")?,
            decoder: side("decoder")?,
        })
    }

    fn init(config: &WhisperConfig, init: &mut Initializer) -> Result<Whisper, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &WhisperConfig) -> Mapping {
        let mut mapping = Mapping::new();
        mapping.optional_prefix("model.");
        mapping.tied("proj_out.weight", "model.decoder.embed_tokens.weight");
        for (ours, published) in [("first", "conv1"), ("second", "conv2")] {
            mapping.convolution(
                &format!("encoder.{ours}.weight"),
                &format!("model.encoder.{published}"),
                &[3],
            );
        }
        mapping.same("encoder.positions", "model.encoder.embed_positions.weight");
        NAMES.declare(&mut mapping, "encoder.transformer", "model.encoder.layers", config.encoder.depth);
        mapping.norm("encoder.transformer.norm", "model.encoder.layer_norm");
        mapping.tensor("words.weight", "model.decoder.embed_tokens.weight", Layout::Same);
        mapping.same("text_positions", "model.decoder.embed_positions.weight");
        NAMES.declare(&mut mapping, "decoder", "model.decoder.layers", config.decoder.depth);
        for idx in 0..config.decoder.depth {
            let (ours, published) =
                (format!("decoder.blocks.{idx}.cross"), format!("model.decoder.layers.{idx}"));
            mapping.norm(&format!("{ours}.norm"), &format!("{published}.encoder_attn_layer_norm"));
            let named = |name: &str| format!("{published}.encoder_attn.{name}");
            mapping.linear(&format!("{ours}.query"), &named("q_proj"));
            packed(&mut mapping, &format!("{ours}.key_value"), &[named("k_proj"), named("v_proj")], Some(0));
            mapping.linear(&format!("{ours}.out"), &named("out_proj"));
        }
        mapping.norm("decoder.norm", "model.decoder.layer_norm");
        mapping
    }

    fn n_vocab(config: &WhisperConfig) -> Option<usize> {
        Some(config.n_vocab)
    }

    fn largest_sample(config: &WhisperConfig) -> LargestSample {
        let n_frames = config.max_audio_tokens * WhisperEncoderConfig::FRAMES_PER_TOKEN;
        LargestSample {
            n_text_tokens: Some(config.max_text_tokens),
            image_side: None,
            // frames are 10 ms apart
            sound_s: Some(n_frames as f64 / 100.0),
        }
    }

    fn cost(config: &WhisperConfig) -> CostTree {
        let (n_text, d_model) = (config.max_text_tokens, config.decoder.d_model);
        let n_frames = config.max_audio_tokens * WhisperEncoderConfig::FRAMES_PER_TOKEN;
        let shape = [n_text, d_model];
        // the table is the classifier too, whose products count and whose values do not
        let classes = cost::linear(n_text, d_model, config.n_vocab, false);
        let words = cost::table(config.n_vocab, d_model) + Cost { parameters: 0, ..classes };
        let decoder =
            config.decoder.cost_attending(n_text, [config.max_audio_tokens, config.encoder.d_model]);
        let parts = vec![
            config.encoder().cost(config.n_mels, n_frames).named("encoder"),
            CostTree::leaf("words", &[n_text, config.n_vocab], words),
            CostTree::leaf("text_positions", &shape, cost::table(n_text, d_model)),
            decoder.named("decoder"),
        ];
        CostTree::of(Self::NAME, &[n_text, config.n_vocab], parts)
    }

    fn check_preprocessing(
        config: &WhisperConfig,
        settings: &PublishedConfig,
    ) -> Result<(), CheckpointError> {
        check_log_mel(settings, config.n_mels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums in another order.
    const TOLERANCE: f32 = 1e-5;

    #[test]
    fn words_in_16_bits_are_scored_as_before_and_others_are_left_alone() {
        let config = WhisperConfig {
            n_vocab: 600,
            n_mels: 8,
            max_audio_tokens: 10,
            max_text_tokens: 12,
            start_token: 1,
            end_token: 2,
            encoder: TransformerConfig::tiny(),
            decoder: TransformerConfig::tiny(),
        };
        let device = Device::flex();
        let model = config.init(&mut Initializer::new(3, &device)).expect("its sizes fit");
        assert!(model.clone().for_decoding().half_words.is_none(), "drawn numbers have 24 bits");
        let words = model.words.weight.val();
        let shape = words.dims();
        let words = words.into_data();
        let rounded = words.iter::<f32>().map(|value| half::f16::from_f32(value).to_f32());
        let rounded = Tensor::from_data(TensorData::new(rounded.collect::<Vec<_>>(), shape), &device);
        let model = Whisper { words: Embedding { weight: Param::from_tensor(rounded) }, ..model };
        let ready = model.clone().for_decoding();
        assert!(ready.half_words.is_some());
        let frames = Tensor::ones([2, 20, 8], &device);
        let encoded = model.encode(&AudioInput { frames, lengths: vec![20; 2] });
        let start = Tensor::<2, Int>::from_data([[1], [5]], &device);
        let (plain, mut plain_cache) = model.prefill(&encoded, start.clone());
        let (short, mut short_cache) = ready.prefill(&encoded, start);
        let mut pairs = vec![(plain, short)];
        for (place, id) in [7_i64, 300, 9].into_iter().enumerate() {
            let ids = Tensor::<2, Int>::from_data([[id], [id + 1]], &device);
            let plain = model.next(ids.clone(), place + 1, &mut plain_cache);
            pairs.push((plain, ready.next(ids, place + 1, &mut short_cache)));
        }
        for (plain, short) in pairs {
            assert_eq!((plain.dims(), short.dims()), ([2, 1, 600], [2, 1, 600]));
            let best =
                |logits: &Tensor<3>| logits.clone().argmax(2).into_data().iter::<i64>().collect::<Vec<_>>();
            assert_eq!(best(&plain), best(&short));
            assert!((plain - short).abs().max().into_scalar::<f32>() < TOLERANCE);
        }
    }
}
