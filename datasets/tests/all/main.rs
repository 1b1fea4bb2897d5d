//! The crate from outside: folders, files and streams as a user would meet them.

mod augmentation;
mod emoji;
mod fbank;
mod fixture;
mod golden;
mod hostile;
#[cfg(feature = "hub")]
mod hub;
mod intake;
mod loader;
mod log_mel;
mod media;
mod memory;
mod mixtures;
mod pictures;
mod pipeline;
mod questions;
#[cfg(feature = "fetch")]
mod remote;
#[cfg(any(feature = "fetch", feature = "hub"))]
mod server;
mod shards;
#[cfg(feature = "remote")]
mod store;
mod survey;
