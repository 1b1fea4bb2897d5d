//! What a student's encoders give, brought into the space of a teacher's embeddings.

use burn::module::Module;
use burn::prelude::*;
use triptych_encoders::TokenSequence;
use triptych_encoders::layers::cost::{self, Cost, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::linear::Linear;

/// A projection for each modality that the model knows.
#[derive(Module, Debug)]
pub struct DistilledHead {
    /// In the order of [`triptych_encoders::Modality::ALL`].
    projections: Vec<Option<Linear>>,
}

impl DistilledHead {
    /// `widths` are those of the text, image and audio tokens, where the model knows them; `d_teacher` is the width of the
    /// teacher's embeddings.
    pub fn new(widths: [Option<usize>; 3], d_teacher: usize, init: &mut Initializer) -> Self {
        let projection = |width: Option<usize>| width.map(|width| Linear::new(width, d_teacher, init));
        Self { projections: widths.map(projection).into() }
    }

    /// What an embedding of each modality costs.
    pub fn cost(widths: [Option<usize>; 3], d_teacher: usize) -> CostTree {
        let of = widths.into_iter().flatten().map(|width| cost::linear(1, width, d_teacher, true));
        CostTree::leaf("distilled", &[d_teacher], of.fold(Cost::default(), |sum, cost| sum + cost))
    }

    /// Width of the teacher's embeddings.
    pub fn d_teacher(&self) -> Option<usize> {
        let projection = self.projections.iter().flatten().next()?;
        Some(projection.weight.dims()[1])
    }

    /// `None` for a modality that the model does not know.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d]` -> `[batch, d_teacher]`
    pub fn forward(&self, tokens: &TokenSequence) -> Option<Tensor<2>> {
        let projection = self.projections[tokens.modality.idx()].as_ref()?;
        Some(projection.forward(tokens.pooled()))
    }
}
