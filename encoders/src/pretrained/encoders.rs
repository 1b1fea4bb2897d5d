//! The encoders of a published model, for an experiment to start from.

use burn::module::Param;
use burn::prelude::*;

use super::error::CheckpointError;
use super::families::{
    BertFamily, ClipFamily, Family, FamilyEntry, SiglipFamily, VitFamily, Wav2vec2Family, WhisperFamily,
};
use super::model_folder::ModelFolder;
use super::preprocessing::{PictureSettings, WaveformSettings};
use super::sentence::Pooling;
use super::transfer::PretrainedError;
use crate::audio::{AudioEncoder, AudioEncoderConfig, WhisperEncoderConfig};
use crate::layers::linear::Linear;
use crate::text::{TextEncoder, TextEncoderConfig, TextMarks, TextSummary};
use crate::vision::{VisionEncoder, VisionEncoderConfig};

/// `pad_token_id` of SigLIP's texts where a config does not name it.
const SIGLIP_PAD: u32 = 1;

/// The settings of pictures or sounds.
const PREPROCESSING: &str = "preprocessor_config.json";

/// What a published text encoder is.
#[derive(Clone, Debug)]
pub struct PublishedTextEncoder {
    /// Its sizes, with the marks that it wants around a text.
    pub config: TextEncoderConfig,
    /// Token ids that it knows.
    pub n_vocab: usize,
    /// The id that fills texts up.
    pub pad: u32,
}

/// What a published vision encoder is.
#[derive(Clone, Debug)]
pub struct PublishedVisionEncoder {
    /// Its sizes.
    pub config: VisionEncoderConfig,
    /// Side of its pictures in pixels.
    pub side: usize,
    /// How pictures become its input.
    pub pictures: PictureSettings,
}

/// What a published audio encoder is.
#[derive(Clone, Debug)]
pub struct PublishedAudioEncoder {
    /// Its sizes.
    pub config: AudioEncoderConfig,
    /// Mel bands of a frame; none of an encoder that reads a waveform.
    pub n_mels: Option<usize>,
    /// The longest sound in seconds, where there is one.
    pub max_s: Option<f64>,
}

/// How a model for texts and pictures maps what its encoder gives for the whole into the space of both.
#[derive(Clone, Debug)]
pub struct PublishedProjection {
    /// `[d_model, d_embedding]`, of a map without a bias.
    pub weight: Tensor<2>,
    /// The logarithm of what cosine similarities are multiplied by.
    pub log_scale: f32,
}

impl PublishedProjection {
    fn new(projection: &Linear, log_scale: &Param<Tensor<1>>) -> Self {
        Self { weight: projection.weight.val(), log_scale: log_scale.val().into_scalar::<f32>() }
    }
}

/// The families with an encoder for something.
fn other_family(folder: &ModelFolder, what: &str, names: [&str; 3], got: &FamilyEntry) -> PretrainedError {
    let names = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
    let expected = format!("a model with an encoder for {what}: {names}");
    let got = format!("{} ({})", got.name, got.about);
    CheckpointError::content(folder.path(), "itself", expected, got).into()
}

impl ModelFolder {
    /// The text encoder; `begin` and `end` are whether its tokenizer puts a mark before and behind a text.
    ///
    /// # Errors
    /// When the model has none, or its files do not fit together.
    pub fn text_encoder(&self, [begin, end]: [bool; 2]) -> Result<PublishedTextEncoder, PretrainedError> {
        let family = self.family()?;
        let marks = |summary| Some(TextMarks { begin, end, fill_to: None, summary });
        Ok(match family.name {
            BertFamily::NAME => {
                let config = self.family_config::<BertFamily>()?;
                let pooling = self.sentence_settings()?.map_or(Pooling::Mean, |settings| settings.pooling);
                let summary = match pooling {
                    Pooling::Mean => TextSummary::Mean,
                    Pooling::First => TextSummary::First,
                };
                let mut encoder = config.encoder();
                encoder.marks = marks(summary);
                PublishedTextEncoder {
                    config: TextEncoderConfig::Bert(encoder),
                    n_vocab: config.n_vocab,
                    pad: 0,
                }
            }
            ClipFamily::NAME => {
                let config = self.family_config::<ClipFamily>()?;
                let mut encoder = config.text_encoder();
                encoder.marks = marks(TextSummary::End);
                PublishedTextEncoder {
                    config: TextEncoderConfig::Clip(encoder),
                    n_vocab: config.n_vocab,
                    pad: 0,
                }
            }
            SiglipFamily::NAME => {
                let config = self.family_config::<SiglipFamily>()?;
                let mut encoder = config.text_encoder();
                let fill_to = Some(config.n_tokens);
                encoder.marks = Some(TextMarks { begin, end, fill_to, summary: TextSummary::Last });
                let text = self.config()?.section("text_config")?;
                PublishedTextEncoder {
                    config: TextEncoderConfig::Transformer(encoder),
                    n_vocab: config.n_vocab,
                    pad: text.token("pad_token_id", SIGLIP_PAD, config.n_vocab)?,
                }
            }
            _ => {
                let names = [BertFamily::NAME, ClipFamily::NAME, SiglipFamily::NAME];
                return Err(other_family(self, "texts", names, family));
            }
        })
    }

    /// Width of the space that texts and pictures are both mapped to without a bias, where there is one: CLIP's.
    ///
    /// # Errors
    /// When the model's files do not fit together.
    pub fn projection_width(&self) -> Result<Option<usize>, PretrainedError> {
        match self.family()?.name {
            ClipFamily::NAME => Ok(Some(self.family_config::<ClipFamily>()?.d_embedding)),
            _ => Ok(None),
        }
    }

    /// The text encoder with its weights, whose table of tokens is in the published order, and CLIP's map behind it.
    ///
    /// # Errors
    /// As [`ModelFolder::load`], and when the model has none.
    pub fn load_text_encoder(
        &self,
        device: &Device,
    ) -> Result<(TextEncoder, Option<PublishedProjection>), PretrainedError> {
        let family = self.family()?;
        Ok(match family.name {
            BertFamily::NAME => {
                (TextEncoder::Bert(self.load::<BertFamily>(device)?.1.without_pooler()), None)
            }
            ClipFamily::NAME => {
                let clip = self.load::<ClipFamily>(device)?.1;
                let projection = PublishedProjection::new(&clip.text_projection, &clip.logit_scale);
                (TextEncoder::Clip(clip.text), Some(projection))
            }
            SiglipFamily::NAME => (TextEncoder::Transformer(self.load::<SiglipFamily>(device)?.1.text), None),
            _ => {
                let names = [BertFamily::NAME, ClipFamily::NAME, SiglipFamily::NAME];
                return Err(other_family(self, "texts", names, family));
            }
        })
    }

    /// The vision encoder.
    ///
    /// # Errors
    /// When the model has none, its files do not fit together, or it came without the settings of its pictures.
    pub fn vision_encoder(&self) -> Result<PublishedVisionEncoder, PretrainedError> {
        let family = self.family()?;
        let (encoder, side) = match family.name {
            VitFamily::NAME => {
                let config = self.family_config::<VitFamily>()?;
                (config.encoder(), config.patches.side)
            }
            ClipFamily::NAME => {
                let config = self.family_config::<ClipFamily>()?;
                (config.image_encoder(), config.patches.side)
            }
            SiglipFamily::NAME => {
                let config = self.family_config::<SiglipFamily>()?;
                (config.image_encoder(), config.patches.side)
            }
            _ => {
                let names = [VitFamily::NAME, ClipFamily::NAME, SiglipFamily::NAME];
                return Err(other_family(self, "pictures", names, family));
            }
        };
        let pictures = self.picture_settings(side)?;
        Ok(PublishedVisionEncoder { config: VisionEncoderConfig::Vit(encoder), side, pictures })
    }

    /// How pictures of `side` pixels become the model's input.
    ///
    /// # Errors
    /// When the settings are missing or ask for what is not implemented.
    pub fn picture_settings(&self, side: usize) -> Result<PictureSettings, CheckpointError> {
        let settings = self.settings(PREPROCESSING)?.ok_or_else(|| {
            CheckpointError::content(
                &self.path().join(PREPROCESSING),
                "itself",
                "the settings of the pictures",
                "no such file",
            )
            .with_hint(
                "it is published beside the weights, and says to which size and range pictures are brought",
            )
        })?;
        PictureSettings::read(&settings, side)
    }

    /// The vision encoder with its weights, its positions interpolated for pictures of `side` pixels, and CLIP's map behind
    /// it.
    ///
    /// # Errors
    /// As [`ModelFolder::load`], when the model has none, or its patches do not divide the pictures.
    pub fn load_vision_encoder(
        &self,
        side: usize,
        device: &Device,
    ) -> Result<(VisionEncoder, Option<PublishedProjection>), PretrainedError> {
        let family = self.family()?;
        let (vit, projection) = match family.name {
            VitFamily::NAME => (self.load::<VitFamily>(device)?.1.vit, None),
            ClipFamily::NAME => {
                let clip = self.load::<ClipFamily>(device)?.1;
                let projection = PublishedProjection::new(&clip.image_projection, &clip.logit_scale);
                (clip.image, Some(projection))
            }
            SiglipFamily::NAME => (self.load::<SiglipFamily>(device)?.1.image, None),
            _ => {
                let names = [VitFamily::NAME, ClipFamily::NAME, SiglipFamily::NAME];
                return Err(other_family(self, "pictures", names, family));
            }
        };
        let vit = vit
            .with_side(side)
            .map_err(|source| PretrainedError::Config { path: self.path().to_owned(), source })?;
        Ok((VisionEncoder::Vit(vit), projection))
    }

    /// The audio encoder.
    ///
    /// # Errors
    /// When the model has none, its files do not fit together, or it wants its sounds in a way that is not implemented.
    pub fn audio_encoder(&self) -> Result<PublishedAudioEncoder, PretrainedError> {
        let family = self.family()?;
        Ok(match family.name {
            WhisperFamily::NAME => {
                let config = self.family_config::<WhisperFamily>()?;
                if let Some(settings) = self.settings(PREPROCESSING)? {
                    WhisperFamily::check_preprocessing(&config, &settings)?;
                }
                let n_frames = config.max_audio_tokens * WhisperEncoderConfig::FRAMES_PER_TOKEN;
                PublishedAudioEncoder {
                    n_mels: Some(config.n_mels),
                    // frames are 10 ms apart
                    max_s: Some(n_frames as f64 / 100.0),
                    config: AudioEncoderConfig::Whisper(config.encoder()),
                }
            }
            Wav2vec2Family::NAME => {
                let config = self.family_config::<Wav2vec2Family>()?;
                if let Some(settings) = self.settings(PREPROCESSING)?
                    && !WaveformSettings::read(&settings)?.normalises
                {
                    let expected = "`true`, as experiments bring waveforms to mean 0 and variance 1";
                    return Err(settings.wrong("do_normalize", expected, "`false`").into());
                }
                PublishedAudioEncoder {
                    config: AudioEncoderConfig::Wav2vec2(config.encoder()),
                    n_mels: None,
                    max_s: None,
                }
            }
            _ => {
                let names = [WhisperFamily::NAME, Wav2vec2Family::NAME, ""];
                return Err(other_family(self, "sounds", names, family));
            }
        })
    }

    /// The audio encoder with its weights.
    ///
    /// # Errors
    /// As [`ModelFolder::load`], and when the model has none.
    pub fn load_audio_encoder(&self, device: &Device) -> Result<AudioEncoder, PretrainedError> {
        let family = self.family()?;
        Ok(match family.name {
            WhisperFamily::NAME => AudioEncoder::Whisper(self.load::<WhisperFamily>(device)?.1.encoder),
            Wav2vec2Family::NAME => {
                AudioEncoder::Wav2vec2(self.load::<Wav2vec2Family>(device)?.1.without_mask())
            }
            _ => {
                let names = [WhisperFamily::NAME, Wav2vec2Family::NAME, ""];
                return Err(other_family(self, "sounds", names, family));
            }
        })
    }
}
