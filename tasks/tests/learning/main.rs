//! What every objective, the model and the decoders must hold to.

mod adam;
#[path = "../../../encoders/tests/conformance/config.rs"]
mod config;
mod decoding;
mod fixture;
mod masking;
mod model;
mod objectives;
#[path = "../../../encoders/tests/conformance/parameters.rs"]
mod parameters;
mod pieces;
mod presence;
