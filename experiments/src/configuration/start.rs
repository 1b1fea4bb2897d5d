//! The weights that a training starts from, in the place of random ones.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a training starts from; random weights where nothing is named. A published model's folder brings its encoder's sizes, its
/// tokenizer and its preprocessing along, as if they stood before the other keys of the file that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StartConfig {
    /// A trained run's folder, or one of its checkpoints: every parameter that it has is taken, with its tokenizer, and what
    /// it lacks stays random. Nothing else is taken then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<PathBuf>,
    /// A published model whose text encoder is taken: BERT, CLIP, SigLIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<PathBuf>,
    /// A published model whose vision encoder is taken: ViT, CLIP, SigLIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<PathBuf>,
    /// A published model whose audio encoder is taken: Whisper, wav2vec 2.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<PathBuf>,
}

impl StartConfig {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The folder of a published model that texts and pictures both start from.
    pub(crate) fn of_both(&self) -> bool {
        self.text.is_some() && self.text == self.vision
    }
}
