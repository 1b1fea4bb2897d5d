//! The command line: one file a subcommand, each with its `Args` and its `run`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::device::DeviceChoice;
use crate::diagnostic;

mod answer;
mod caption;
mod checkpoints;
mod classify;
mod completions;
mod config;
mod data;
mod embed;
mod evaluate;
mod index;
mod list;
mod listening;
mod model;
mod options;
mod outcomes;
mod phrases;
mod probe;
mod quickstart;
mod report;
mod score;
mod search;
mod train;
mod transcribe;
mod writing;

const ABOUT: &str =
    "Train, evaluate and use models of text, pictures and sound, on one machine, in one program";

const EXAMPLES: &str = "\
Examples:
  triptych quickstart                               train on the bundled data and write a report
  triptych caption runs/quickstart cat.png          say what a picture shows
  triptych answer runs/mine cat.png 'what is it?'    answer a question about a picture or a recording
  triptych transcribe runs/quickstart hello.wav     write down what a recording says
  triptych search runs/quickstart 'red heart'       find pictures by words, speech or a picture
  triptych score asr --help                         score files of any system against references
  triptych train my.toml --out runs/mine            train what a config describes
  triptych config explain quickstart                every setting, and where it comes from
  triptych model describe quickstart                a model's modules and sizes
  triptych list                                     what an experiment can be made of

Exit status: 0 done, 1 the work failed, 2 wrong command line or config, 130 stopped by Ctrl-C";

#[derive(Debug, Parser)]
#[command(name = "triptych", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Args),
    Train(train::Args),
    Evaluate(evaluate::Args),
    Report(report::Args),
    Caption(caption::Args),
    Answer(answer::Args),
    Transcribe(transcribe::Args),
    Embed(embed::Args),
    Search(search::Args),
    Classify(classify::Args),
    Probe(probe::Args),
    Index(index::Args),
    Score(score::Args),
    Data(data::Args),
    Model(model::Args),
    Config(config::Args),
    List(list::Args),
    Checkpoints(checkpoints::Args),
    Completions(completions::Args),
}

impl Command {
    /// The device that the command computes on, where it computes.
    fn device(&self) -> Option<DeviceChoice> {
        match self {
            Command::Quickstart(args) => Some(args.work.device),
            Command::Train(args) => Some(args.work.device),
            Command::Evaluate(args) => Some(args.work.device),
            Command::Caption(args) => Some(args.compute.device),
            Command::Answer(args) => Some(args.compute.device),
            Command::Transcribe(args) => Some(args.compute.device),
            Command::Embed(args) => Some(args.compute.device),
            Command::Search(args) => Some(args.work.device),
            Command::Classify(args) => Some(args.compute.device),
            Command::Probe(args) => Some(args.work.device),
            Command::Index(args) => args.device(),
            Command::Report(_)
            | Command::Score(_)
            | Command::Data(_)
            | Command::Model(_)
            | Command::Config(_)
            | Command::List(_)
            | Command::Checkpoints(_)
            | Command::Completions(_) => None,
        }
    }

    fn run(self) -> miette::Result<()> {
        match self {
            Command::Quickstart(args) => quickstart::run(args),
            Command::Train(args) => train::run(args),
            Command::Evaluate(args) => evaluate::run(args),
            Command::Report(args) => report::run(args),
            Command::Caption(args) => caption::run(args),
            Command::Answer(args) => answer::run(args),
            Command::Transcribe(args) => transcribe::run(args),
            Command::Embed(args) => embed::run(&args),
            Command::Search(args) => search::run(args),
            Command::Classify(args) => classify::run(args),
            Command::Probe(args) => probe::run(args),
            Command::Index(args) => index::run(args),
            Command::Score(args) => score::run(args),
            Command::Data(args) => data::run(args),
            Command::Model(args) => model::run(args),
            Command::Config(args) => config::run(args),
            Command::List(args) => list::run(args),
            Command::Checkpoints(args) => checkpoints::run(args),
            Command::Completions(args) => completions::run(args),
        }
    }
}

/// Reads the command line, does what it says, and gives the exit status.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    // SAFETY: nothing has started a thread yet
    unsafe { command.device().unwrap_or_default().make_default() };
    diagnostic::conclude(match command.device() {
        // on a thread of the pool the many short products of a step are shared out without waking anyone first
        Some(_) => rayon::scope(|_| command.run()),
        None => command.run(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_examples() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n  triptych "), "`{}` shows no examples", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
