//! Embeddings to search by: each encoder's mean token, projected into one space and normalised.

use burn::module::{Module, Param};
use burn::prelude::*;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::{Modality, TokenSequence};

/// Projections of every modality into one space, and the temperatures at which they are compared.
#[derive(Module, Debug)]
pub struct RetrievalHead {
    text: Option<Linear>,
    image: Option<Linear>,
    audio: Option<Linear>,
    /// Logarithms of the factors on the cosine similarities of image-text, audio-text and image-audio.
    ///
    /// Start at `ln(1 / temperature)`; CLIP's temperature is 0.07.
    pub log_scale: Param<Tensor<1>>,
}

impl RetrievalHead {
    /// `widths` are those of the text, image and audio tokens, in the order of [`Modality::ALL`].
    pub fn new(
        widths: [Option<usize>; 3],
        d_embedding: usize,
        temperature: f32,
        init: &mut Initializer,
    ) -> Self {
        let [text, image, audio] =
            widths.map(|width| width.map(|width| Linear::without_bias(width, d_embedding, init)));
        Self { text, image, audio, log_scale: init.constant([3], -temperature.ln()) }
    }

    /// Unit vectors that can be compared by their dot product; 0 for a row of padding alone.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d]` -> `[batch, d_embedding]`
    ///
    /// # Panics
    /// When the model does not know the modality.
    pub fn embed(&self, tokens: &TokenSequence) -> Tensor<2> {
        let projection = match tokens.modality {
            Modality::Text => &self.text,
            Modality::Image => &self.image,
            Modality::Audio => &self.audio,
        };
        let projection = projection.as_ref().expect("the model knows the modality");
        let embedding = projection.forward(tokens.mean());
        // added under the root, whose slope at 0 is infinite: a row of padding alone is embedded as 0
        let norm = embedding.clone().powi_scalar(2).sum_dim(1).add_scalar(1e-12).sqrt();
        embedding / norm
    }
}
