//! `triptych model plan`: operations, time and memory of a training.

use std::fmt::Write as _;

use miette::IntoDiagnostic;
use serde::Serialize;

use super::{experiment, short};
use crate::cli::options::Overrides;
use crate::diagnostic::{UsageError, print};
use crate::plan::{HARDWARE, LanguageModel, Memory, PFLOP_DAY, Precision, StepCost, training_flops};

/// Reckon what a training takes: operations, days, memory, the largest batch
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych model plan quickstart
  triptych model plan my-experiment.toml --hardware h100 --utilisation 0.3
  triptych model plan --parameters 175e9 --tokens 300e9 --hardware v100
  triptych model plan --layers 96 --d-model 12288 --heads 96 --n-vocab 50257 --context 2048 --tokens 300e9
  triptych model plan --parameters 1e9 --tokens 20e9 --flops 200e9 --memory-gib 16

Days and the largest batch are for one processor. Operations are those of the matrix products; utilisation is the
share of a processor's best that a training reaches, 0.3 to 0.5 where it goes well.")]
pub(crate) struct Args {
    /// A run's folder, a TOML file, or the name of a built-in config
    #[arg(conflicts_with_all = ["parameters", "layers", "tokens"])]
    model: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Learned values of a transformer
    #[arg(long, value_name = "N", requires = "tokens", conflicts_with = "layers")]
    parameters: Option<f64>,
    /// Tokens that it is trained on, repetitions counted
    #[arg(long, value_name = "N")]
    tokens: Option<f64>,
    /// Blocks of a decoder-only language model
    #[arg(long, value_name = "N", requires_all = ["d_model", "heads", "n_vocab", "context", "tokens"])]
    layers: Option<usize>,
    /// Width of its tokens
    #[arg(long, value_name = "N")]
    d_model: Option<usize>,
    /// Its attention heads
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Its token ids
    #[arg(long, value_name = "N")]
    n_vocab: Option<usize>,
    /// Tokens of its sequences
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Rows of a batch; the config's own by default
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// A processor: v100, a100, h100, h200, l40s, rtx4090; all by default
    #[arg(long, value_name = "NAME", conflicts_with = "flops")]
    hardware: Option<String>,
    /// The best of another processor, operations a second
    #[arg(long, value_name = "FLOP/S", requires = "memory_gib")]
    flops: Option<f64>,
    /// Its memory
    #[arg(long, value_name = "GIB")]
    memory_gib: Option<f64>,
    /// Share of the processor's best that the training reaches
    #[arg(long, value_name = "SHARE", default_value_t = 0.4)]
    utilisation: f64,
    /// Numbers that the training computes in
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Plan {
    parameters: f64,
    /// Those that are not frozen.
    trained: f64,
    flops: f64,
    pflop_days: f64,
    batch_size: usize,
    memory_bytes: Memory,
    total_memory_bytes: f64,
    utilisation: f64,
    processors: Vec<Processor>,
    /// Whether what a sample keeps for the backward pass is known.
    #[serde(skip)]
    knows_activations: bool,
}

#[derive(Debug, Serialize)]
struct Processor {
    name: String,
    flops_per_s: f64,
    memory_bytes: f64,
    days: f64,
    /// Where what a sample takes is known.
    largest_batch: Option<u64>,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let plan = plan(args)?;
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&plan).into_diagnostic()?));
    }
    print(&page(&plan))
}

fn plan(args: &Args) -> miette::Result<Plan> {
    for (name, value) in [
        ("--parameters", args.parameters),
        ("--tokens", args.tokens),
        ("--flops", args.flops),
        ("--memory-gib", args.memory_gib),
        ("--utilisation", Some(args.utilisation)),
    ] {
        if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
            return Err(usage(format!("{name}: expected a number above 0, got {value}")).into());
        }
    }
    if args.utilisation > 1.0 {
        return Err(usage(format!("--utilisation: expected at most 1, got {}", args.utilisation)).into());
    }
    let (parameters, flops, kept, batch_size, n_averages) = match (&args.model, args.layers, args.parameters)
    {
        (Some(model), _, _) => {
            let (config, n_vocab) = experiment(model, &args.overrides.set)?;
            let step = StepCost::of(&config, n_vocab)?;
            let rows = config.train.steps as f64 * config.data.batch_size as f64;
            let flops = step.flops_per_row * rows;
            let parameters = [step.parameters as f64, step.trained as f64];
            (parameters, flops, Some(step.kept_per_row), config.data.batch_size, 1)
        }
        (None, Some(_), _) => {
            let language = language_model(args)?;
            let parameters = language.parameters() as f64;
            let flops = training_flops(parameters, args.tokens.unwrap_or_default());
            ([parameters; 2], flops, Some(language.kept() as f64), args.batch, 0)
        }
        (None, None, Some(parameters)) => {
            let flops = training_flops(parameters, args.tokens.unwrap_or_default());
            ([parameters; 2], flops, None, args.batch, 0)
        }
        (None, None, None) => {
            return Err(usage("expected a config, --parameters or --layers".to_owned()).into());
        }
    };
    let memory = Memory::new(parameters, kept.unwrap_or(0.0), args.precision, n_averages);
    let processors = processors(args)?
        .into_iter()
        .map(|(name, flops_per_s, memory_bytes)| Processor {
            name,
            flops_per_s,
            memory_bytes,
            days: flops / (flops_per_s * args.utilisation) / 86_400.0,
            largest_batch: kept.map(|_| memory.largest_batch(memory_bytes)),
        })
        .collect();
    Ok(Plan {
        parameters: parameters[0],
        trained: parameters[1],
        flops,
        pflop_days: flops / PFLOP_DAY,
        batch_size,
        total_memory_bytes: memory.total(batch_size),
        memory_bytes: memory,
        utilisation: args.utilisation,
        processors,
        knows_activations: kept.is_some(),
    })
}

fn language_model(args: &Args) -> Result<LanguageModel, UsageError> {
    let size = |name: &str, value: Option<usize>| match value {
        Some(value) if (1..=1 << 24).contains(&value) => Ok(value),
        other => Err(usage(format!("{name}: expected 1 to {}, got {}", 1 << 24, other.unwrap_or(0)))),
    };
    let model = LanguageModel {
        n_layers: size("--layers", args.layers)?,
        d_model: size("--d-model", args.d_model)?,
        n_heads: size("--heads", args.heads)?,
        n_vocab: size("--n-vocab", args.n_vocab)?,
        n_context: size("--context", args.context)?,
    };
    if !model.d_model.is_multiple_of(model.n_heads) {
        let message =
            format!("--d-model: expected a multiple of {} heads, got {}", model.n_heads, model.d_model);
        return Err(usage(message));
    }
    Ok(model)
}

fn processors(args: &Args) -> Result<Vec<(String, f64, f64)>, UsageError> {
    if let (Some(flops_per_s), Some(memory_gib)) = (args.flops, args.memory_gib) {
        return Ok(vec![("--flops".to_owned(), flops_per_s, memory_gib * (1u64 << 30) as f64)]);
    }
    let chosen =
        HARDWARE.iter().filter(|hardware| args.hardware.as_deref().is_none_or(|name| name == hardware.name));
    let chosen = chosen
        .map(|hardware| (hardware.name.to_owned(), hardware.flops_per_s, hardware.memory_bytes))
        .collect::<Vec<_>>();
    if chosen.is_empty() {
        let names = HARDWARE.iter().map(|hardware| hardware.name).collect::<Vec<_>>().join(", ");
        let got = args.hardware.as_deref().unwrap_or_default();
        return Err(usage(format!("--hardware: expected one of {names}, got {got:?}")));
    }
    Ok(chosen)
}

fn usage(message: String) -> UsageError {
    UsageError { message, hint: Some("`triptych model plan --help` shows examples".to_owned()) }
}

fn page(plan: &Plan) -> String {
    let mut text = String::new();
    let memory = plan.memory_bytes;
    let bytes = |value: f64| format!("{}B", short(value));
    let mut lines = vec![
        ("parameters", short(plan.parameters)),
        ("operations", format!("{}FLOP ({:.3e})", short(plan.flops), plan.flops)),
        ("", format!("{} PFLOP-days", figure(plan.pflop_days))),
        ("memory", format!("{} weights", bytes(memory.weights))),
        ("", format!("{} gradients", bytes(memory.gradients))),
        ("", format!("{} optimizer", bytes(memory.optimizer))),
    ];
    if plan.knows_activations {
        let per_sample = memory.activations_per_sample;
        lines.push(("", format!("{} activations a sample, about", bytes(per_sample))));
        let total = bytes(plan.total_memory_bytes);
        lines.push(("", format!("{total} with a batch of {}", plan.batch_size)));
    }
    if plan.trained < plan.parameters {
        let frozen = short(plan.parameters - plan.trained);
        lines.insert(1, ("", format!("{} of them trained, {frozen} frozen", short(plan.trained))));
    }
    for (name, value) in lines {
        // writing to a string cannot fail
        let _ = writeln!(text, "{name:12}{value}");
    }
    let _ = writeln!(
        text,
        "\n{:10}{:>12}{:>12}{:>14}{:>16}",
        "processor", "FLOP/s", "memory", "days", "largest batch"
    );
    for processor in &plan.processors {
        let batch = processor.largest_batch.map_or("?".to_owned(), |n| n.to_string());
        let _ = writeln!(
            text,
            "{:10}{:>12}{:>12}{:>14}{:>16}",
            processor.name,
            short(processor.flops_per_s),
            bytes(processor.memory_bytes),
            figure(processor.days),
            batch
        );
    }
    let _ = writeln!(text, "at {:.0}% of the processor's best, one processor", 100.0 * plan.utilisation);
    text
}

/// Three digits, small ones with an exponent.
fn figure(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 0.01 => format!("{value:.2e}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
