//! The whole model: an encoder for each modality it knows, the fusion backbone, and the heads.

use burn::module::Module;
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::audio::{AudioEncoder, AudioEncoderConfig};
use triptych_encoders::layers::cost::{self, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::layers::transformer::TransformerConfig;
use triptych_encoders::text::{TextEncoder, TextEncoderConfig};
use triptych_encoders::vision::{VisionEncoder, VisionEncoderConfig};
use triptych_encoders::{AudioInput, ConfigError, ImageInput, Modality, TextInput, TokenSequence};
use triptych_fusion::backbone::{Backbone, BackboneConfig};

use crate::heads::distilled::DistilledHead;
use crate::heads::matching::MatchingHead;
use crate::heads::patch_decoder::PatchDecoder;
use crate::heads::retrieval::RetrievalHead;
use crate::heads::sigmoid::SigmoidHead;

/// Sizes of a [`Model`]; a modality whose encoder is left out is not known to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the retrieval embeddings.
    pub d_embedding: usize,
    /// Temperature at which contrastive objectives start; 0.07 in CLIP, which has far more steps to lower it.
    #[serde(default = "clip_temperature")]
    pub temperature: f32,
    /// Text encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextEncoderConfig>,
    /// Vision encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision: Option<VisionEncoderConfig>,
    /// Audio encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioEncoderConfig>,
    /// The shared transformer.
    pub fusion: BackboneConfig,
    /// Heads that some objectives need.
    #[serde(default, skip_serializing_if = "HeadsConfig::is_none")]
    pub heads: HeadsConfig,
}

/// Heads that some objectives need and that a model has only when it is asked for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadsConfig {
    /// A scale and a bias of a sigmoid's logits.
    pub sigmoid: bool,
    /// Whether two things belong together, from their fused sequence.
    pub matching: bool,
    /// Width of the embeddings of a teacher, to project into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_teacher: Option<usize>,
    /// The blocks that paint what a vision transformer was not shown, for the objective `masked_autoencoder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_decoder: Option<TransformerConfig>,
    /// Number of codes that masked sounds are told by, for the objective `masked_audio_codes`: 8192 in BEST-RQ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codes: Option<usize>,
}

impl HeadsConfig {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn clip_temperature() -> f32 {
    0.07
}

/// What the data decides about a model's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataShape {
    /// Token ids of the tokenizer.
    pub n_vocab: usize,
    /// Side of the square pictures in pixels.
    pub image_side: usize,
    /// Mel bands of a spectrogram.
    pub n_mels: usize,
}

/// How long the text and the sound of a sample are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleLengths {
    /// Tokens of the text, without marks.
    pub n_text_tokens: usize,
    /// Log-mel frames of the sound.
    pub n_frames: usize,
}

impl ModelConfig {
    /// The smallest that still has every part.
    pub fn tiny() -> Self {
        let first = "a registry holds at least one entry";
        Self {
            d_embedding: 16,
            temperature: clip_temperature(),
            text: Some(TextEncoderConfig::registry().into_iter().next().expect(first).1),
            vision: Some(VisionEncoderConfig::registry().into_iter().next().expect(first).1),
            audio: Some(AudioEncoderConfig::registry().into_iter().next().expect(first).1),
            fusion: BackboneConfig::tiny(),
            heads: HeadsConfig {
                sigmoid: true,
                matching: true,
                d_teacher: Some(32),
                patch_decoder: Some(TransformerConfig::tiny()),
                audio_codes: Some(32),
            },
        }
    }

    /// What a text, a picture and a sound cost that are encoded, fused with a causal text behind them, and read by every
    /// head.
    pub fn cost(&self, data: DataShape, lengths: SampleLengths) -> CostTree {
        let SampleLengths { n_text_tokens, n_frames } = lengths;
        let d_backbone = self.fusion.transformer.d_model;
        let text = self.text.as_ref().map(|config| config.cost(data.n_vocab, n_text_tokens));
        let vision = self.vision.as_ref().map(|config| config.cost(data.image_side));
        let audio = self.audio.as_ref().map(|config| config.cost(data.n_mels, n_frames));
        // of an encoder's tokens: how many, and how wide
        let size = |encoder: &Option<CostTree>| encoder.as_ref().map(|tree| (tree.shape[0], tree.shape[1]));
        let sizes = [size(&text), size(&vision), size(&audio)];
        let n_inputs = sizes.map(|size| size.map_or(0, |(n, _)| n));
        let widths = sizes.map(|size| size.map_or(d_backbone, |(_, d)| d));
        let backbone = self.fusion.cost(widths, data.n_vocab, n_inputs, n_text_tokens + 1);
        let head = |name: &str, n: usize, d_out: usize| {
            CostTree::leaf(name, &[n, d_out], cost::linear(n, d_backbone, d_out, true))
        };
        let [_, n_patches, n_sounds] = n_inputs;
        let (vision_head, audio_head) = (self.reads(Modality::Image), self.reads(Modality::Audio));
        let mut parts = Vec::new();
        parts.extend(text.map(|tree| tree.named("text")));
        parts.extend(vision.map(|tree| tree.named("vision")));
        parts.extend(audio.map(|tree| tree.named("audio")));
        parts.push(backbone);
        parts.push(RetrievalHead::cost(sizes.map(|size| size.map(|(_, d)| d)), self.d_embedding));
        let audio = self.audio.as_ref().filter(|_| audio_head);
        let vision = self.vision.as_ref().filter(|_| vision_head);
        parts.extend(audio.map(|_| head("ctc", n_sounds, data.n_vocab)));
        parts.extend(vision.map(|config| head("patches", n_patches, config.patch_side().pow(2) * 3)));
        parts.extend(audio.map(|config| head("frames", n_sounds, config.frames_per_token() * data.n_mels)));
        if let (Some(decoder), Some(config), Some((n, d))) =
            (&self.heads.patch_decoder, &self.vision, sizes[1])
        {
            parts.push(PatchDecoder::cost(decoder, d, n, config.patch_side().pow(2) * 3));
        }
        parts.extend(self.heads.audio_codes.zip(audio).map(|(n_codes, _)| head("codes", n_sounds, n_codes)));
        if self.heads.sigmoid {
            parts.push(SigmoidHead::cost());
        }
        if self.heads.matching {
            parts.push(MatchingHead::cost(d_backbone));
        }
        let widths = sizes.map(|size| size.map(|(_, d)| d));
        parts.extend(self.heads.d_teacher.map(|d_teacher| DistilledHead::cost(widths, d_teacher)));
        CostTree::of("model", &[], parts)
    }

    /// Whether heads read the fused tokens of a modality one by one: not where learned queries stand in their place.
    fn reads(&self, modality: Modality) -> bool {
        self.fusion.resample.of(modality).is_none()
    }

    /// Random weights drawn from `seed`. A modality that the backbone resamples has no heads for its fused tokens.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, data: DataShape, seed: u64, device: &Device) -> Result<Model, ConfigError> {
        self.build(data, &mut Initializer::new(seed, device))
    }

    /// The same without drawing anything, for parameters that are all replaced, or of which the shapes alone count.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn blank(&self, data: DataShape, device: &Device) -> Result<Model, ConfigError> {
        self.build(data, &mut Initializer::zeros(device))
    }

    fn build(&self, data: DataShape, init: &mut Initializer) -> Result<Model, ConfigError> {
        if self.heads.d_teacher == Some(0) {
            return Err(ConfigError::new("heads.d_teacher: expected at least 1, got 0".to_owned()));
        }
        if !(0.01..=1.0).contains(&self.temperature) {
            return Err(ConfigError::new(format!(
                "temperature: expected 0.01 to 1, got {}",
                self.temperature
            )));
        }
        let d_backbone = self.fusion.transformer.d_model;
        let d_text = self.text.as_ref().map(TextEncoderConfig::d_model);
        let d_image = self.vision.as_ref().map(VisionEncoderConfig::d_model);
        let d_audio = self.audio.as_ref().map(AudioEncoderConfig::d_model);
        let d_patch = self.vision.as_ref().map(|config| config.patch_side().pow(2) * 3);
        let d_frames = self.audio.as_ref().map(|config| config.frames_per_token() * data.n_mels);
        let text = self.text.as_ref().map(|config| config.init(data.n_vocab, init)).transpose()?;
        let vision = self.vision.as_ref().map(|config| config.init(data.image_side, init)).transpose()?;
        let audio = self.audio.as_ref().map(|config| config.init(data.n_mels, init)).transpose()?;
        let widths = [d_text, d_image, d_audio];
        if self.heads.audio_codes.is_some_and(|n_codes| n_codes < 2) {
            return Err(ConfigError::new("heads.audio_codes: expected at least 2 codes to tell apart"));
        }
        let (vision_head, audio_head) = (self.reads(Modality::Image), self.reads(Modality::Audio));
        Ok(Model {
            backbone: self.fusion.init(widths.map(|d| d.unwrap_or(d_backbone)), data.n_vocab, init)?,
            retrieval: RetrievalHead::new(widths, self.d_embedding, self.temperature, init),
            ctc: d_audio.filter(|_| audio_head).map(|_| Linear::new(d_backbone, data.n_vocab, init)),
            patches: d_patch.filter(|_| vision_head).map(|d_patch| Linear::new(d_backbone, d_patch, init)),
            frames: d_frames.filter(|_| audio_head).map(|d_frames| Linear::new(d_backbone, d_frames, init)),
            patch_decoder: match (&self.heads.patch_decoder, d_image, d_patch) {
                (Some(config), Some(d_image), Some(d_patch)) => {
                    Some(PatchDecoder::new(config, d_image, d_patch, init)?)
                }
                _ => None,
            },
            codes: self
                .heads
                .audio_codes
                .zip(d_audio)
                .filter(|_| audio_head)
                .map(|(n_codes, _)| Linear::new(d_backbone, n_codes, init)),
            sigmoid: self.heads.sigmoid.then(|| SigmoidHead::new(init)),
            matching: self.heads.matching.then(|| MatchingHead::new(d_backbone, init)),
            distilled: self.heads.d_teacher.map(|d_teacher| DistilledHead::new(widths, d_teacher, init)),
            text,
            vision,
            audio,
        })
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Model {
    text: Option<TextEncoder>,
    vision: Option<VisionEncoder>,
    audio: Option<AudioEncoder>,
    /// The shared transformer.
    pub backbone: Backbone,
    /// Embeddings to search by.
    pub retrieval: RetrievalHead,
    /// Label scores of every audio token, for CTC.
    pub ctc: Option<Linear>,
    /// Pixels of a masked patch.
    pub patches: Option<Linear>,
    /// Frames of a masked audio token.
    pub frames: Option<Linear>,
    /// Patches that the encoder was not shown.
    pub patch_decoder: Option<PatchDecoder>,
    /// Scores of the codes of a masked audio token.
    pub codes: Option<Linear>,
    /// Scale and bias of sigmoid contrast.
    pub sigmoid: Option<SigmoidHead>,
    /// Whether two things belong together.
    pub matching: Option<MatchingHead>,
    /// What a teacher's embeddings are learned from.
    pub distilled: Option<DistilledHead>,
}

impl Model {
    /// Whether the model has an encoder for `modality`.
    pub fn knows(&self, modality: Modality) -> bool {
        match modality {
            Modality::Text => self.text.is_some(),
            Modality::Image => self.vision.is_some(),
            Modality::Audio => self.audio.is_some(),
        }
    }

    /// # Shapes
    /// `[batch, n_tokens]` -> `[batch, n_tokens, d_text]`
    ///
    /// # Panics
    /// When the model has no text encoder.
    pub fn encode_text(&self, input: &TextInput) -> TokenSequence {
        self.text.as_ref().expect("the model has a text encoder").forward(input)
    }

    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_tokens, d_image]`
    ///
    /// # Panics
    /// When the model has no vision encoder.
    pub fn encode_image(&self, input: &ImageInput) -> TokenSequence {
        self.vision.as_ref().expect("the model has a vision encoder").forward(input)
    }

    /// Some patches of each picture alone, as many of every one; `None` without a vision encoder that can do so.
    ///
    /// # Shapes
    /// `[batch, height, width, 3]` -> `[batch, n_visible, d_image]`
    pub fn encode_visible(&self, input: &ImageInput, visible: &[Vec<usize>]) -> Option<TokenSequence> {
        self.vision.as_ref()?.forward_visible(input, visible)
    }

    /// # Shapes
    /// `[batch, n_frames, n_mels]` -> `[batch, n_tokens, d_audio]`
    ///
    /// # Panics
    /// When the model has no audio encoder.
    pub fn encode_audio(&self, input: &AudioInput) -> TokenSequence {
        self.audio.as_ref().expect("the model has an audio encoder").forward(input)
    }

    /// Audio tokens that carry sound, of each row.
    ///
    /// # Panics
    /// When the model has no audio encoder.
    pub fn audio_token_lengths(&self, input: &AudioInput) -> Vec<usize> {
        self.audio.as_ref().expect("the model has an audio encoder").token_lengths(input)
    }
}
