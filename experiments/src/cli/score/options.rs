//! Options that every task of `triptych score` has.

use std::path::PathBuf;

use clap::ValueEnum;
use triptych_tasks::metrics::{Bootstrap, Normalizer};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// What the system wrote
    #[arg(long, value_name = "FILE")]
    pub(super) hypotheses: PathBuf,
    /// What is right
    #[arg(long, value_name = "FILE")]
    pub(super) references: PathBuf,
    /// Hypotheses of another system for the same references: tests whether the two differ
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,
    /// Score each value of this tag of the references by itself too, with the gap between them
    #[arg(long, value_name = "TAG")]
    pub(super) by: Option<String>,
    /// Resample everything with the same value of this tag together, such as a speaker's utterances
    #[arg(long, value_name = "TAG")]
    pub(super) cluster: Option<String>,
    /// Score only the references that there is a hypothesis for, not all of them
    #[arg(long)]
    pub(super) subset: bool,
    /// How many bootstrap resamples and permutations
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(super) resamples: u32,
    /// Where the resampling begins
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
    /// Print a JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Options {
    pub(super) fn bootstrap(&self) -> Bootstrap {
        Bootstrap { n_resamples: self.resamples as usize, seed: self.seed }
    }
}

/// What is done to texts before they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum NormalizerChoice {
    None,
    Lowercase,
    WhisperBasic,
    WhisperEnglish,
}

impl NormalizerChoice {
    pub(super) fn normalizer(self) -> Normalizer {
        match self {
            Self::None => Normalizer::None,
            Self::Lowercase => Normalizer::Lowercase,
            Self::WhisperBasic => Normalizer::Basic,
            Self::WhisperEnglish => Normalizer::English,
        }
    }
}
