//! Published weights: the one place of the models' crates that opens files.
//!
//! | file | what |
//! |---|---|
//! | `folder` | a folder of published files, out of which no name leads |
//! | `checkpoint` | the tensors of such a folder, over one or many files |
//! | `safetensors`, `torch` | the two formats of those files |
//! | `mapping` | published names, shapes and orders against a module's parameters |
//! | `config` | a published `config.json`, read strictly |
//! | `families`, `transfer` | the published models, and their way in and out |
//! | `preprocessing`, `sentence` | what a model wants done to its input, and to the output of a sentence model |
//! | `companions`, `imported` | what belongs to the weights, and the folder of a model after its import |
//! | `model_folder`, `encoders` | a model to use, from either kind of folder, and its encoders to start from |

mod bounds;
mod checkpoint;
mod companions;
mod config;
mod encoders;
mod error;
pub mod families;
mod folder;
mod imported;
pub mod mapping;
mod model_folder;
pub mod preprocessing;
mod safetensors;
mod sentence;
mod torch;
mod transfer;
mod values;

pub use self::checkpoint::{Checkpoint, StoredTensor};
pub use self::companions::FileRecord;
pub use self::config::PublishedConfig;
pub use self::encoders::{
    PublishedAudioEncoder, PublishedProjection, PublishedTextEncoder, PublishedVisionEncoder,
};
pub use self::error::CheckpointError;
pub use self::folder::PublishedFolder;
pub use self::imported::{ImportedFolder, ModelDescription};
pub use self::model_folder::ModelFolder;
pub use self::sentence::{Pooling, SentenceSettings};
pub use self::transfer::{Import, PretrainedError, export, import, load};
