//! Raw files to samples, to corpora in shards, to host batches. Holds no learnable parameter and links no
//! tensor library.
//!
//! | module | what it does |
//! |---|---|
//! | [`sample`], [`batch`] | what goes in and what comes out |
//! | [`corpora`] | importers: raw files to a folder of shards |
//! | [`shard`] | the folder: tar shards, their index, its checks |
//! | [`image`], [`audio`], [`text`] | decoding, augmentation, features, tokens |
//! | [`draw`] | randomness that is a pure function of its key |
//! | [`pipeline`] | a corpus to a cleaned, split one, by a recipe |
//! | [`loader`] | a corpus to batches, in worker threads |
//! | [`mixup`] | rows of a batch blended with others |
//! | [`npy`] | numbers to and from NumPy's files |
//! | [`remote`] | downloads, behind features |
//! | [`survey`] | what is in a corpus, whether it is whole, how two differ |

pub mod audio;
pub mod batch;
pub mod corpora;
pub mod draw;
pub mod image;
pub mod loader;
pub mod mixup;
pub mod npy;
pub mod pipeline;
pub mod remote;
pub mod sample;
pub mod shard;
mod signature;
pub mod survey;
pub mod text;
