//! Published models as makers of vectors.

use std::path::Path;

use burn::prelude::*;
use triptych_datasets::audio::{AudioPipeline, AudioTransform, Features};
use triptych_datasets::image::{ImageTransform, Pixels};
use triptych_datasets::text::PublishedTokenizer;
use triptych_encoders::audio::Wav2vec2;
use triptych_encoders::input::padding;
use triptych_encoders::pretrained::families::{
    BertFamily, Clip, ClipFamily, Family, PublishedVit, PublishedWav2vec2Config, Siglip, SiglipFamily,
    VitFamily, Wav2vec2Family,
};
use triptych_encoders::pretrained::preprocessing::WaveformSettings;
use triptych_encoders::pretrained::{ModelFolder, Pooling, SentenceSettings};
use triptych_encoders::text::Bert;
use triptych_encoders::{ImageInput, TextInput, TokenSequence};

use crate::cli::model::report;
use crate::diagnostic::UsageError;
use crate::published;

/// The longest recording that is heard at once; a longer one is heard in pieces.
pub(super) const MAX_SOUND_S: f64 = 300.0;

/// `pad_token_id` of SigLIP's texts where a config does not name it.
const SIGLIP_PAD: u32 = 1;

/// A model that makes vectors, with what belongs to it.
pub(super) struct Embedder {
    model: Model,
    texts: Option<Texts>,
    pictures: Option<Pictures>,
    device: Device,
}

enum Model {
    Bert(Box<Bert>, SentenceSettings),
    Clip(Box<Clip>),
    Siglip(Box<Siglip>),
    Vit(Box<PublishedVit>),
    Wav2vec2(Box<Wav2vec2>, Box<PublishedWav2vec2Config>, WaveformSettings),
}

/// How texts become token ids.
struct Texts {
    tokenizer: PublishedTokenizer,
    pad: u32,
    /// The length that every text is filled up to, of models that read the filling.
    n_tokens: Option<usize>,
}

/// How pictures become values.
pub(super) struct Pictures {
    transform: ImageTransform,
    /// Side of the square that is cut out of the middle behind that.
    side: usize,
}

/// How a model was trained to compare a text with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Which of the texts: a softmax over them.
    Softmax,
    /// Each pair on its own: a logistic function.
    Sigmoid,
}

impl Embedder {
    pub(super) fn open(path: &Path, device: Device) -> miette::Result<Self> {
        let folder = ModelFolder::open(path).map_err(|error| report(error.into()))?;
        let family = folder.family().map_err(|error| report(error.into()))?;
        let (mut texts, mut pictures) = (None, None);
        let model = match family.name {
            BertFamily::NAME => {
                let (config, model) = folder.load::<BertFamily>(&device).map_err(report)?;
                let settings = folder.sentence_settings().map_err(|error| report(error.into()))?;
                // a model without such settings was not trained for sentences; the mean is the usual choice
                let settings = settings.unwrap_or(SentenceSettings {
                    pooling: Pooling::Mean,
                    normalises: false,
                    max_tokens: None,
                });
                let most = settings.max_tokens.unwrap_or(config.max_tokens).min(config.max_tokens);
                texts = Some(Texts::open(&folder, most, 0, None)?);
                Model::Bert(Box::new(model), settings)
            }
            ClipFamily::NAME => {
                let (config, model) = folder.load::<ClipFamily>(&device).map_err(report)?;
                texts = Some(Texts::open(&folder, config.max_tokens, 0, None)?);
                pictures = Some(Pictures::open(&folder, config.patches.side)?);
                Model::Clip(Box::new(model))
            }
            SiglipFamily::NAME => {
                let (config, model) = folder.load::<SiglipFamily>(&device).map_err(report)?;
                let pad = folder.config().and_then(|published| {
                    published.section("text_config")?.token("pad_token_id", SIGLIP_PAD, config.n_vocab)
                });
                let pad = pad.map_err(|error| report(error.into()))?;
                texts = Some(Texts::open(&folder, config.n_tokens, pad, Some(config.n_tokens))?);
                pictures = Some(Pictures::open(&folder, config.patches.side)?);
                Model::Siglip(Box::new(model))
            }
            VitFamily::NAME => {
                let (config, model) = folder.load::<VitFamily>(&device).map_err(report)?;
                pictures = Some(Pictures::open(&folder, config.patches.side)?);
                Model::Vit(Box::new(model))
            }
            Wav2vec2Family::NAME => {
                let (config, model) = folder.load::<Wav2vec2Family>(&device).map_err(report)?;
                let settings =
                    folder.settings("preprocessor_config.json").map_err(|error| report(error.into()))?;
                let settings = settings.map_or(Ok(WaveformSettings { normalises: true }), |settings| {
                    WaveformSettings::read(&settings).map_err(|error| report(error.into()))
                })?;
                Model::Wav2vec2(Box::new(model), Box::new(config), settings)
            }
            name => {
                let (path, about) = (path.display(), family.about);
                return Err(UsageError {
                    message: format!("{path}: expected a model that makes vectors, got {name} ({about})"),
                    hint: Some("`triptych transcribe --model DIR` writes down speech".to_owned()),
                }
                .into());
            }
        };
        Ok(Self { model, texts, pictures, device })
    }

    pub(super) fn reads_text(&self) -> bool {
        self.texts.is_some()
    }

    pub(super) fn pictures(&self) -> Option<&Pictures> {
        self.pictures.as_ref()
    }

    pub(super) fn hears(&self) -> bool {
        matches!(self.model, Model::Wav2vec2(..))
    }

    /// How texts compare with pictures, of a model for both.
    pub(super) fn comparison(&self) -> Option<Comparison> {
        match self.model {
            Model::Clip(_) => Some(Comparison::Softmax),
            Model::Siglip(_) => Some(Comparison::Sigmoid),
            _ => None,
        }
    }

    /// The model's own scores of pictures and texts, `[n_images][n_texts]`.
    pub(super) fn logits(&self, images: &[Vec<f32>], texts: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let rows = |rows: &[Vec<f32>]| {
            let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
            Tensor::<2>::from_data(TensorData::new(rows.concat(), shape), &self.device)
        };
        let (images, texts) = (rows(images), rows(texts));
        let logits = match &self.model {
            Model::Clip(clip) => clip.logits(texts, images),
            Model::Siglip(siglip) => siglip.logits(texts, images),
            _ => return Vec::new(),
        };
        vectors(logits.transpose())
    }

    /// One vector for each text; of a model that reads texts.
    pub(super) fn embed_texts(&self, texts: &[String]) -> miette::Result<Vec<Vec<f32>>> {
        let Some(reader) = &self.texts else { return Ok(Vec::new()) };
        let input = reader.input(texts, &self.device)?;
        Ok(match &self.model {
            Model::Bert(bert, settings) => vectors(settings.embed(&bert.forward(&input, None))),
            Model::Clip(clip) => vectors(clip.embed_text(&input)),
            Model::Siglip(siglip) => vectors(siglip.embed_text(&input)),
            Model::Vit(_) | Model::Wav2vec2(..) => Vec::new(),
        })
    }

    /// One vector for each picture that [`Pictures::apply`] gave.
    pub(super) fn embed_pictures(&self, pictures: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let Some(Pictures { side, .. }) = &self.pictures else { return Vec::new() };
        let shape = [pictures.len(), *side, *side, 3];
        let pixels = Tensor::from_data(TensorData::new(pictures.concat(), shape), &self.device);
        let input = ImageInput { pixels };
        match &self.model {
            Model::Clip(clip) => vectors(clip.embed_image(&input)),
            Model::Siglip(siglip) => vectors(siglip.embed_image(&input)),
            // the class token stands for the picture
            Model::Vit(vit) => vectors(vit.forward(&input).tokens.narrow(1, 0, 1).squeeze_dim::<2>(1)),
            Model::Bert(..) | Model::Wav2vec2(..) => Vec::new(),
        }
    }

    /// Samples at 16 kHz from one token of a sound to the next.
    pub(super) fn token_samples(&self) -> usize {
        match &self.model {
            Model::Wav2vec2(_, config, _) => config.convolutions.stride_and_width()[0].max(1),
            _ => 1,
        }
    }

    /// The mean over a sound's tokens; samples at 16 kHz.
    pub(super) fn embed_sound(&self, samples: Vec<f32>) -> Result<Vec<f32>, String> {
        Ok(self
            .hear(samples)?
            .map(|tokens| tokens.mean().into_data().iter::<f32>().collect())
            .unwrap_or_default())
    }

    /// The sum over the tokens that begin within `kept`, and how many they are.
    pub(super) fn sum_of_tokens(
        &self,
        samples: Vec<f32>,
        kept: std::ops::Range<usize>,
    ) -> Result<(Vec<f32>, usize), String> {
        let step = self.token_samples();
        let Some(heard) = self.hear(samples)? else { return Ok((Vec::new(), 0)) };
        let [_, n_tokens, _] = heard.tokens.dims();
        let last = kept.end.div_ceil(step).min(n_tokens);
        let first = kept.start.div_ceil(step).min(last);
        if first == last {
            return Ok((Vec::new(), 0));
        }
        let sum = heard.tokens.narrow(1, first, last - first).sum_dim(1);
        Ok((sum.into_data().iter::<f32>().collect(), last - first))
    }

    /// A sound's tokens, of a model that hears.
    fn hear(&self, samples: Vec<f32>) -> Result<Option<TokenSequence>, String> {
        let Model::Wav2vec2(model, config, settings) = &self.model else { return Ok(None) };
        let n_samples = samples.len();
        if config.convolutions.n_tokens(n_samples) == 0 {
            let [_, width] = config.convolutions.stride_and_width();
            return Err(format!("expected at least {width} samples at 16 kHz, got {n_samples}"));
        }
        let samples = match settings.normalises {
            false => samples,
            true => {
                let transform = AudioTransform {
                    features: Features::Waveform,
                    n_mels: triptych_datasets::audio::SAMPLES_PER_FRAME,
                    max_s: MAX_SOUND_S,
                    ..AudioTransform::default()
                };
                // it fills up the last frame
                let mut values = AudioPipeline::new(&transform).frames(samples, None).values;
                values.truncate(n_samples);
                values
            }
        };
        let waveform = Tensor::from_data(TensorData::new(samples, [1, n_samples]), &self.device);
        Ok(Some(model.forward(waveform, &[n_samples])))
    }
}

impl Texts {
    fn open(
        folder: &ModelFolder,
        max_tokens: usize,
        pad: u32,
        n_tokens: Option<usize>,
    ) -> miette::Result<Self> {
        let file = folder.tokenizer_file().map_err(|error| report(error.into()))?;
        let tokenizer = PublishedTokenizer::open(&file).and_then(|tokenizer| tokenizer.cut_to(max_tokens));
        let tokenizer = tokenizer.map_err(|error| miette::miette!("{}: {error}", file.display()))?;
        Ok(Self { tokenizer, pad, n_tokens })
    }

    fn input(&self, texts: &[String], device: &Device) -> miette::Result<TextInput> {
        let ids = texts
            .iter()
            .map(|text| self.tokenizer.encode(text).map_err(|error| miette::miette!("{text:?}: {error}")));
        let ids = ids.collect::<miette::Result<Vec<_>>>()?;
        let lengths = ids.iter().map(Vec::len).collect::<Vec<_>>();
        // a text of no token at all is one of padding
        let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
        let n_tokens = self.n_tokens.unwrap_or(longest);
        let rows = ids.into_iter().flat_map(|mut row| {
            row.resize(n_tokens, self.pad);
            row.into_iter().map(i64::from)
        });
        let rows = rows.collect::<Vec<_>>();
        Ok(TextInput {
            ids: Tensor::from_data(TensorData::new(rows, [texts.len(), n_tokens]), device),
            is_pad: padding(&lengths, n_tokens, device),
        })
    }
}

impl Pictures {
    fn open(folder: &ModelFolder, side: usize) -> miette::Result<Self> {
        const NAME: &str = "preprocessor_config.json";
        let settings = folder.picture_settings(side).map_err(|error| report(error.into()))?;
        let transform = published::transform(&settings);
        let resized = transform.side;
        transform
            .check()
            .map_err(|problem| miette::miette!("{}: {problem}", folder.path().join(NAME).display()))?;
        if resized < side {
            let path = folder.path().join(NAME);
            return Err(miette::miette!(
                "{}, key `size`: expected at least {side}, the side of what is cut out, got {resized}",
                path.display()
            ));
        }
        Ok(Self { transform, side })
    }

    /// A picture as the model reads it.
    ///
    /// # Shapes
    /// Returns `[side, side, 3]`.
    pub(super) fn apply(&self, pixels: &Pixels) -> Vec<f32> {
        let (resized, values) = (self.transform.side, self.transform.apply(pixels, None));
        let margin = (resized - self.side) / 2;
        let rows = values.chunks_exact(resized * 3).skip(margin).take(self.side);
        rows.flat_map(|row| &row[margin * 3..(margin + self.side) * 3]).copied().collect()
    }
}

fn vectors(rows: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = rows.dims();
    let values = rows.into_data().iter::<f32>().collect::<Vec<_>>();
    values.chunks_exact(width.max(1)).map(<[f32]>::to_vec).collect()
}
