//! `triptych config`: looks into experiments without running them.

use std::fmt::Write as _;

use clap::Subcommand;
use miette::IntoDiagnostic;

use super::options::Overrides;
use crate::configuration::{ExperimentConfig, Origin, Resolved, Setting, built_in_configs, experiment};
use crate::diagnostic::print;

const EXAMPLES: &str = "\
Examples:
  triptych config list
  triptych config explain quickstart --set train.steps=200
  triptych config check my-experiment.toml";

/// Look into experiments without running them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(Explain),
    Check(Check),
    List(List),
}

/// Print every setting and where it comes from
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych config explain quickstart
  triptych config explain my-experiment.toml --set train.lr=3e-4
  triptych config explain quickstart --json | jq -r '.[].key'")]
struct Explain {
    /// A TOML file, or the name of a built-in config
    config: String,
    #[command(flatten)]
    overrides: Overrides,
    /// Print a JSON list of objects with key, value and origin
    #[arg(long)]
    json: bool,
}

/// Check an experiment and say nothing more than whether it is good
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych config check my-experiment.toml
  triptych config check quickstart --set train.steps=200")]
struct Check {
    /// A TOML file, or the name of a built-in config
    config: String,
    #[command(flatten)]
    overrides: Overrides,
}

/// List the experiments that are built in
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych config list")]
struct List {}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Explain(args) => explain(&args),
        Command::Check(args) => check(&args),
        Command::List(List {}) => list(),
    }
}

fn explain(args: &Explain) -> miette::Result<()> {
    let resolved: Resolved<ExperimentConfig> = experiment(&args.config, &args.overrides.set)?;
    if args.json {
        let json = serde_json::to_string_pretty(&resolved.origins).into_diagnostic()?;
        return print(&format!("{json}\n"));
    }
    print(&explanation(&resolved.origins))
}

/// `key = value  # where from`, with the origins below each other where the values are short.
fn explanation(settings: &[Setting]) -> String {
    const WIDEST: usize = 60;
    let lines: Vec<String> =
        settings.iter().map(|setting| format!("{} = {}", setting.key, setting.value)).collect();
    let widths = lines.iter().map(|line| line.chars().count());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let mut text = String::new();
    for (line, setting) in lines.iter().zip(settings) {
        // writing to a string cannot fail
        let _ = writeln!(text, "{line:width$}  # {}", setting.origin);
    }
    text
}

fn check(args: &Check) -> miette::Result<()> {
    let resolved: Resolved<ExperimentConfig> = experiment(&args.config, &args.overrides.set)?;
    let count = |is_counted: fn(&Origin) -> bool| {
        resolved.origins.iter().filter(|setting| is_counted(&setting.origin)).count()
    };
    let n_files = count(|origin| matches!(origin, Origin::File { .. }));
    let n_overrides = count(|origin| matches!(origin, Origin::Override { .. }));
    let n_defaults = count(|origin| matches!(origin, Origin::Default));
    print(&format!(
        "{} is good: {n_files} settings from files, {n_overrides} from --set, {n_defaults} defaults\n",
        args.config
    ))
}

fn list() -> miette::Result<()> {
    let width = built_in_configs().iter().map(|config| config.name.len()).max().unwrap_or(0);
    let lines: String = built_in_configs()
        .iter()
        .map(|config| format!("{:width$}  {}\n", config.name, config.about()))
        .collect();
    print(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_config_is_good_and_says_what_it_is() {
        for config in built_in_configs() {
            let resolved = experiment(config.name, &[]);
            assert!(resolved.is_ok(), "{}: {:?}", config.name, resolved.err());
            assert!(!config.about().is_empty(), "{} does not begin with a comment", config.name);
        }
    }
}
