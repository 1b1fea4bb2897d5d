//! Options that several subcommands share.

use crate::device::DeviceChoice;

/// Changes to a config from the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Overrides {
    /// Override a setting; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Where to compute.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Compute {
    /// cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,
}

/// Where to compute and how much to tell.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Work {
    /// cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl Work {
    /// The same for the stages of a run.
    pub(crate) fn work(&self) -> crate::workflow::Work {
        crate::workflow::Work { device: self.device, is_quiet: self.quiet }
    }
}
