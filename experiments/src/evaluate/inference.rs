//! What a trained model makes of pictures, sounds and texts: embeddings and written words.

use burn::prelude::*;
use triptych_datasets::batch::{HostBatch, TextBatch};
use triptych_datasets::text::{BOS, EOS, MASK, PAD, Tokenizer, UNK};
use triptych_encoders::{AudioInput, ImageInput, Modality, TextInput, TokenSequence};
use triptych_fusion::sequence::Segment;
use triptych_tasks::decode::causal::{Marks, Writer};
use triptych_tasks::decode::ctc::CtcError;
use triptych_tasks::decode::{BeamSearch, Constraint, DecodeError, Decoded, Sampling, Text, ctc};
use triptych_tasks::model::Model;

/// A picture or a sound as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Perceived {
    /// Unit vector to search by.
    pub(crate) embedding: Vec<f32>,
    /// Caption or transcript, written token by token.
    pub(crate) written: String,
    /// Mean log-probability of its tokens.
    pub(crate) confidence: f32,
    /// Transcript by CTC, for sounds.
    pub(crate) by_ctc: Option<String>,
}

/// Why nothing can be written about a batch.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum InferenceError {
    /// Token by token.
    #[error("the model writes nothing: {0}")]
    Decode(#[from] DecodeError),
    /// By CTC.
    #[error("the model's CTC head: {0}")]
    Ctc(#[from] CtcError),
}

/// What is read off an encoder's tokens to stand for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Readout {
    /// The encoder's summary, in most its mean token, before any projection
    Encoder,
    /// The projections that are searched by, side by side
    Embedding,
}

impl Readout {
    /// Lower-case name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Embedding => "embedding",
        }
    }
}

/// How texts are written token by token.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// The likeliest.
    Search(BeamSearch),
    /// At random.
    Sample(Sampling),
}

/// Sounds as the model sees them.
pub(crate) struct Heard {
    /// Of all rows.
    pub(crate) encoded: TokenSequence,
    /// Natural log-probabilities of CTC's labels in each row's frames, where the model has the head.
    pub(crate) labels: Option<Vec<Vec<f32>>>,
}

/// A trained model with what is needed to use it.
pub(crate) struct Inference<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    marks: Marks,
    n_beams: usize,
    max_text_tokens: usize,
    device: Device,
}

impl<'a> Inference<'a> {
    /// `model` is on `device`, without autodiff.
    pub(crate) fn new(
        model: &'a Model,
        tokenizer: &'a Tokenizer,
        n_beams: usize,
        max_text_tokens: usize,
        device: &Device,
    ) -> Self {
        let marks = Marks { begin: BOS, end: EOS, forbidden: vec![PAD, BOS, MASK, UNK] };
        Self { model, tokenizer, marks, n_beams, max_text_tokens, device: device.clone() }
    }

    /// Factor on the similarities of texts with pictures or with sounds: the inverse of the temperature.
    pub(crate) fn text_scale(&self, modality: Modality) -> f64 {
        let logarithms = self.model.retrieval.log_scale.val().into_data().convert::<f32>();
        let logarithms = logarithms.try_into_vec::<f32>().expect("converted to float32");
        let scale_idx = if modality == Modality::Audio { 1 } else { 0 };
        f64::from(logarithms[scale_idx]).exp()
    }

    /// Tokens of a text, and how many of them are read.
    pub(crate) fn text_length(&self, text: &str) -> (usize, usize) {
        (self.tokenizer.encode(text).len(), self.max_text_tokens)
    }

    /// Embeddings of texts, compared by their dot products.
    pub(crate) fn embed_texts(&self, texts: &[&str], batch_size: usize) -> Vec<Vec<f32>> {
        let embed = |texts| rows(self.model.retrieval.embed(&self.read(texts)));
        texts.chunks(batch_size).flat_map(embed).collect()
    }

    /// Embeddings of what is encoded, compared by their dot products.
    pub(crate) fn embed(&self, encoded: &TokenSequence) -> Vec<Vec<f32>> {
        rows(self.model.retrieval.embed(encoded))
    }

    /// The texts, encoded.
    pub(crate) fn read(&self, texts: &[&str]) -> TokenSequence {
        let ids = texts.iter().map(|text| {
            let mut ids = self.tokenizer.encode(text);
            ids.truncate(self.max_text_tokens);
            ids
        });
        let batch = text_batch(&ids.collect::<Vec<_>>());
        self.model.encode_text(&TextInput::new(&batch, &self.device))
    }

    /// Embeddings of the pictures of a batch, compared by their dot products.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn embed_images(&self, batch: &HostBatch) -> Vec<Vec<f32>> {
        let image = batch.image.as_ref().expect("a batch of pictures");
        rows(self.model.retrieval.embed(&self.model.encode_image(&ImageInput::new(image, &self.device))))
    }

    /// Embeddings of the sounds of a batch, compared by their dot products.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn embed_sounds(&self, batch: &HostBatch) -> Vec<Vec<f32>> {
        let audio = batch.audio.as_ref().expect("a batch of sounds");
        rows(self.model.retrieval.embed(&self.model.encode_audio(&AudioInput::new(audio, &self.device))))
    }

    /// What is read off texts, pictures or sounds.
    pub(crate) fn read_out(&self, encoded: &TokenSequence, readout: Readout) -> Vec<Vec<f32>> {
        rows(match readout {
            Readout::Encoder => encoded.pooled(),
            Readout::Embedding => self.model.retrieval.embed(encoded),
        })
    }

    /// The sounds of a batch, encoded.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn listen(&self, batch: &HostBatch) -> TokenSequence {
        let audio = batch.audio.as_ref().expect("a batch of sounds");
        self.model.encode_audio(&AudioInput::new(audio, &self.device))
    }

    /// The pictures of a batch.
    ///
    /// # Errors
    /// Scores that are NaN.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn images(&self, batch: &HostBatch) -> Result<Vec<Perceived>, InferenceError> {
        self.perceive(&self.see(batch), None)
    }

    /// The pictures of a batch, to be written about.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn see(&self, batch: &HostBatch) -> TokenSequence {
        let image = batch.image.as_ref().expect("a batch of pictures");
        self.model.encode_image(&ImageInput::new(image, &self.device))
    }

    /// The sounds of a batch, to be written about.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn hear(&self, batch: &HostBatch) -> Heard {
        let audio = batch.audio.as_ref().expect("a batch of sounds");
        let input = AudioInput::new(audio, &self.device);
        let encoded = self.model.encode_audio(&input);
        let labels = self.model.ctc.as_ref().and_then(|head| {
            let fused = self.model.backbone.forward(std::slice::from_ref(&encoded));
            let logits = head.forward(fused.span(Segment::Encoded(encoded.modality))?);
            Some(ctc::log_probabilities(logits, &self.model.audio_token_lengths(&input)))
        });
        Heard { encoded, labels }
    }

    /// The texts of every row behind all that is `encoded` of it, best first. `row_ids` decide what is drawn at random.
    ///
    /// # Errors
    /// Scores that are NaN, settings that make no sense, or a constraint that cannot be fulfilled.
    pub(crate) fn write(
        &self,
        encoded: &[TokenSequence],
        row_ids: &[impl AsRef<str>],
        manner: &Manner,
        constraint: Option<&Constraint>,
    ) -> Result<Vec<Vec<Text>>, InferenceError> {
        let writer = Writer::new(&self.model.backbone, &self.marks, constraint)?;
        Ok(match manner {
            Manner::Search(search) => writer.search(encoded, search)?,
            Manner::Sample(sampling) => writer.sample(encoded, row_ids, sampling)?,
        })
    }

    /// Some rows of what is encoded, each as often as it is named.
    pub(crate) fn rows_of(&self, encoded: &TokenSequence, rows: &[usize]) -> TokenSequence {
        let rows = rows.iter().map(|&row| row as i64).collect::<Vec<_>>();
        let n = rows.len();
        encoded.select(&Tensor::from_data(TensorData::new(rows, [n]), &self.device))
    }

    /// Answers to questions about the rows of `source`, one each, with their mean log-probabilities.
    ///
    /// # Errors
    /// Scores that are NaN.
    pub(crate) fn answer(
        &self,
        source: &TokenSequence,
        questions: &[&str],
    ) -> Result<Vec<(String, f32)>, InferenceError> {
        let manner = Manner::Search(BeamSearch::new(self.n_beams));
        let written = self.write(&[self.read(questions), source.clone()], &[""; 0], &manner, None)?;
        let best = written.into_iter().flatten();
        Ok(best.map(|text| (self.tokenizer.decode(&text.ids), text.confidence())).collect())
    }

    /// The texts of every row, best first, with CTC's say in each of their tokens.
    ///
    /// # Errors
    /// Scores that are NaN, settings that make no sense, or a sound without a frame.
    ///
    /// # Panics
    /// When the model has no CTC head.
    pub(crate) fn write_jointly(
        &self,
        heard: &Heard,
        ctc_weight: f64,
        search: &BeamSearch,
    ) -> Result<Vec<Vec<Text>>, InferenceError> {
        let labels = heard.labels.as_ref().expect("a model with a CTC head");
        let frames = labels.iter().map(|row| ctc::Frames::new(row, self.tokenizer.n_tokens()));
        let frames = frames.collect::<Result<Vec<_>, _>>()?;
        let writer = Writer::new(&self.model.backbone, &self.marks, None)?;
        Ok(writer.search_jointly(std::slice::from_ref(&heard.encoded), &frames, ctc_weight, search)?)
    }

    /// The sounds of a batch.
    ///
    /// # Errors
    /// Scores that are NaN.
    ///
    /// # Panics
    /// When the batch has none.
    pub(crate) fn sounds(&self, batch: &HostBatch) -> Result<Vec<Perceived>, InferenceError> {
        let heard = self.hear(batch);
        let greedy = |rows: &Vec<Vec<f32>>| rows.iter().map(|row| self.best_path(row)).collect();
        let by_ctc = heard.labels.as_ref().map(greedy).transpose()?;
        self.perceive(&heard.encoded, by_ctc)
    }

    /// What CTC writes down without a search.
    pub(crate) fn best_path(&self, labels: &[f32]) -> Result<Decoded, CtcError> {
        ctc::best_path(&ctc::Frames::new(labels, self.tokenizer.n_tokens())?, PAD)
    }

    fn perceive(
        &self,
        encoded: &TokenSequence,
        by_ctc: Option<Vec<Decoded>>,
    ) -> Result<Vec<Perceived>, InferenceError> {
        let embeddings = rows(self.model.retrieval.embed(encoded));
        let manner = Manner::Search(BeamSearch::new(self.n_beams));
        let written = self.write(std::slice::from_ref(encoded), &[""; 0], &manner, None)?;
        let mut by_ctc = by_ctc.map(Vec::into_iter);
        let perceived =
            embeddings.into_iter().zip(written.into_iter().flatten()).map(|(embedding, text)| Perceived {
                embedding,
                written: self.tokenizer.decode(&text.ids),
                confidence: text.confidence(),
                by_ctc: by_ctc
                    .as_mut()
                    .and_then(Iterator::next)
                    .map(|decoded| self.tokenizer.decode(&decoded.ids)),
            });
        Ok(perceived.collect())
    }
}

/// Rows of a matrix on the host.
fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, d] = matrix.dims();
    let values = matrix.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to float32");
    values.chunks(d).map(<[f32]>::to_vec).collect()
}

/// A batch of texts as the text encoder reads it.
fn text_batch(texts: &[Vec<u32>]) -> TextBatch {
    let n_tokens = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut ids = Vec::with_capacity(texts.len() * n_tokens);
    for text in texts {
        ids.extend(text);
        ids.extend(std::iter::repeat_n(PAD, n_tokens - text.len()));
    }
    TextBatch {
        rows: (0..texts.len()).collect(),
        ids,
        // an empty text is one token of padding: the encoder then gives zeros for it
        lengths: texts.iter().map(Vec::len).collect(),
        n_tokens,
    }
}
