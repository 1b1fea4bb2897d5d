//! What every objective, the model and the decoders must hold to.

mod adam;
mod answers;
#[path = "../../../encoders/tests/conformance/config.rs"]
mod config;
mod decoding;
mod fixture;
mod fusion;
mod gradients;
mod masking;
mod model;
mod objectives;
mod options;
#[path = "../../../encoders/tests/conformance/parameters.rs"]
mod parameters;
mod pieces;
mod presence;
