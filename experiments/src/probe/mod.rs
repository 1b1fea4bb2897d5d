//! Linear probes: how much of a class a linear layer can read off a trained run's frozen encoders.
//!
//! Samples are selected and read out; a strength of regularisation is chosen on samples held out of the fit; the probe is fitted
//! to all of them and judged on the hold-outs. What came of it is kept beside the run's scores.
//!
//! # Reference
//! Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, appendix A.3: logistic
//! regression by L-BFGS on frozen features, its strength chosen on a validation split.
//!
//! # Differences from the reference
//! Features are brought to mean 0 and deviation 1, so that strengths mean the same for every encoder. Without a validation
//! split the strength is chosen by folds that keep groups together.

mod condition;
mod error;
mod features;
mod fit;
mod record;
mod samples;
mod summary;
mod test_sets;
mod validation;

pub(crate) use fit::probe;
pub use record::ProbesError;
pub(crate) use record::{ProbeRecord, Probes};
pub(crate) use samples::{Amount, Request, has, tags};
pub(crate) use summary::text_summary;

/// What is done, and how much of it: done, total, of what.
pub(crate) type Progress<'a> = dyn FnMut(usize, usize, &str) + 'a;
