//! The crate from outside: folders, files and streams as a user would meet them.

mod emoji;
mod fixture;
mod loader;
mod log_mel;
mod media;
mod pipeline;
mod shards;
