//! Host batches to token sequences: the text, vision and audio encoders and the layers under them.

pub mod audio;
mod error;
pub mod input;
pub mod layers;
mod preset;
pub mod pretrained;
pub mod text;
mod tokens;
pub mod vision;

pub use error::ConfigError;
pub use input::{AudioInput, ImageInput, TextInput};
pub use preset::Preset;
pub use tokens::{Modality, TokenSequence, select_rows};
