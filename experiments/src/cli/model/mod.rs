//! `triptych model`: looks at models before and after training. One file a subcommand.

use clap::Subcommand;

mod describe;
mod export;
mod import;
mod plan;
mod published;
mod tensors;

pub(super) use import::report;

/// See what a model consists of and what training it takes, and import and export published weights
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych model describe quickstart
  triptych model describe downloads/all-MiniLM-L6-v2
  triptych model plan quickstart --set data.batch_size=256
  triptych model import downloads/all-MiniLM-L6-v2 --out models/minilm
  triptych model export models/minilm --out exported/minilm")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Describe(describe::Args),
    Plan(plan::Args),
    Import(import::Args),
    Export(export::Args),
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    match args.command {
        Command::Describe(args) => describe::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
    }
}

/// The experiment that `what` is, and the token ids of its tokenizer: a run that has one, or a config, which sets the
/// most that there may be.
fn experiment(what: &str, set: &[String]) -> miette::Result<(crate::configuration::ExperimentConfig, usize)> {
    let folder = std::path::Path::new(what);
    if folder.is_dir() {
        let config = folder.join("config.toml");
        let resolved = crate::configuration::experiment(&config.to_string_lossy(), set)?;
        let n_vocab = match crate::run::data::saved_tokenizer(folder) {
            Ok(tokenizer) => tokenizer.n_tokens(),
            Err(_) => resolved.value.data.n_vocab,
        };
        return Ok((resolved.value, n_vocab));
    }
    let config = crate::configuration::experiment(what, set)?.value;
    let n_vocab = config.data.n_vocab;
    Ok((config, n_vocab))
}

/// `2.74 M`, `175 G`: three digits and the prefix.
fn short(value: f64) -> String {
    const PREFIXES: [&str; 7] = ["", " k", " M", " G", " T", " P", " E"];
    let mut value = value;
    let mut prefix = 0;
    while value >= 999.5 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let digits = match value {
        value if prefix == 0 && value.fract() == 0.0 => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{}", PREFIXES[prefix])
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let cases = [
            (0.0, "0"),
            (12.0, "12"),
            (999.0, "999"),
            (999.7, "1.00 k"),
            (1000.0, "1.00 k"),
            (2_738_531.0, "2.74 M"),
            (99_960.0, "100 k"),
            (174_604_320_768.0, "175 G"),
            (3.14e23, "314000 E"),
        ];
        for (value, expected) in cases {
            assert_eq!(short(value), expected);
        }
    }
}
