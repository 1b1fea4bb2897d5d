//! `triptych model describe`: the tree of a model's modules with their sizes.

use std::fmt::Write as _;
use std::path::Path;

use miette::IntoDiagnostic;
use triptych_encoders::layers::cost::CostTree;

use super::{experiment, published, short};
use crate::cli::options::Overrides;
use crate::diagnostic::{UsageError, print};
use crate::plan::{Frozen, ParameterRow, largest_sample, parameters};

/// Show the modules of a model: shapes, parameters, operations, memory
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych model describe quickstart
  triptych model describe runs/quickstart
  triptych model describe my-experiment.toml --set model.fusion.transformer.depth=6
  triptych model describe quickstart --json | jq .cost.parameters
  triptych model describe quickstart --set 'train.freeze=[\"text.*\"]'
  triptych model describe quickstart --parameters
  triptych model describe downloads/all-MiniLM-L6-v2
  triptych model describe models/whisper --json | jq .weights.parameters

A published or imported model is shown by the names in its files of weights, of which the headers alone are read.
Operations are those of a forward pass of the longest sample: one text, one picture, one sound, fused with a
text behind them. Kept is what the backward pass reads again, in 32-bit numbers.")]
pub(crate) struct Args {
    /// A run's folder, a TOML file, the name of a built-in config, or the folder or the weights of a published model
    model: String,
    #[command(flatten)]
    overrides: Overrides,
    /// List every parameter by its name, as `train.freeze` finds it
    #[arg(long)]
    parameters: bool,
    /// Print the tree, or the list, as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let path = Path::new(&args.model);
    if published::is_one(path) {
        if !args.overrides.set.is_empty() {
            let message = "--set: expected a run or a config, got a published model".to_owned();
            return Err(UsageError { message, hint: None }.into());
        }
        return published::run(path, args.parameters, args.json);
    }
    let (config, n_vocab) = experiment(&args.model, &args.overrides.set)?;
    let (shape, lengths) = largest_sample(&config, n_vocab);
    if args.parameters {
        let rows = parameters(&config, shape)?;
        if args.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&rows).into_diagnostic()?));
        }
        return print(&list(&rows));
    }
    let tree = config.model.cost(shape, lengths);
    let frozen = match config.train.freeze.is_empty() {
        true => None,
        false => Some(Frozen::new(&parameters(&config, shape)?)),
    };
    if args.json {
        let mut tree = serde_json::to_value(&tree).into_diagnostic()?;
        if let Some((n_frozen, _)) = frozen.as_ref().and_then(|frozen| frozen.of("")) {
            tree["frozen_parameters"] = n_frozen.into();
        }
        return print(&format!("{}\n", serde_json::to_string_pretty(&tree).into_diagnostic()?));
    }
    print(&table(&tree, frozen.as_ref()))
}

/// Every parameter with its shape, and whether it is frozen where any is.
fn list(rows: &[ParameterRow]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let frozen = if row.is_frozen { "  frozen" } else { "" };
        // writing to a string cannot fail
        let _ = writeln!(text, "{:width$}  {:?}{frozen}", row.name, row.shape);
    }
    text
}

struct Row {
    name: String,
    shape: String,
    figures: [String; 5],
}

fn table(tree: &CostTree, frozen: Option<&Frozen>) -> String {
    let title = if frozen.is_some() { "frozen" } else { "" };
    let mut rows = vec![Row {
        name: "module".to_owned(),
        shape: "gives".to_owned(),
        figures: ["parameters", "share", "FLOP", "kept", title].map(ToOwned::to_owned),
    }];
    let total = tree.cost.parameters.max(1);
    push(tree, Branch { stem: "", below: "", path: "", above: None }, &Figures { total, frozen }, &mut rows);
    let width = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name_width = width(&|row| row.name.chars().count());
    let shape_width = width(&|row| row.shape.chars().count());
    let widths = [0, 1, 2, 3, 4].map(|column| width(&|row| row.figures[column].chars().count()));
    let mut text = String::new();
    for row in &rows {
        let [parameters, share, flops, kept, frozen] = &row.figures;
        let [a, b, c, d, e] = widths;
        let line = format!(
            "{:name_width$}  {:shape_width$}  {parameters:>a$}  {share:>b$}  {flops:>c$}  {kept:>d$}  {frozen:>e$}",
            row.name, row.shape
        );
        // writing to a string cannot fail
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// What every row is told by.
struct Figures<'a> {
    /// Values of all parameters.
    total: u64,
    frozen: Option<&'a Frozen>,
}

/// Where a row hangs in the tree: `stem` draws its branch, `below` those of its parts.
struct Branch<'a> {
    stem: &'a str,
    below: &'a str,
    path: &'a str,
    /// What is told of the module around it, if that is all or nothing.
    above: Option<&'static str>,
}

fn push(tree: &CostTree, branch: Branch<'_>, figures: &Figures<'_>, rows: &mut Vec<Row>) {
    let Branch { stem, below, path, above } = branch;
    let times = if tree.times > 1 { format!(" × {}", tree.times) } else { String::new() };
    let shape = tree.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let cost = tree.cost;
    let own = figures.frozen.and_then(|frozen| frozen.of(path));
    let whole = match own {
        None => above,
        Some((0, _)) => Some(""),
        Some((frozen, all)) if frozen == all => Some("all"),
        Some(_) => None,
    };
    let part = || {
        own.map_or_else(String::new, |(frozen, all)| format!("{:.1}%", 100.0 * frozen as f64 / all as f64))
    };
    rows.push(Row {
        name: format!("{stem}{}{times}", tree.name),
        shape: if shape.is_empty() { String::new() } else { format!("[{shape}]") },
        figures: [
            short(cost.parameters as f64),
            format!("{:.1}%", 100.0 * cost.parameters as f64 / figures.total as f64),
            short(cost.flops as f64),
            format!("{}B", bytes(4.0 * cost.kept as f64)),
            whole.map_or_else(part, ToOwned::to_owned),
        ],
    });
    for (part_idx, part) in tree.parts.iter().enumerate() {
        let is_last = part_idx + 1 == tree.parts.len();
        let (branch, trunk) = if is_last { ("└ ", "  ") } else { ("├ ", "│ ") };
        let path = if path.is_empty() { part.name.clone() } else { format!("{path}.{}", part.name) };
        let stem = format!("{below}{branch}");
        let below = format!("{below}{trunk}");
        push(part, Branch { stem: &stem, below: &below, path: &path, above: whole }, figures, rows);
    }
}

/// `1.50 M` before a `B`, or `0 ` where there is no prefix.
pub(super) fn bytes(value: f64) -> String {
    let text = short(value);
    if text.contains(' ') { text } else { format!("{text} ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration;

    #[test]
    fn the_tree_of_the_quickstart_reads_well() {
        let config = configuration::experiment("quickstart", &[]).expect("it is built in").value;
        let (shape, lengths) = largest_sample(&config, config.data.n_vocab);
        insta::assert_snapshot!(table(&config.model.cost(shape, lengths), None));
    }
}
