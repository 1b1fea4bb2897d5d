//! Embeddings to search by: what each encoder gives for the whole, its mean token in most, projected and normalised.

use burn::module::{Module, Param};
use burn::prelude::*;
use triptych_encoders::layers::cost::{self, Cost, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::{Modality, TokenSequence};

use super::pair::Pair;

/// A space that embeddings are compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// What is meant.
    Meaning,
    /// How it is said.
    Wording,
}

impl Space {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Meaning, Self::Wording];
}

/// Projections into two spaces, and the temperatures at which embeddings are compared.
///
/// A text goes with pictures by what it means and with sounds by how it is said, and neither follows from the other. In
/// one space a text's embedding falls into two parts, one that pictures match and one that sounds match, and pictures
/// and sounds find each other late or never. So the parts are apart from the start: every modality has a meaning; texts
/// and sounds have a wording besides.
#[derive(Module, Debug)]
pub struct RetrievalHead {
    /// In the order of [`triptych_encoders::Modality::ALL`].
    meaning: Vec<Option<Linear>>,
    wording: Vec<Option<Linear>>,
    /// Logarithms of the factors on the cosine similarities of image-text, audio-text and image-audio.
    ///
    /// Start at `ln(1 / temperature)`; CLIP's temperature is 0.07.
    pub log_scale: Param<Tensor<1>>,
}

impl RetrievalHead {
    /// `widths` are those of the text, image and audio tokens, in the order of [`triptych_encoders::Modality::ALL`], where the model knows
    /// them.
    pub fn new(
        widths: [Option<usize>; 3],
        d_embedding: usize,
        temperature: f32,
        init: &mut Initializer,
    ) -> Self {
        let mut projections = |widths: [Option<usize>; 3]| {
            widths.map(|width| width.map(|width| Linear::with_bias(false, width, d_embedding, init))).into()
        };
        let [meaning, wording] = Self::spaces(widths);
        Self {
            meaning: projections(meaning),
            wording: projections(wording),
            log_scale: init.constant([3], -temperature.ln()),
        }
    }

    /// The widths of the modalities that have a meaning, and of those that have a wording.
    fn spaces(widths: [Option<usize>; 3]) -> [[Option<usize>; 3]; 2] {
        let [text, image, audio] = widths;
        let has_wording = text.is_some() && audio.is_some();
        let has_meaning = image.is_some() || !has_wording;
        let wording = [text, None, audio].map(|width| width.filter(|_| has_wording));
        [widths.map(|width| width.filter(|_| has_meaning)), wording]
    }

    /// What an embedding of each modality costs.
    pub fn cost(widths: [Option<usize>; 3], d_embedding: usize) -> CostTree {
        let [meaning, wording] = Self::spaces(widths).map(|widths| {
            let projections =
                widths.into_iter().flatten().map(|width| cost::linear(1, width, d_embedding, false));
            projections.fold(Cost::default(), |sum, projection| sum + projection)
        });
        let parts = vec![
            CostTree::leaf("meaning", &[d_embedding], meaning),
            CostTree::leaf("wording", &[d_embedding], wording),
            CostTree::leaf("log_scale", &[], cost::table(3, 1)),
        ];
        CostTree::of("retrieval", &[], parts)
    }

    /// What is meant: the space in which pictures are compared. `None` where the model knows no pictures but texts and
    /// sounds.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d]` -> unit vectors `[batch, d_embedding]`; 0 for a row of padding alone
    pub fn meaning(&self, tokens: &TokenSequence) -> Option<Tensor<2>> {
        self.meaning[tokens.modality.idx()]
            .as_ref()
            .map(|projection| unit(projection.forward(tokens.pooled())))
    }

    /// How it is said: the space in which texts and sounds are compared. `None` for pictures, and where the model does not
    /// know both texts and sounds.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d]` -> unit vectors `[batch, d_embedding]`; 0 for a row of padding alone
    pub fn wording(&self, tokens: &TokenSequence) -> Option<Tensor<2>> {
        self.wording[tokens.modality.idx()]
            .as_ref()
            .map(|projection| unit(projection.forward(tokens.pooled())))
    }

    /// Width of what [`Self::embed`] gives.
    pub fn width(&self) -> usize {
        let of = |space: &[Option<Linear>]| {
            space.iter().flatten().next().map_or(0, |projection| projection.weight.dims()[1])
        };
        of(&self.meaning) + of(&self.wording)
    }

    /// What the embeddings of `modality` in a pair are compared by: the wording for texts and sounds, else the meaning; by
    /// the only space that there is where there is one.
    pub fn space(&self, pair: Pair, modality: Modality) -> Space {
        let has_wording = self.wording[modality.idx()].is_some();
        if pair == Pair::AudioText && has_wording { Space::Wording } else { Space::Meaning }
    }

    /// The embeddings in one space; `None` where the modality has none there.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d]` -> unit vectors `[batch, d_embedding]`; 0 for a row of padding alone
    pub fn embed_in(&self, space: Space, tokens: &TokenSequence) -> Option<Tensor<2>> {
        match space {
            Space::Meaning => self.meaning(tokens),
            Space::Wording => self.wording(tokens),
        }
    }

    /// Meaning and wording side by side, zeros for what a modality does not have: the dot product of two embeddings is
    /// the sum of the cosine similarities in the spaces that both are in.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d]` -> `[batch, d_embedding]` times the number of spaces that the model has
    ///
    /// # Panics
    /// When the model does not know the modality.
    pub fn embed(&self, tokens: &TokenSequence) -> Tensor<2> {
        let (meaning, wording) = (self.meaning(tokens), self.wording(tokens));
        let has = |space: &[Option<Linear>]| space.iter().any(Option::is_some);
        let known = meaning.as_ref().or(wording.as_ref()).expect("the model knows the modality").zeros_like();
        let parts = [(meaning, has(&self.meaning)), (wording, has(&self.wording))];
        let parts = parts.into_iter().filter(|(_, is_there)| *is_there);
        Tensor::cat(parts.map(|(part, _)| part.unwrap_or_else(|| known.clone())).collect(), 1)
    }
}

fn unit(vectors: Tensor<2>) -> Tensor<2> {
    // added under the root, whose slope at 0 is infinite: a row of padding alone is embedded as 0
    let norm = vectors.clone().powi_scalar(2).sum_dim(1).add_scalar(1e-12).sqrt();
    vectors / norm
}
