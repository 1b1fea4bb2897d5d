//! InfoNCE between two modalities: a sample's embeddings are each other's neighbours among the batch's.

use burn::prelude::*;
use triptych_encoders::Modality;
use triptych_encoders::layers::ops;

use super::{Objective, StepContext};

/// Pictures with their texts, by what they mean.
pub(super) const IMAGE_TEXT: Contrastive = Contrastive {
    name: "contrast_image_text",
    about: "InfoNCE between pictures and texts",
    modalities: &[Modality::Image, Modality::Text],
    scale_idx: 0,
};

/// Sounds with their texts, by how they are said.
pub(super) const AUDIO_TEXT: Contrastive = Contrastive {
    name: "contrast_audio_text",
    about: "InfoNCE between sounds and texts",
    modalities: &[Modality::Audio, Modality::Text],
    scale_idx: 1,
};

/// Pictures with their sounds, by what they mean. The texts of the batch, where there are any, stand beside the pictures
/// without a gradient: a text means what all its pictures do, without the noise of any one of them.
pub(super) const IMAGE_AUDIO: Contrastive = Contrastive {
    name: "contrast_image_audio",
    about: "InfoNCE between sounds and pictures, and between sounds and what their texts mean",
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
        let direct = self.between(context, a, b, |embedding| embedding)?;
        if self.modalities != IMAGE_AUDIO.modalities {
            return Some(direct);
        }
        let by_text = self.between(context, Modality::Text, Modality::Audio, Tensor::detach);
        Some(by_text.map_or(direct.clone(), |by_text| (direct + by_text).mul_scalar(0.5)))
    }
}

impl Contrastive {
    /// The mean over the pairings of the rows that have both; `change` is applied to the embeddings of `a`.
    fn between(
        &self,
        context: &StepContext<'_>,
        a: Modality,
        b: Modality,
        change: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Option<Tensor<1>> {
        // a pair alone has nothing to be told from
        let pairings = context.pairings(a, b).into_iter().filter(|[places, _]| places.len() > 1);
        let pairings = pairings.collect::<Vec<_>>();
        let scale = context.model.retrieval.log_scale.val().narrow(0, self.scale_idx, 1);
        let (a, b) = (change(self.embeddings(context, a)?), self.embeddings(context, b)?);
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

    /// By wording for texts and sounds, else by meaning; by the only space that there is where there is one.
    fn embeddings(&self, context: &StepContext<'_>, modality: Modality) -> Option<Tensor<2>> {
        let (tokens, _) = context.encoded(modality)?;
        let retrieval = &context.model.retrieval;
        let meaning = || retrieval.meaning(tokens);
        if self.modalities == AUDIO_TEXT.modalities {
            retrieval.wording(tokens).or_else(meaning)
        } else {
            meaning()
        }
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
