//! InfoNCE between two modalities: a sample's embeddings are each other's neighbours among the batch's.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use triptych_datasets::mixup::Mixup;
use triptych_encoders::Modality;
use triptych_encoders::layers::ops;

use super::compared::{at, embeddings};
use super::{Objective, OptionError, Options, StepContext, without_options};
use crate::heads::pair::Pair;

/// Pictures with their texts, by what they mean.
pub(super) const IMAGE_TEXT: Contrastive = Contrastive {
    name: "contrast_image_text",
    about: "InfoNCE between pictures and texts",
    pair: Pair::ImageText,
};

/// Sounds with their texts, by how they are said.
pub(super) const AUDIO_TEXT: Contrastive = Contrastive {
    name: "contrast_audio_text",
    about: "InfoNCE between sounds and texts",
    pair: Pair::AudioText,
};

/// Pictures with their sounds, by what they mean. The texts of the batch, where there are any, stand beside the pictures
/// without a gradient: a text means what all its pictures do, without the noise of any one of them.
pub(super) const IMAGE_AUDIO: Contrastive = Contrastive {
    name: "contrast_image_audio",
    about: "InfoNCE between sounds and pictures, and between sounds and what their texts mean",
    pair: Pair::ImageAudio,
};

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct Contrastive {
    name: &'static str,
    about: &'static str,
    pair: Pair,
}

impl Objective for Contrastive {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.pair.modalities()
    }

    fn embeds(&self) -> Option<&'static [Modality]> {
        // the texts beside the pictures too
        Some(if self.pair == Pair::ImageAudio { &Modality::ALL } else { self.pair.modalities() })
    }

    fn knows_blends(&self) -> bool {
        true
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let [a, b] = *self.pair.modalities();
        let direct = self.between(context, a, b, |embedding| embedding)?;
        if self.pair != Pair::ImageAudio {
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
        let scale = context.model.retrieval.log_scale.val().narrow(0, self.pair.idx(), 1);
        let mixup = context.batch.mixup.as_ref().filter(|_| a == Modality::Image);
        let (a, b) = (change(embeddings(context, self.pair, a)?), embeddings(context, self.pair, b)?);
        let n_pairings = pairings.len() as f32;
        let losses = pairings.into_iter().map(|places| {
            let targets = mixup.map(|mixup| targets(mixup, &places[0]));
            let [a, b] = [(&a, &places[0]), (&b, &places[1])].map(|(all, places)| at(context, all, places));
            match targets {
                None => info_nce(a, b, scale.clone()),
                Some(targets) => {
                    let targets = Tensor::from_data(targets, context.device());
                    info_nce_towards(a, b, scale.clone(), targets)
                }
            }
        });
        Some(losses.reduce(|total, loss| total + loss)?.div_scalar(n_pairings))
    }
}

/// What each blended picture is the counterpart of: its own row's sample as much as it keeps of itself, the other's as
/// much as it takes.
///
/// # Shapes
/// `places` are those of `n` pictures in their batch -> `[n, n]`. A row sums up to 1, or to less where the other picture is
/// not among them: what has no counterpart is not learned.
fn targets(mixup: &Mixup, places: &[usize]) -> TensorData {
    let n = places.len();
    let mut targets = vec![0.0f32; n * n];
    for (row, &place) in places.iter().enumerate() {
        targets[row * n + row] += mixup.share;
        if let Ok(other) = places.binary_search(&mixup.others[place]) {
            targets[row * n + other] += 1.0 - mixup.share;
        }
    }
    TensorData::new(targets, [n, n])
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

/// The same towards targets between 0 and 1 in place of the diagonal, `-½ Σ (T ⊙ log softmax(s·A·Bᵀ)) / n` over the rows and
/// likewise over the columns. `a` may be blended of several samples, `b` not.
///
/// # Shapes
/// Unit vectors `[n, d]` and `[n, d]`, `log_scale` `[1]`, `targets` `[n, n]` -> `[1]`
///
/// # Reference
/// Lee et al., "i-Mix: A Domain-Agnostic Strategy for Contrastive Representation Learning", 2021, section 3.
///
/// # Differences from the reference
/// The counterparts are of another modality and lie in the same batch, so that those of `b` look for theirs too.
pub fn info_nce_towards(a: Tensor<2>, b: Tensor<2>, log_scale: Tensor<1>, targets: Tensor<2>) -> Tensor<1> {
    let [n, _] = a.dims();
    let logits = a.matmul(b.transpose()) * log_scale.exp().reshape([1, 1]);
    let both = log_softmax(logits.clone(), 1) + log_softmax(logits, 0);
    (both * targets).sum().mul_scalar(-0.5 / n as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blends_aim_at_both_of_their_rows() {
        let mixup = Mixup { share: 0.75, others: vec![1, 3, 2, 0] };
        // the third picture stands alone, and the last has no counterpart
        let found = targets(&mixup, &[0, 1, 2]);
        let expected = [0.75f32, 0.25, 0.0, 0.0, 0.75, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(found, TensorData::new(expected.to_vec(), [3, 3]));
    }

    #[test]
    fn targets_of_a_diagonal_give_the_plain_loss() {
        let device = Device::flex();
        let unit = |values: [f32; 6]| {
            let rows = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [3, 2]), &device);
            rows.clone() / rows.powf_scalar(2.0).sum_dim(1).sqrt()
        };
        let (a, b) = (unit([1.0, 0.2, -0.3, 1.0, 0.5, -0.9]), unit([0.8, 0.1, 0.4, 0.9, -0.7, 0.6]));
        let scale = Tensor::<1>::from_floats([1.5], &device);
        let plain: f32 = info_nce(a.clone(), b.clone(), scale.clone()).into_scalar();
        let towards = |targets: [f32; 9]| -> f32 {
            let targets = Tensor::from_data(TensorData::new(targets.to_vec(), [3, 3]), &device);
            info_nce_towards(a.clone(), b.clone(), scale.clone(), targets).into_scalar()
        };
        let own = towards([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert!((own - plain).abs() < 1e-6, "{own}, not {plain}");
        // the loss is linear in its targets: blends weigh that of their own rows and that of the others'
        let others = towards([0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let blended = towards([0.7, 0.3, 0.0, 0.0, 0.7, 0.3, 0.3, 0.0, 0.7]);
        assert!((blended - (0.7 * own + 0.3 * others)).abs() < 1e-6, "{blended}");
    }
}
