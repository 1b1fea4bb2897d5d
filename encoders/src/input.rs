//! Host batches on the device: the training thread uploads what the loader's threads built.

use burn::prelude::*;
use triptych_datasets::batch::{AudioBatch, ImageBatch, TextBatch};

/// Token ids of texts.
#[derive(Clone, Debug)]
pub struct TextInput {
    /// `[batch, n_tokens]`
    pub ids: Tensor<2, Int>,
    /// `[batch, n_tokens]`, true = ignore
    pub is_pad: Tensor<2, Bool>,
}

impl TextInput {
    /// Uploads a batch.
    pub fn new(batch: &TextBatch, device: &Device) -> Self {
        let ids = batch.ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>();
        let shape = [batch.lengths.len(), batch.n_tokens];
        Self {
            ids: Tensor::from_data(TensorData::new(ids, shape), device),
            is_pad: padding(&batch.lengths, batch.n_tokens, device),
        }
    }
}

/// Pictures of one size.
#[derive(Clone, Debug)]
pub struct ImageInput {
    /// `[batch, height, width, 3]`
    pub pixels: Tensor<4>,
}

impl ImageInput {
    /// Uploads a batch.
    pub fn new(batch: &ImageBatch, device: &Device) -> Self {
        let shape = [batch.rows.len(), batch.height, batch.width, 3];
        Self { pixels: Tensor::from_data(TensorData::new(batch.pixels.clone(), shape), device) }
    }
}

/// Log-mel spectrograms.
#[derive(Clone, Debug)]
pub struct AudioInput {
    /// `[batch, n_frames, n_mels]`; padding is 0
    pub frames: Tensor<3>,
    /// Frames of each row before the padding.
    pub lengths: Vec<usize>,
}

impl AudioInput {
    /// Uploads a batch.
    pub fn new(batch: &AudioBatch, device: &Device) -> Self {
        let shape = [batch.rows.len(), batch.n_frames, batch.n_mels];
        Self {
            frames: Tensor::from_data(TensorData::new(batch.frames.clone(), shape), device),
            lengths: batch.lengths.clone(),
        }
    }
}

/// The padding mask of rows that are filled from the start.
///
/// # Shapes
/// -> `[batch, n_tokens]`, true = ignore
pub fn padding(lengths: &[usize], n_tokens: usize, device: &Device) -> Tensor<2, Bool> {
    let mask =
        lengths.iter().flat_map(|&length| (0..n_tokens).map(move |idx| idx >= length)).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(mask, [lengths.len(), n_tokens]), device)
}
