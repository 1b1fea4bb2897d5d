//! Raw files to samples, to corpora in shards, to host batches. Holds no learnable parameter and links no
//! tensor library.

pub mod batch;
pub mod sample;
