//! Texts of which some tokens are hidden, and are to be predicted.

use burn::prelude::*;
use triptych_datasets::batch::TextBatch;
use triptych_encoders::layers::ops;
use triptych_encoders::{Modality, TextInput};
use triptych_fusion::sequence::FusedSequence;

use super::blanking::at;
use super::{PAD_ID, StepContext};

/// Texts with other tokens in the place of some.
pub(super) struct HiddenText {
    /// As the encoder reads them.
    pub(super) input: TextInput,
    /// Of what is to be predicted: where it lies among all tokens, and what stood there.
    places: Vec<usize>,
    targets: Vec<i64>,
}

impl HiddenText {
    /// `seen` is what stands in each text's place; `counted` are the places to be predicted in each.
    pub(super) fn new(
        texts: &[Vec<u32>],
        seen: Vec<Vec<u32>>,
        counted: &[Vec<usize>],
        device: &Device,
    ) -> Self {
        let n_tokens = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (mut places, mut targets) = (Vec::new(), Vec::new());
        for (row, (text, counted)) in texts.iter().zip(counted).enumerate() {
            places.extend(counted.iter().map(|place| row * n_tokens + place));
            targets.extend(counted.iter().map(|&place| i64::from(text[place])));
        }
        let lengths = seen.iter().map(Vec::len).collect();
        let ids = seen.into_iter().flat_map(|mut row| {
            row.resize(n_tokens, PAD_ID);
            row
        });
        let batch = TextBatch { rows: (0..texts.len()).collect(), ids: ids.collect(), lengths, n_tokens };
        Self { input: TextInput::new(&batch, device), places, targets }
    }

    /// Cross entropy of what is hidden, read off the text's span of what was fused; `None` when nothing is.
    pub(super) fn error(&self, context: &StepContext<'_>, fused: &FusedSequence) -> Option<Tensor<1>> {
        let (n, device) = (self.targets.len(), context.device());
        if n == 0 {
            return None;
        }
        let predicted = at(fused, Modality::Text, context.indices(&self.places))?;
        let targets = Tensor::<1, Int>::from_data(TensorData::new(self.targets.clone(), [n]), device);
        let logits = context.model.backbone.vocabulary_logits(predicted);
        Some(ops::cross_entropy(logits, targets, Tensor::ones([n], device), 0.0))
    }
}
