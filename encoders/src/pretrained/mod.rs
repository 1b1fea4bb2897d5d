//! Published weights: the one place of the models' crates that opens files.
//!
//! | file | what |
//! |---|---|
//! | `folder` | a folder of published files, out of which no name leads |
//! | `checkpoint` | the tensors of such a folder, over one or many files |
//! | `safetensors`, `torch` | the two formats of those files |
//! | `mapping` | published names, shapes and orders against a module's parameters |
//! | `config` | a published `config.json`, read strictly |
//! | `companions`, `imported` | what belongs to the weights, and the folder of a model after its import |

mod checkpoint;
mod companions;
mod config;
mod error;
mod folder;
mod imported;
pub mod mapping;
mod safetensors;
mod torch;
mod values;

pub use self::checkpoint::{Checkpoint, StoredTensor};
pub use self::companions::FileRecord;
pub use self::config::PublishedConfig;
pub use self::error::CheckpointError;
pub use self::folder::PublishedFolder;
pub use self::imported::ImportedFolder;
