//! InfoNCE between two modalities: a sample's embeddings are each other's neighbours among the batch's.

use burn::prelude::*;
use triptych_encoders::Modality;
use triptych_encoders::layers::ops;

use super::{Objective, StepContext};

/// Pictures with their texts.
pub(super) const IMAGE_TEXT: Contrastive = Contrastive {
    name: "contrast_image_text",
    about: "InfoNCE between pictures and texts",
    modalities: &[Modality::Image, Modality::Text],
    scale_idx: 0,
};

/// Sounds with their texts.
pub(super) const AUDIO_TEXT: Contrastive = Contrastive {
    name: "contrast_audio_text",
    about: "InfoNCE between sounds and texts",
    modalities: &[Modality::Audio, Modality::Text],
    scale_idx: 1,
};

/// Pictures with their sounds.
pub(super) const IMAGE_AUDIO: Contrastive = Contrastive {
    name: "contrast_image_audio",
    about: "InfoNCE between pictures and sounds",
    modalities: &[Modality::Image, Modality::Audio],
    scale_idx: 2,
};

/// See the module's documentation.
pub(super) struct Contrastive {
    name: &'static str,
    about: &'static str,
    modalities: &'static [Modality; 2],
    scale_idx: usize,
}

impl Objective for Contrastive {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.modalities
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let [a, b] = *self.modalities;
        // a pair alone has nothing to be told from
        let pairings = context.pairings(a, b).into_iter().filter(|[places, _]| places.len() > 1);
        let pairings = pairings.collect::<Vec<_>>();
        let retrieval = &context.model.retrieval;
        let scale = retrieval.log_scale.val().narrow(0, self.scale_idx, 1);
        let embeddings = |modality| Some(retrieval.embed(context.encoded(modality)?.0));
        let (a, b) = (embeddings(a)?, embeddings(b)?);
        let n_pairings = pairings.len() as f32;
        let losses = pairings.into_iter().map(|places| {
            let [a, b] = [(&a, &places[0]), (&b, &places[1])].map(|(embeddings, places)| {
                let is_all = places.len() == embeddings.dims()[0];
                if is_all {
                    embeddings.clone()
                } else {
                    embeddings.clone().select(0, context.indices(places))
                }
            });
            info_nce(a, b, scale.clone())
        });
        Some(losses.reduce(|total, loss| total + loss)?.div_scalar(n_pairings))
    }
}

/// `½ [CE(s·A·Bᵀ, y) + CE(s·B·Aᵀ, y)]` with `s = exp(log_scale)` and `y` the diagonal.
///
/// # Shapes
/// Unit vectors `[n, d]` and `[n, d]`, `log_scale` `[1]` -> `[1]`
///
/// # Reference
/// Radford et al. 2021, figure 3; open_clip `ClipLoss`.
pub fn info_nce(a: Tensor<2>, b: Tensor<2>, log_scale: Tensor<1>) -> Tensor<1> {
    let [n, _] = a.dims();
    let device = a.device();
    let logits = a.matmul(b.transpose()) * log_scale.exp().reshape([1, 1]);
    let targets = Tensor::<1, Int>::arange(0..n as i64, &device);
    let weight = Tensor::<1>::ones([n], &device);
    let there = ops::cross_entropy(logits.clone(), targets.clone(), weight.clone(), 0.0);
    let back = ops::cross_entropy(logits.transpose(), targets, weight, 0.0);
    (there + back).mul_scalar(0.5)
}
