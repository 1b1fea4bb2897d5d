//! The program `triptych`: prepares data, trains, evaluates, reports and answers.
//!
//! Everything the program does is here; `main.rs` only picks the allocator.

pub mod cli;
pub mod configuration;
pub mod device;
pub mod diagnostic;
pub mod evaluate;
mod interrupt;
mod machine;
mod plan;
pub mod probe;
pub mod progress;
mod published;
pub mod report;
pub mod run;
mod summary;
mod workflow;
