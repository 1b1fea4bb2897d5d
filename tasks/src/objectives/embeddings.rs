//! Embeddings of a batch, computed once, or given from elsewhere.

use std::cell::OnceCell;

use burn::prelude::*;
use triptych_encoders::Modality;

use crate::heads::retrieval::Space;

/// One place for each modality in each space.
#[derive(Debug, Default)]
pub(super) struct Embeddings([[OnceCell<Option<Tensor<2>>>; 2]; 3]);

impl Embeddings {
    /// Embeddings that are all there is: a place that is left out is empty, not to be computed.
    pub(super) fn given(found: Vec<(Modality, Space, Tensor<2>)>) -> Self {
        let table = Self::default();
        for (modality, space, embeddings) in found {
            table.get_or_init(modality, space, || Some(embeddings));
        }
        for place in table.0.iter().flatten() {
            place.get_or_init(|| None);
        }
        table
    }

    /// What stands at a place, or what `compute` gives for it.
    pub(super) fn get_or_init(
        &self,
        modality: Modality,
        space: Space,
        compute: impl FnOnce() -> Option<Tensor<2>>,
    ) -> Option<Tensor<2>> {
        self.0[modality.idx()][space as usize].get_or_init(compute).clone()
    }
}
