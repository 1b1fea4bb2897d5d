//! `triptych list`: what an experiment can be made of.

use crate::configuration::built_in_configs;
use crate::diagnostic::print;

/// List what there is to choose from: experiments, encoders, objectives, corpora, metrics
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych list
  triptych list experiments")]
pub(crate) struct Args {
    /// Show one registry alone
    registry: Option<String>,
}

/// A named list of things that a config can name.
struct Registry {
    name: &'static str,
    /// Name and one line about each.
    entries: fn() -> Vec<(String, String)>,
}

const REGISTRIES: &[Registry] = &[Registry { name: "experiments", entries: experiments }];

fn experiments() -> Vec<(String, String)> {
    built_in_configs().iter().map(|config| (config.name.to_owned(), config.about().to_owned())).collect()
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let chosen: Vec<&Registry> = match &args.registry {
        None => REGISTRIES.iter().collect(),
        Some(name) => {
            let found: Vec<_> = REGISTRIES.iter().filter(|registry| registry.name == name).collect();
            if found.is_empty() {
                let names: Vec<&str> = REGISTRIES.iter().map(|registry| registry.name).collect();
                return Err(crate::diagnostic::UsageError {
                    message: format!("there is no registry `{name}`"),
                    hint: Some(format!("one of: {}", names.join(", "))),
                }
                .into());
            }
            found
        }
    };
    let sections: Vec<String> = chosen.into_iter().map(section).collect();
    print(&sections.join("\n"))
}

fn section(registry: &Registry) -> String {
    let entries = (registry.entries)();
    let width = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: String = entries
        .iter()
        .map(|(name, about)| format!("{}\n", format!("  {name:width$}  {about}").trim_end()))
        .collect();
    format!("{}\n{lines}", registry.name)
}
