//! What the objectives of one step share: the batch on the device, and encodings that are computed once.

use std::cell::{OnceCell, RefCell};

use burn::prelude::*;
use triptych_datasets::batch::{AudioBatch, HostBatch, ImageBatch, QuestionBatch, TextBatch};
use triptych_datasets::draw::Draw;
use triptych_datasets::text::WordBoundaries;
use triptych_encoders::layers::experts::Routing;
use triptych_encoders::{AudioInput, ImageInput, Modality, TextInput, TokenSequence};
use triptych_fusion::sequence::FusedSequence;

use super::caption::Written;
use super::companions::{Companions, Momentum};
use super::embeddings::Embeddings;
use crate::heads::retrieval::Space;
use crate::model::Model;

/// The token id of padding, which is CTC's blank too.
pub const PAD_ID: u32 = 0;

/// Token ids that the objectives write themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenIds {
    /// Begin mark.
    pub begin: u32,
    /// End mark.
    pub end: u32,
    /// Stands for a masked token.
    pub mask: u32,
    /// Number of token ids; the special ones come first.
    pub n_vocab: usize,
    /// First id that is not special.
    pub first_ordinary: u32,
}

/// One step's batch and encodings.
#[derive(Debug)]
pub struct StepContext<'a> {
    /// The model that learns.
    pub model: &'a Model,
    /// The batch on the host.
    pub batch: &'a HostBatch,
    /// Special token ids.
    pub token_ids: TokenIds,
    /// Where words begin and end among the tokens, where that is known.
    words: Option<&'a WordBoundaries>,
    device: Device,
    seed: u64,
    step: u64,
    audio_input: OnceCell<AudioInput>,
    text: OnceCell<TokenSequence>,
    image: OnceCell<TokenSequence>,
    audio: OnceCell<TokenSequence>,
    transcript: OnceCell<Option<Written>>,
    routings: RefCell<Vec<Routing>>,
    embeddings: Embeddings,
    teacher: Option<Box<StepContext<'a>>>,
    momentum: Option<(Box<StepContext<'a>>, &'a Momentum)>,
}

impl<'a> StepContext<'a> {
    /// `(seed, step)` decides everything that is drawn.
    pub fn new(
        model: &'a Model,
        batch: &'a HostBatch,
        token_ids: TokenIds,
        device: &Device,
        seed: u64,
        step: u64,
    ) -> Self {
        Self {
            model,
            batch,
            token_ids,
            words: None,
            device: device.clone(),
            seed,
            step,
            audio_input: OnceCell::new(),
            text: OnceCell::new(),
            image: OnceCell::new(),
            audio: OnceCell::new(),
            transcript: OnceCell::new(),
            routings: RefCell::default(),
            embeddings: Embeddings::default(),
            teacher: None,
            momentum: None,
        }
    }

    /// The same, and it is known where words begin and end among the tokens.
    #[must_use]
    pub fn with_words(self, words: Option<&'a WordBoundaries>) -> Self {
        Self { words, ..self }
    }

    /// Where words begin and end among the tokens.
    ///
    /// # Panics
    /// When the context was not told.
    pub(super) fn words(&self) -> &'a WordBoundaries {
        self.words.expect("whole words are masked only where `with_words` tells which there are")
    }

    /// The same with models beside the one that learns, which see the same batch.
    #[must_use]
    pub fn with_companions(mut self, companions: Companions<'a>) -> Self {
        let inner = if self.device.is_autodiff() { self.device.clone().inner() } else { self.device.clone() };
        let (batch, token_ids, seed, step) = (self.batch, self.token_ids, self.seed, self.step);
        let beside = |model| Box::new(StepContext::new(model, batch, token_ids, &inner, seed, step));
        self.teacher = companions.teacher.map(beside);
        self.momentum = companions.momentum.map(|momentum| (beside(&momentum.model), momentum));
        self
    }

    /// The same with embeddings from elsewhere in the place of its own.
    #[must_use]
    pub(super) fn with_embeddings(self, embeddings: Embeddings) -> Self {
        Self { embeddings, ..self }
    }

    /// The same with the teacher's and the average's embeddings from elsewhere.
    #[must_use]
    pub(super) fn with_companions_embeddings(mut self, [teacher, momentum]: [Option<Embeddings>; 2]) -> Self {
        if let (Some(context), Some(embeddings)) = (&mut self.teacher, teacher) {
            context.embeddings = embeddings;
        }
        if let (Some((context, _)), Some(embeddings)) = (&mut self.momentum, momentum) {
            context.embeddings = embeddings;
        }
        self
    }

    /// What a frozen teacher makes of the batch, where there is one.
    pub(super) fn teacher(&self) -> Option<&StepContext<'a>> {
        self.teacher.as_deref()
    }

    /// What the learner's own average makes of the batch, where there is one, and the average.
    pub(super) fn momentum(&self) -> Option<(&StepContext<'a>, &'a Momentum)> {
        self.momentum.as_ref().map(|(context, momentum)| (&**context, *momentum))
    }

    /// A tensor of a companion, to be computed with among those of the learner; no gradient flows to it.
    pub(super) fn lift<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.device.is_autodiff() { Tensor::from_inner(tensor) } else { tensor }
    }

    /// Steps done before this one.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// Randomness for `purpose` in this step.
    pub fn draw(&self, purpose: &str) -> Draw {
        Draw::new(self.seed, self.step, "", purpose)
    }

    /// Randomness for `purpose` of the samples at `places` of a modality's batch in this step, one each: whatever their
    /// neighbours, it is decided by the sample's name and, where it has several of the modality, its number.
    pub fn draws(&self, purpose: &str, modality: Modality, places: &[usize]) -> Vec<Draw> {
        let rows = self.rows(modality).unwrap_or_default();
        let draw = |&place: &usize| {
            let row = rows[place];
            let number = place - rows.partition_point(|&other| other < row);
            let id = self.batch.ids.get(row).map_or("", String::as_str);
            Draw::new(self.seed, self.step, &format!("{id}/{number}"), purpose)
        };
        places.iter().map(draw).collect()
    }

    /// Where the rows that have all of some modalities lie in the batch of each, the first place of each row; `None` when no
    /// row has them all.
    pub fn shared(&self, modalities: &[Modality]) -> Option<Vec<Vec<usize>>> {
        let rows = modalities.iter().map(|&modality| self.rows(modality)).collect::<Option<Vec<_>>>()?;
        let (first, others) = rows.split_first()?;
        let mut shared = first.to_vec();
        shared.dedup();
        shared.retain(|row| others.iter().all(|rows| rows.binary_search(row).is_ok()));
        let places = |rows: &&[usize]| {
            shared.iter().map(|&row| rows.partition_point(|&other| other < row)).collect::<Vec<_>>()
        };
        (!shared.is_empty()).then(|| rows.iter().map(places).collect())
    }

    /// The texts at `places` of their batch.
    pub(super) fn texts_at(&self, places: &[usize]) -> Option<Vec<Vec<u32>>> {
        Some(select_texts(self.text_batch()?, places))
    }

    /// The pictures at `places` of their batch.
    ///
    /// # Shapes
    /// -> `[n, height, width, 3]`
    pub(super) fn pixels_at(&self, places: &[usize]) -> Option<Tensor<4>> {
        let pixels = ImageInput::new(self.image_batch()?, &self.device).pixels;
        Some(if places.len() == pixels.dims()[0] { pixels } else { pixels.select(0, self.indices(places)) })
    }

    /// The sounds at `places` of their batch.
    pub(super) fn sounds_at(&self, places: &[usize]) -> Option<AudioInput> {
        let input = self.audio_input()?;
        if places.len() == input.lengths.len() {
            return Some(input.clone());
        }
        Some(AudioInput {
            frames: input.frames.clone().select(0, self.indices(places)),
            lengths: places.iter().map(|&place| input.lengths[place]).collect(),
        })
    }

    /// Where the model lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The batch's texts, if it and the model have them.
    pub fn text_batch(&self) -> Option<&'a TextBatch> {
        self.batch.text.as_ref().filter(|_| self.model.knows(Modality::Text))
    }

    /// The batch's pictures, if it and the model have them.
    pub fn image_batch(&self) -> Option<&'a ImageBatch> {
        self.batch.image.as_ref().filter(|_| self.model.knows(Modality::Image))
    }

    /// The batch's sounds, if it and the model have them.
    pub fn audio_batch(&self) -> Option<&'a AudioBatch> {
        self.batch.audio.as_ref().filter(|_| self.model.knows(Modality::Audio))
    }

    /// Encoded texts, pictures or sounds with the rows of the batch that they stand for.
    pub fn encoded(&self, modality: Modality) -> Option<(&TokenSequence, &'a [usize])> {
        match modality {
            Modality::Text => {
                let batch = self.text_batch()?;
                let encode = || self.model.encode_text(&TextInput::new(batch, &self.device));
                Some((self.text.get_or_init(encode), &batch.rows))
            }
            Modality::Image => {
                let batch = self.image_batch()?;
                let encode = || self.model.encode_image(&ImageInput::new(batch, &self.device));
                Some((self.image.get_or_init(encode), &batch.rows))
            }
            Modality::Audio => {
                let batch = self.audio_batch()?;
                let encode = || self.model.encode_audio(self.audio_input().expect("the batch has sounds"));
                Some((self.audio.get_or_init(encode), &batch.rows))
            }
        }
    }

    /// The batch's embeddings of one modality in one space.
    pub(super) fn embedding(&self, modality: Modality, space: Space) -> Option<Tensor<2>> {
        let compute = || self.model.retrieval.embed_in(space, self.encoded(modality)?.0);
        self.embeddings.get_or_init(modality, space, compute)
    }

    /// The batch's sounds on the device.
    pub fn audio_input(&self) -> Option<&AudioInput> {
        let batch = self.audio_batch()?;
        Some(self.audio_input.get_or_init(|| AudioInput::new(batch, &self.device)))
    }

    /// Fuses the inputs, and remembers what the routers of a mixture of experts did.
    pub fn fuse(&self, inputs: &[TokenSequence]) -> FusedSequence {
        self.noting(self.model.backbone.forward(inputs))
    }

    /// The same with what the first so many blocks make of the inputs, in rising order; the whole is last.
    pub(super) fn fuse_tapped(&self, inputs: &[TokenSequence], depths: &[usize]) -> Vec<FusedSequence> {
        if depths.is_empty() {
            return vec![self.fuse(inputs)];
        }
        let mut tapped = self.model.backbone.forward_tapped(inputs, depths);
        if let Some(whole) = tapped.last_mut() {
            self.routings.borrow_mut().extend(whole.routing.take());
        }
        tapped
    }

    /// The same with a causal text behind the inputs.
    pub fn fuse_causal(&self, inputs: &[TokenSequence], text: &TextInput) -> FusedSequence {
        self.noting(self.model.backbone.forward_causal(inputs, text))
    }

    fn noting(&self, fused: FusedSequence) -> FusedSequence {
        self.routings.borrow_mut().extend(fused.routing.clone());
        fused
    }

    /// What the routers did in all that was fused so far.
    pub(super) fn routing(&self) -> Option<Routing> {
        Routing::mean(self.routings.take())
    }

    /// Where the rows that have both modalities lie in the batch of each, the first place of each row; `None` when no
    /// row has both.
    pub fn paired(&self, a: Modality, b: Modality) -> Option<[Vec<usize>; 2]> {
        self.pairings(a, b).into_iter().next()
    }

    /// The same of one modality with other rows that rise.
    pub(super) fn first_pairing(&self, modality: Modality, rows: &[usize]) -> Option<[Vec<usize>; 2]> {
        pairings(self.rows(modality)?, rows).into_iter().next()
    }

    /// Questions about the batch's pictures or sounds, if it has any and the model reads text.
    pub(super) fn questions(&self, modality: Modality) -> Option<&'a QuestionBatch> {
        let questions = match modality {
            Modality::Image => self.batch.image_questions.as_ref(),
            Modality::Audio => self.batch.audio_questions.as_ref(),
            Modality::Text => None,
        };
        questions.filter(|_| self.model.knows(Modality::Text))
    }

    /// The same for every sound of a row, one after the other: as many pairings as a row of either has samples.
    pub fn pairings(&self, a: Modality, b: Modality) -> Vec<[Vec<usize>; 2]> {
        match (self.rows(a), self.rows(b)) {
            (Some(a), Some(b)) => pairings(a, b),
            _ => Vec::new(),
        }
    }

    /// The encoded rows at `places` of their modality's batch, which rise.
    pub fn encoded_at(&self, modality: Modality, places: &[usize]) -> Option<TokenSequence> {
        let (tokens, rows) = self.encoded(modality)?;
        Some(if places.len() == rows.len() { tokens.clone() } else { tokens.select(&self.indices(places)) })
    }

    /// The rows of the batch that a modality's samples stand for.
    pub(super) fn rows(&self, modality: Modality) -> Option<&'a [usize]> {
        match modality {
            Modality::Text => self.text_batch().map(|batch| batch.rows.as_slice()),
            Modality::Image => self.image_batch().map(|batch| batch.rows.as_slice()),
            Modality::Audio => self.audio_batch().map(|batch| batch.rows.as_slice()),
        }
    }

    /// The transcripts behind their sounds, shared by the transcript objective and CTC.
    pub(super) fn transcript(&self, compute: impl FnOnce() -> Option<Written>) -> Option<Written> {
        self.transcript.get_or_init(compute).clone()
    }

    /// Device tensor of row numbers.
    pub fn indices(&self, rows: &[usize]) -> Tensor<1, Int> {
        let rows = rows.iter().map(|&row| row as i64).collect::<Vec<_>>();
        let n = rows.len();
        Tensor::from_data(TensorData::new(rows, [n]), &self.device)
    }
}

/// Where the rows that two modalities share lie in each; both lists rise. The second pairing takes the second sample
/// of each row, and so on; a row with fewer begins again with its first.
fn pairings(a: &[usize], b: &[usize]) -> Vec<[Vec<usize>; 2]> {
    let places = |rows: &[usize], row: usize| {
        rows.partition_point(|&other| other < row)..rows.partition_point(|&other| other <= row)
    };
    let mut shared = a.to_vec();
    shared.dedup();
    let shared = shared.into_iter().map(|row| (places(a, row), places(b, row)));
    let shared = shared.filter(|(_, in_b)| !in_b.is_empty()).collect::<Vec<_>>();
    let n_pairings = shared.iter().map(|(in_a, in_b)| in_a.len().max(in_b.len())).max().unwrap_or(0);
    let pairing = |idx: usize| {
        let place = |places: &std::ops::Range<usize>| places.start + idx % places.len();
        let (a, b) = shared.iter().map(|(in_a, in_b)| (place(in_a), place(in_b))).unzip();
        [a, b]
    };
    (0..n_pairings).map(pairing).collect()
}

/// The rows of a text batch at `places`.
pub(crate) fn select_texts(text: &TextBatch, places: &[usize]) -> Vec<Vec<u32>> {
    places.iter().map(|&place| text.ids[place * text.n_tokens..][..text.lengths[place]].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_rows_are_found_where_they_lie() {
        assert_eq!(pairings(&[0, 2, 3, 7], &[2, 5, 7]), [[vec![1, 3], vec![0, 2]]]);
        assert!(pairings(&[], &[1]).is_empty());
        assert!(pairings(&[0], &[1]).is_empty());
    }

    #[test]
    fn every_sample_of_a_row_is_paired() {
        let pairings = pairings(&[0, 0, 1, 3, 3, 3], &[0, 1, 3]);
        let expected = [[0, 2, 3], [1, 2, 4], [0, 2, 5]].map(|sounds| [sounds.to_vec(), vec![0, 1, 2]]);
        assert_eq!(pairings, expected);
    }
}
