//! Published weights: the one place of the models' crates that opens files.
//!
//! | file | what |
//! |---|---|
//! | `folder` | a folder of published files, out of which no name leads |
//! | `checkpoint` | the tensors of such a folder, over one or many files |
//! | `safetensors`, `torch` | the two formats of those files |
//! | `mapping` | published names, shapes and orders against a module's parameters |

mod checkpoint;
mod error;
mod folder;
pub mod mapping;
mod safetensors;
mod torch;
mod values;

pub use self::checkpoint::{Checkpoint, StoredTensor};
pub use self::error::CheckpointError;
pub use self::folder::PublishedFolder;
