//! Judging pairs by the matching head, to put the best that embeddings found into a better order.

use std::collections::HashMap;

use burn::prelude::*;
use triptych_encoders::{Modality, TokenSequence};
use triptych_tasks::heads::pair::Pair;
use triptych_tasks::model::Model;

use super::predictions::Item;

/// Encoded items, and the pairs of modalities that the model has learned to judge.
pub(crate) struct Judge<'a> {
    model: &'a Model,
    pairs: Vec<Pair>,
    /// `[1, n_tokens, d_model]` of each item
    encoded: HashMap<(Modality, String), TokenSequence>,
}

impl<'a> Judge<'a> {
    /// `pairs` are those that the model was trained to judge.
    pub(crate) fn new(model: &'a Model, pairs: Vec<Pair>) -> Self {
        Self { model, pairs, encoded: HashMap::new() }
    }

    /// Keeps the encoded rows of a batch by their names: ids of pictures and sounds, and texts themselves.
    pub(crate) fn keep(&mut self, names: impl IntoIterator<Item = String>, batch: &TokenSequence) {
        let device = batch.tokens.device();
        for (row, name) in names.into_iter().enumerate() {
            let row = Tensor::<1, Int>::from_ints([row as i64], &device);
            self.encoded.insert((batch.modality, name), batch.select(&row));
        }
    }

    /// The logarithms of the odds that each target belongs to the query; `None` where the model has not learned to judge such
    /// pairs.
    pub(crate) fn logits(&self, query: &Item, targets: &[&Item]) -> Option<Vec<f32>> {
        let head = self.model.matching.as_ref()?;
        let query = self.encoded(query)?;
        let targets = targets.iter().map(|target| self.encoded(target)).collect::<Option<Vec<_>>>()?;
        let pair = Pair::of(query.modality, targets.first()?.modality)?;
        if !self.pairs.contains(&pair) {
            return None;
        }
        let device = query.tokens.device();
        let repeated = query.select(&Tensor::<1, Int>::zeros([targets.len()], &device));
        let targets = stacked(&targets);
        // in the order of training
        let inputs =
            if query.modality == pair.modalities()[0] { [repeated, targets] } else { [targets, repeated] };
        let logits = head.forward(&self.model.backbone.forward(&inputs), pair);
        Some(logits.into_data().iter::<f32>().collect())
    }

    fn encoded(&self, item: &Item) -> Option<&TokenSequence> {
        let (modality, name) = match item {
            Item::Text(text) => (Modality::Text, text),
            Item::Image(id) => (Modality::Image, id),
            Item::Speech(id) => (Modality::Audio, id),
        };
        self.encoded.get(&(modality, name.clone()))
    }
}

/// Rows of different lengths as one batch, padded at the end. All are of one modality; summaries are left out, as fusing
/// reads tokens alone.
fn stacked(rows: &[&TokenSequence]) -> TokenSequence {
    let longest = rows.iter().map(|row| row.tokens.dims()[1]).max().unwrap_or(0);
    let (tokens, is_pad) = rows.iter().map(|row| padded(row, longest)).unzip();
    TokenSequence::new(Tensor::cat(tokens, 0), Tensor::cat(is_pad, 0), rows[0].modality)
}

fn padded(row: &TokenSequence, n_tokens: usize) -> (Tensor<3>, Tensor<2, Bool>) {
    let [_, n, d_model] = row.tokens.dims();
    if n == n_tokens {
        return (row.tokens.clone(), row.is_pad.clone());
    }
    let device = row.tokens.device();
    let tokens = Tensor::zeros([1, n_tokens - n, d_model], &device);
    let is_pad = Tensor::<2, Bool>::full([1, n_tokens - n], true, &device);
    (Tensor::cat(vec![row.tokens.clone(), tokens], 1), Tensor::cat(vec![row.is_pad.clone(), is_pad], 1))
}

#[cfg(test)]
mod tests {
    use triptych_tasks::model::{DataShape, ModelConfig};

    use super::*;

    fn tokens(modality: Modality, n: usize, seed: usize) -> TokenSequence {
        let d = 16;
        let values =
            (0..n * d).map(|idx| ((idx * 7 + seed * 13) % 19) as f32 / 19.0 - 0.5).collect::<Vec<_>>();
        let values = TensorData::new(values, [1, n, d]);
        TokenSequence::whole(Tensor::from_data(values, &Device::flex()), modality)
    }

    #[test]
    fn a_judgement_does_not_depend_on_what_else_is_judged_nor_on_the_direction() {
        let shape = DataShape { n_vocab: 24, image_side: 16, n_mels: 6 };
        let model = ModelConfig::tiny().init(shape, 1, &Device::flex()).expect("the sizes fit together");
        let mut judge = Judge::new(&model, vec![Pair::ImageText]);
        judge.keep(["picture".to_owned()], &tokens(Modality::Image, 4, 1));
        for (name, n) in [("short", 2), ("a longer one", 5)] {
            judge.keep([name.to_owned()], &tokens(Modality::Text, n, n));
        }
        judge.keep(["sound".to_owned()], &tokens(Modality::Audio, 3, 9));
        let text = |text: &str| Item::Text(text.to_owned());
        let (picture, short, long) = (Item::Image("picture".to_owned()), text("short"), text("a longer one"));
        let both = judge.logits(&picture, &[&short, &long]).expect("it has learned it");
        assert!((both[0] - both[1]).abs() > 1e-4, "{both:?}");
        for (alone, expected) in [(&short, both[0]), (&long, both[1])] {
            for logits in [judge.logits(&picture, &[alone]), judge.logits(alone, &[&picture])] {
                let logit = logits.expect("it has learned it")[0];
                assert!((logit - expected).abs() < 1e-5, "{logit}, not {expected}");
            }
        }
        assert_eq!(judge.logits(&Item::Speech("sound".to_owned()), &[&short]), None);
        assert_eq!(judge.logits(&picture, &[&text("unknown")]), None);
    }
}
