//! Whether a pair belongs together, judged from its fused sequence.

use burn::prelude::*;
use burn::tensor::activation::log_sigmoid;
use triptych_encoders::Modality;

use super::compared::{at, embeddings, groups};
use super::hard_negatives::{negative_probabilities, pick};
use super::{Objective, OptionError, Options, Requirement, StepContext, without_options};
use crate::heads::pair::Pair;

/// Pictures and texts.
pub(super) const IMAGE_TEXT: Matching = Matching {
    name: "matching_image_text",
    about: "whether a picture and a text belong together, from their fused sequence",
    pair: Pair::ImageText,
};

/// Sounds and texts.
pub(super) const AUDIO_TEXT: Matching = Matching {
    name: "matching_audio_text",
    about: "whether a sound and a text belong together, from their fused sequence",
    pair: Pair::AudioText,
};

/// Each true pair stands beside two wrong ones: its first with a wrong second, and its second with a wrong first, drawn
/// from the batch by how alike their embeddings are.
///
/// # Reference
/// Li et al. 2021, "Align before fuse", section 3.2.
///
/// # Differences from the reference
/// Samples of one group are no negatives of each other.
#[derive(Clone, Copy)]
pub(super) struct Matching {
    name: &'static str,
    about: &'static str,
    pair: Pair,
}

impl Objective for Matching {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.pair.modalities()
    }

    fn requires(&self) -> &'static [Requirement] {
        &[Requirement::MatchingHead]
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.matching.as_ref()?;
        let [a, b] = *self.pair.modalities();
        let places = context.paired(a, b)?;
        let n = places[0].len();
        let [wrong_b, wrong_a] = self.negatives(context, &places)?;
        if wrong_a.is_empty() && wrong_b.is_empty() {
            return None;
        }
        let all = (0..n).map(|row| (row, row));
        let pairs = all.chain(wrong_b).chain(wrong_a.into_iter().map(|(b, a)| (a, b)));
        let (rows_a, rows_b): (Vec<_>, Vec<_>) = pairs.unzip();
        let a = context.encoded_at(a, &places[0])?.select(&context.indices(&rows_a));
        let b = context.encoded_at(b, &places[1])?.select(&context.indices(&rows_b));
        let fused = context.fuse(&[a, b]);
        Some(matching_loss(head.forward(&fused, self.pair), n))
    }
}

impl Matching {
    /// For the rows of each side a wrong one of the other side, where there is any.
    fn negatives(
        &self,
        context: &StepContext<'_>,
        places: &[Vec<usize>; 2],
    ) -> Option<[Vec<(usize, usize)>; 2]> {
        let [a, b] = *self.pair.modalities();
        let n = places[0].len();
        let groups = groups(context, a, &places[0]);
        let side = |modality, places: &Vec<usize>| {
            let all = embeddings(context, self.pair, modality)?;
            Some(at(context, &all, places).detach())
        };
        let scale = context.model.retrieval.log_scale.val().detach().narrow(0, self.pair.idx(), 1);
        let similarity = side(a, &places[0])?.matmul(side(b, &places[1])?.transpose());
        let logits = similarity * scale.exp().reshape([1, 1]);
        let mut draw = context.draw(self.name);
        let mut wrong = |logits: Tensor<2>| {
            let logits = logits.into_data().iter::<f32>().collect::<Vec<_>>();
            let of = |row: usize| {
                let logits = &logits[row * n..][..n];
                let probabilities = negative_probabilities(logits, |other| groups[other] == groups[row]);
                pick(&probabilities, &mut draw).map(|other| (row, other))
            };
            (0..n).filter_map(of).collect::<Vec<_>>()
        };
        Some([wrong(logits.clone()), wrong(logits.transpose())])
    }
}

/// Binary cross entropy of logits whose first `n_true` belong to true pairs and the others to wrong ones; the mean over all.
///
/// # Shapes
/// `[n]` -> `[1]`
///
/// # Reference
/// Li et al. 2021, "Align before fuse", equation 4; a two-class softmax over `0` and the logit is the same.
pub fn matching_loss(logits: Tensor<1>, n_true: usize) -> Tensor<1> {
    let [n] = logits.dims();
    let sign = (0..n).map(|idx| if idx < n_true { 1.0f32 } else { -1.0 }).collect::<Vec<_>>();
    let sign = Tensor::from_data(TensorData::new(sign, [n]), &logits.device());
    -log_sigmoid(logits * sign).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::differences::{assert_differentiates, values};

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let loss = |mut x: Vec<Tensor<1>>| matching_loss(x.remove(0) * 3.0, 2);
        assert_differentiates(&[values(6, 1)], &loss, 1e-3);
        // an untrained head gives zeros
        assert_differentiates(&[vec![0.0; 3]], &loss, 1e-3);
    }
}
