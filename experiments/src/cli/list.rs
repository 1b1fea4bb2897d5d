//! `triptych list`: what an experiment can be made of.

use miette::IntoDiagnostic;
use serde_json::{Value, json};
use triptych_datasets::corpora::CORPORA;
use triptych_encoders::audio::AudioEncoderConfig;
use triptych_encoders::pretrained::families::FAMILIES;
use triptych_encoders::text::TextEncoderConfig;
use triptych_encoders::vision::VisionEncoderConfig;
use triptych_fusion::backbone::BackboneConfig;
use triptych_tasks::metrics::METRICS;
use triptych_tasks::objectives::{OBJECTIVES, Objective};

use crate::configuration::built_in_configs;
use crate::diagnostic::print;

/// List what there is to choose from: experiments, encoders, fusion, published models, objectives, corpora, metrics
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych list
  triptych list objectives
  triptych list metrics --json | jq -r '.metrics[].name'")]
pub(crate) struct Args {
    /// Show one registry alone
    registry: Option<String>,
    /// Print a JSON object of lists
    #[arg(long)]
    json: bool,
}

/// A named list of things that a config can name.
struct Registry {
    name: &'static str,
    /// Name and one line about each.
    entries: fn() -> Vec<(String, String)>,
}

const REGISTRIES: &[Registry] = &[
    Registry { name: "experiments", entries: experiments },
    Registry { name: "corpora", entries: corpora },
    Registry { name: "encoders", entries: encoders },
    Registry { name: "fusion", entries: fusion },
    Registry { name: "published", entries: published },
    Registry { name: "objectives", entries: objectives },
    Registry { name: "metrics", entries: metrics },
];

fn experiments() -> Vec<(String, String)> {
    built_in_configs().iter().map(|config| (config.name.to_owned(), config.about().to_owned())).collect()
}

fn corpora() -> Vec<(String, String)> {
    CORPORA.iter().map(|importer| (importer.name().to_owned(), importer.about().to_owned())).collect()
}

fn encoders() -> Vec<(String, String)> {
    let text = TextEncoderConfig::registry().into_iter().map(|(name, _)| ("text", name));
    let vision = VisionEncoderConfig::registry().into_iter().map(|(name, _)| ("vision", name));
    let audio = AudioEncoderConfig::registry().into_iter().map(|(name, _)| ("audio", name));
    let all = text.chain(vision).chain(audio);
    all.map(|(modality, name)| (format!("{modality}.{name}"), format!("[model.{modality}.{name}]"))).collect()
}

fn fusion() -> Vec<(String, String)> {
    BackboneConfig::ABOUT.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned())).collect()
}

fn published() -> Vec<(String, String)> {
    FAMILIES.iter().map(|family| (family.name.to_owned(), family.about.to_owned())).collect()
}

fn objectives() -> Vec<(String, String)> {
    let about = |objective: &&dyn Objective| {
        let options = objective.options();
        let options = options.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>();
        match options.as_slice() {
            [] => objective.about().to_owned(),
            options => format!("{} ({})", objective.about(), options.join(", ")),
        }
    };
    OBJECTIVES.iter().map(|objective| (objective.name().to_owned(), about(objective))).collect()
}

fn metrics() -> Vec<(String, String)> {
    METRICS.iter().map(|metric| (metric.name.to_owned(), metric.about.to_owned())).collect()
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
    if args.json {
        let registries: serde_json::Map<String, Value> = chosen.into_iter().map(json_section).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&registries).into_diagnostic()?));
    }
    let sections: Vec<String> = chosen.into_iter().map(section).collect();
    print(&sections.join("\n"))
}

fn json_section(registry: &Registry) -> (String, Value) {
    let entries = (registry.entries)().into_iter().map(|(name, about)| json!({"name": name, "about": about}));
    (registry.name.to_owned(), entries.collect())
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
