//! `triptych model describe`: the tree of a model's modules with their sizes.

use std::fmt::Write as _;

use miette::IntoDiagnostic;
use triptych_encoders::layers::cost::CostTree;

use super::{experiment, short};
use crate::cli::options::Overrides;
use crate::diagnostic::print;
use crate::plan::largest_sample;

/// Show the modules of a model: shapes, parameters, operations, memory
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych model describe quickstart
  triptych model describe runs/quickstart
  triptych model describe my-experiment.toml --set model.fusion.transformer.depth=6
  triptych model describe quickstart --json | jq .cost.parameters

Operations are those of a forward pass of the longest sample: one text, one picture, one sound, fused with a
text behind them. Kept is what the backward pass reads again, in 32-bit numbers.")]
pub(crate) struct Args {
    /// A run's folder, a TOML file, or the name of a built-in config
    model: String,
    #[command(flatten)]
    overrides: Overrides,
    /// Print the tree as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let (config, n_vocab) = experiment(&args.model, &args.overrides.set)?;
    let (shape, lengths) = largest_sample(&config, n_vocab);
    let tree = config.model.cost(shape, lengths);
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&tree).into_diagnostic()?));
    }
    print(&table(&tree))
}

struct Row {
    name: String,
    shape: String,
    figures: [String; 4],
}

fn table(tree: &CostTree) -> String {
    let mut rows = vec![Row {
        name: "module".to_owned(),
        shape: "gives".to_owned(),
        figures: ["parameters", "share", "FLOP", "kept"].map(ToOwned::to_owned),
    }];
    push(tree, "", "", tree.cost.parameters.max(1), &mut rows);
    let width = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name_width = width(&|row| row.name.chars().count());
    let shape_width = width(&|row| row.shape.chars().count());
    let widths = [0, 1, 2, 3].map(|column| width(&|row| row.figures[column].chars().count()));
    let mut text = String::new();
    for row in &rows {
        let [parameters, share, flops, kept] = &row.figures;
        let [a, b, c, d] = widths;
        // writing to a string cannot fail
        let _ = writeln!(
            text,
            "{:name_width$}  {:shape_width$}  {parameters:>a$}  {share:>b$}  {flops:>c$}  {kept:>d$}",
            row.name, row.shape
        );
    }
    text
}

/// `stem` draws this row's branch, `below` those of its parts.
fn push(tree: &CostTree, stem: &str, below: &str, total: u64, rows: &mut Vec<Row>) {
    let times = if tree.times > 1 { format!(" × {}", tree.times) } else { String::new() };
    let shape = tree.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let cost = tree.cost;
    rows.push(Row {
        name: format!("{stem}{}{times}", tree.name),
        shape: if shape.is_empty() { String::new() } else { format!("[{shape}]") },
        figures: [
            short(cost.parameters as f64),
            format!("{:.1}%", 100.0 * cost.parameters as f64 / total as f64),
            short(cost.flops as f64),
            format!("{}B", bytes(4.0 * cost.kept as f64)),
        ],
    });
    for (part_idx, part) in tree.parts.iter().enumerate() {
        let is_last = part_idx + 1 == tree.parts.len();
        let (branch, trunk) = if is_last { ("└ ", "  ") } else { ("├ ", "│ ") };
        push(part, &format!("{below}{branch}"), &format!("{below}{trunk}"), total, rows);
    }
}

/// `1.50 M` before a `B`, or `0 ` where there is no prefix.
fn bytes(value: f64) -> String {
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
        insta::assert_snapshot!(table(&config.model.cost(shape, lengths)));
    }
}
